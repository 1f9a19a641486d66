import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** RFC 9110, section 7.6.1, and the older `Keep-Alive` and `Proxy-Connection`. */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
] as const;

/**
 * What a caller says and a registry must not hear. `Forwarded` and its kin, `X-Forwarded-…` too, make registries build
 * addresses, of token realms among others, from a name that the caller chose; a method override would make a deletion
 * of a pull.
 */
const notUpstream: ReadonlySet<string> = new Set([
  ...hopByHop,
  'authorization',
  'content-length',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'x-host',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-host',
  'x-original-url',
  'x-real-ip',
  'x-rewrite-url',
]);
const forwardedPrefix = 'x-forwarded';
/** Some servers take `_` for `-`, and would read in `X_Forwarded_Host` or `Content_Length` what is left out above. */
const plainName = /^[a-z0-9-]+$/;

/**
 * What a registry says and a caller must not hear: its challenge, which is ours to answer; cookies, because a session
 * that our credential opened is as good as the credential; promises about a host name that is not ours.
 */
const notDownstream: ReadonlySet<string> = new Set([
  ...hopByHop,
  'alt-svc',
  'authentication-info',
  'proxy-authentication-info',
  'set-cookie',
  'set-cookie2',
  'strict-transport-security',
  'www-authenticate',
]);

/** The names that a `Connection` header declares to be of this hop only. */
function connectionNames(connection: string | string[] | undefined): readonly string[] | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  return String(connection)
    .split(',')
    .map((name) => name.trim().toLowerCase());
}

function without(
  headers: IncomingHttpHeaders,
  isDropped: (name: string) => boolean,
): Record<string, string | string[]> {
  const ofThisHop = connectionNames(headers.connection);
  const kept: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || isDropped(name) || ofThisHop?.includes(name)) continue;
    kept[name] = value;
  }
  return kept;
}

/** The headers of a caller's request that go to the registry. */
export function upstreamHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const isDropped = (name: string) =>
    notUpstream.has(name) || name.startsWith(forwardedPrefix) || !plainName.test(name);
  return without(headers, isDropped);
}

const forBytes: ReadonlySet<string> = new Set(['accept', 'accept-encoding', 'if-range', 'range', 'user-agent']);

/** What goes to a host that the registry sent us to: it is asked for bytes, and told nothing else that the caller said. */
export function headersForBytes(headers: Record<string, string | string[]>): Record<string, string | string[]> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => forBytes.has(name)));
}

const forUpload: ReadonlySet<string> = new Set(['accept', 'content-range', 'content-type', 'user-agent']);

/** What goes with a part of an upload to a host that the registry sent us to. */
export function headersForUpload(headers: Record<string, string | string[]>): Record<string, string | string[]> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => forUpload.has(name)));
}

/** The headers of a registry's answer that go to the caller. */
export function downstreamHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return without(headers, (name) => notDownstream.has(name));
}
