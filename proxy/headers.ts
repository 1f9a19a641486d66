import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { ProxyError } from '../platform/errors.ts';

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
 * What a registry hears of what a caller says: what requests of the registry API are made of, and nothing else. Servers
 * and the proxies before them take much more to heart: names of hosts (`X-Forwarded-Host`, `X-Artifactory-Override-Base-Url`,
 * …), of which some build the address of their token realm, other paths and methods, users.
 */
const forUpstream: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'pragma',
  'range',
  'user-agent',
]);
/** Headers of the registry API, of now and later. */
const apiPrefixes = ['oci-', 'docker-'] as const;
/** Some servers take `_` for `-`. */
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
  const isForApi = (name: string) => apiPrefixes.some((prefix) => name.startsWith(prefix)) && plainName.test(name);
  const kept = without(headers, (name) => !forUpstream.has(name) && !isForApi(name));
  kept['via'] = viaUs(headers.via);
  return kept;
}

const viaMax = 4;

/**
 * `Via` (RFC 9110, section 7.6.3) with us in it. An agent, its centre, and a connector that leads to another cluster's make
 * three; what has been here more often goes in circles.
 * @throws ProxyError LOOP_DETECTED
 */
function viaUs(via: string | undefined): string {
  if (via === undefined) return hopOfOurs;
  const count = via.split(',').filter((hop) => hop.trim() === hopOfOurs).length;
  if (count >= viaMax)
    throw new ProxyError('LOOP_DETECTED', 'the request has been here before: the connector leads to us');
  return Array.from({ length: count + 1 }, () => hopOfOurs).join(', ');
}

const hopOfOurs = '1.1 oci-connector';

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
