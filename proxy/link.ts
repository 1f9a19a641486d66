/** One target of a `Link` header (RFC 8288) with what follows it. */
const linkValue = /<([^<>]*)>([^,<]*)/g;

/**
 * The registry's `Link` header as the caller can use it: each target is the caller's own URL with the query of the
 * registry's, because a listing continues where it began (distribution-spec, «Listing Tags»). Targets of another
 * endpoint are left out; undefined when none is left. `asked` is the URL whose answer has the header: targets may be
 * relative to it.
 */
export function rewriteLink(link: string, asked: URL, tail: string, ownPath: string): string | undefined {
  const rewritten: string[] = [];
  for (const [, target = '', parameters = ''] of link.matchAll(linkValue)) {
    const url = URL.canParse(target, asked) ? new URL(target, asked) : undefined;
    if (url !== undefined && isBelow(url.pathname, tail)) {
      rewritten.push(`<${ownPath}${url.search}>${parameters.trimEnd()}`);
    }
  }
  return rewritten.length === 0 ? undefined : rewritten.join(', ');
}

/** The one character of a tail that registries write as it is or encoded is the colon of a digest. */
const isBelow = (pathname: string, tail: string): boolean => pathname.replace(/%3a/gi, ':').endsWith(`/${tail}`);
