import { isIPv6 } from 'node:net';
import type { Budget } from './budget.ts';
import { Refusal } from './template-error.ts';

/** Where in a URL a text stands, which decides what is escaped there. */
type Part = 'path' | 'host' | 'user' | 'query' | 'fragment';

const unescaped: Readonly<Record<Part, RegExp>> = {
  path: /[A-Za-z0-9\-_.~$&+,/:;=@]/,
  host: /[A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"]/,
  user: /[A-Za-z0-9\-_.~$&+,;=]/,
  query: /[A-Za-z0-9\-_.~]/,
  fragment: /[A-Za-z0-9\-_.~$&+,/:;=?@!()*]/,
};

/** What each byte becomes. */
const escapesIn = (part: Part): readonly Buffer[] =>
  Array.from({ length: 256 }, (_, byte) => {
    const character = String.fromCharCode(byte);
    if (byte < 0x80 && unescaped[part].test(character)) return Buffer.from(character);
    if (character === ' ' && part === 'query') return Buffer.from('+');
    return Buffer.from(`%${byte.toString(16).toUpperCase().padStart(2, '0')}`);
  });

const escapes: Readonly<Record<Part, readonly Buffer[]>> = {
  path: escapesIn('path'),
  host: escapesIn('host'),
  user: escapesIn('user'),
  query: escapesIn('query'),
  fragment: escapesIn('fragment'),
};

function escapeText(text: string, part: Part): string {
  const bytes = Buffer.from(text);
  const escaped = Buffer.allocUnsafe(bytes.length * 3);
  let length = 0;
  for (const byte of bytes) {
    const found = escapes[part][byte] ?? bytes;
    for (let at = 0; at < found.length; at++) escaped[length++] = found[at] ?? 0;
  }
  return escaped.toString('latin1', 0, length);
}

/** Go's url.QueryEscape: a space becomes a plus. */
export function queryEscape(text: string, budget: Budget): string {
  budget.spendSlowReading(text.length);
  return escapeText(text, 'query');
}

function unescapeText(text: string, part: Part): string {
  const bad = /%(?![0-9A-Fa-f]{2}).{0,2}/s.exec(text);
  if (bad !== null) throw new Refusal(`the URL has a wrong escape: ${JSON.stringify(bad[0])}`);
  if (part === 'host') checkHost(text);
  // Runs of escapes, because a character may need several.
  return text.replace(/(?:%..)+/gs, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString());
}

/** In a host only characters beyond ASCII may be escaped, and a few cannot be there at all. */
function checkHost(text: string): void {
  const bad =
    /%(?!25)[0-7]./.exec(text)?.[0] ??
    [...text].find((found) => found < '\x80' && found !== '%' && !unescaped.host.test(found));
  if (bad !== undefined) throw new Refusal(`the host of a URL cannot have ${JSON.stringify(bad)}`);
}

export interface ParsedUrl {
  readonly scheme: string;
  readonly opaque: string;
  /** Escaped; undefined where the URL has none, which is not the same as an empty one. */
  readonly userinfo: string | undefined;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  readonly fragment: string;
}

/** Characters of an IPv6 address, generously. */
const maxAddress = 64;

const cut = (text: string, separator: string): [string, string] => {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
};

/** Reads a URL as Go's net/url does. Throws a Refusal for what is none. */
export function parseUrl(text: string): ParsedUrl {
  const [main, rawFragment] = cut(text, '#');
  const fragment = unescapeText(rawFragment, 'fragment');
  const base = { scheme: '', opaque: '', userinfo: undefined, host: '', path: '', query: '', fragment };
  if (/[\0-\x1f\x7f]/.test(main)) throw new Refusal('a URL cannot have control characters');
  if (main === '*') return { ...base, path: '*' };
  const [scheme, afterScheme] = splitScheme(main);
  const [rest, query] = cut(afterScheme, '?');
  const known = { ...base, scheme: scheme.toLowerCase(), query };
  if (!rest.startsWith('/')) {
    if (scheme !== '') return { ...known, opaque: rest };
    if (cut(rest, '/')[0].includes(':')) throw new Refusal('the first part of the path of a URL cannot have a colon');
  }
  if (!rest.startsWith('//') || (scheme === '' && rest.startsWith('///'))) {
    return { ...known, path: unescapeText(rest, 'path') };
  }
  const pathAt = rest.indexOf('/', 2);
  const authority = pathAt === -1 ? rest.slice(2) : rest.slice(2, pathAt);
  const path = unescapeText(pathAt === -1 ? '' : rest.slice(pathAt), 'path');
  return { ...known, ...parseAuthority(known.scheme, authority), path };
}

function splitScheme(text: string): [string, string] {
  if (text.startsWith(':')) throw new Refusal('the URL has no scheme before its colon');
  const scheme = /^[a-zA-Z][a-zA-Z0-9+.-]*(?=:)/.exec(text)?.[0] ?? '';
  return scheme === '' ? ['', text] : [scheme, text.slice(scheme.length + 1)];
}

function parseAuthority(scheme: string, authority: string): { userinfo: string | undefined; host: string } {
  const at = authority.lastIndexOf('@');
  const host = parseHost(scheme, authority.slice(at + 1));
  return { userinfo: at === -1 ? undefined : parseUserinfo(authority.slice(0, at)), host };
}

/** Escaped as Go escapes it. */
function parseUserinfo(text: string): string {
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(text))
    throw new Refusal('the URL has a wrong user or password: escape them');
  const colon = text.indexOf(':');
  const parts = colon === -1 ? [text] : [text.slice(0, colon), text.slice(colon + 1)];
  return parts.map((part) => escapeText(unescapeText(part, 'user'), 'user')).join(':');
}

function parseHost(scheme: string, host: string): string {
  const bracket = host.lastIndexOf('[');
  if (bracket > 0) throw new Refusal('a [ in the host of a URL can only come first');
  if (bracket === 0) return parseAddress(host);
  const first = host.indexOf(':');
  const colon = scheme === 'http' || scheme === 'https' ? first : host.lastIndexOf(':');
  if (colon !== -1) checkPort(host.slice(colon));
  return unescapeText(host, 'host');
}

function checkPort(text: string): void {
  if (!/^(?::[0-9]*)?$/.test(text)) throw new Refusal(`${JSON.stringify(text)} after the host of a URL is no port`);
}

function parseAddress(host: string): string {
  const end = host.lastIndexOf(']');
  if (end === -1) throw new Refusal('the host of the URL has a [ and no ]');
  checkPort(host.slice(end + 1));
  const zoneAt = host.indexOf('%25');
  const address = unescapeText(host.slice(1, zoneAt === -1 ? end : zoneAt), 'host');
  const zone = zoneAt === -1 ? '' : unescapeText(host.slice(zoneAt, end), 'user');
  if (address.length > maxAddress || !isIPv6(address) || zone === '%')
    throw new Refusal('between [ and ] in a URL there can only be an IPv6 address');
  return `[${address}${zone}]${host.slice(end + 1)}`;
}

/** The host without its port and without brackets. */
export function hostnameOf(host: string): string {
  const name = host.replace(/:[0-9]*$/, '');
  return name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name;
}

/** Writes a URL as Go's net/url does. */
export function formatUrl({ scheme, opaque, userinfo, host, path, query, fragment }: ParsedUrl): string {
  const end = `${query === '' ? '' : `?${query}`}${fragment === '' ? '' : `#${escapeText(fragment, 'fragment')}`}`;
  const start = scheme === '' ? '' : `${scheme}:`;
  if (opaque !== '') return start + opaque + end;
  const hasAuthority = scheme !== '' || host !== '' || userinfo !== undefined;
  const hasSlashes = hasAuthority && (host !== '' || path !== '' || userinfo !== undefined);
  const authority = `${hasSlashes ? '//' : ''}${userinfo === undefined ? '' : `${userinfo}@`}${escapeText(host, 'host')}`;
  const escapedPath = path === '*' ? '*' : escapeText(path, 'path');
  const separator = escapedPath !== '' && !escapedPath.startsWith('/') && host !== '' ? '/' : '';
  const before = start + (hasAuthority ? authority : '') + separator;
  const dot = before === '' && cut(escapedPath, '/')[0].includes(':') ? './' : '';
  return before + dot + escapedPath + end;
}
