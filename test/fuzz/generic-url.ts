/**
 * URLs as RFC 3986 has them, read by the expression of its appendix B and not by the parser that the product uses: what
 * two readers understand differently is what attacks are made of.
 */
export interface GenericUrl {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string | undefined;
  readonly fragment: string | undefined;
}

const appendixB = /^(?:([^:/?#]+):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s;

export function readGenericUrl(text: string): GenericUrl {
  const [, scheme = '', authority = '', path = '', query, fragment] = appendixB.exec(text) ?? [];
  return { scheme, authority, path, query, fragment };
}

/** Section 5.2.4, where empty segments are either kept or joined. */
function withoutDots(path: string, isJoining: boolean): string {
  const kept: string[] = [];
  for (const segment of path.split('/').slice(1)) {
    if (segment === '..') kept.pop();
    else if (segment !== '.' && !(isJoining && segment === '')) kept.push(segment);
  }
  return `/${kept.join('/')}`;
}

export const percentDecoded = (text: string): string =>
  text.replace(/%([0-9a-f]{2})/gi, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));

/** What servers could make of a path: decoded never, once or twice, backslashes taken for slashes, parameters cut off. */
export function readingsOfPath(path: string): string[] {
  const decodings = [path, percentDecoded(path), percentDecoded(percentDecoded(path))];
  return decodings.flatMap((text) => {
    const slashed = text.replaceAll('\\', '/');
    const bare = slashed.replace(/;[^/]*/g, '');
    const ended = slashed.replace(/[?#\0].*$/s, '');
    return [text, slashed, bare, ended].flatMap((one) => [withoutDots(one, false), withoutDots(one, true)]);
  });
}

/** The parameters of a query as servers read them: split at `&` alone or also at `;`, names in either case. */
export function readingsOfQuery(query: string): (readonly (readonly [name: string, value: string])[])[] {
  const text = query.replace(/^\?/, '');
  return [/&/, /[&;]/].map((separator) =>
    text.split(separator).flatMap((pair) => {
      if (pair === '') return [];
      const equals = pair.indexOf('=');
      const [name, value] = equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
      const [plainName = '', plainValue = ''] = [name, value].map((part) => percentDecoded(part.replaceAll('+', ' ')));
      return [[plainName.toLowerCase(), plainValue] as const];
    }),
  );
}
