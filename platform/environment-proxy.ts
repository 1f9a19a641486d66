import { BlockList, isIP, isIPv6 } from 'node:net';
import { zoneOf } from './network-zone.ts';

/** HTTP_PROXY, HTTPS_PROXY and NO_PROXY; absent where unset. */
export interface ProxySettings {
  readonly httpProxy?: string | undefined;
  readonly httpsProxy?: string | undefined;
  /** Comma separated: `host`, `.suffix`, `*.suffix`, `host:port`, address, CIDR range, or `*`. */
  readonly noProxy?: string | undefined;
}

/** The usual names in either case; the lower-case one wins, as with curl and Go. */
export function readProxySettings(environment: Readonly<Record<string, string | undefined>>): ProxySettings {
  const read = (name: string): string | undefined => environment[name.toLowerCase()] || environment[name] || undefined;
  return { httpProxy: read('HTTP_PROXY'), httpsProxy: read('HTTPS_PROXY'), noProxy: read('NO_PROXY') };
}

/**
 * The proxy to use for an origin, by the rules of Go's net/http/httpproxy, which the tools around us follow: loopback
 * is never proxied, NO_PROXY names hosts with their subdomains, addresses and ranges.
 * @throws Error when the proxy's own address cannot be read
 */
export function proxyFor(origin: URL, settings: ProxySettings): URL | undefined {
  const name = origin.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const proxy = origin.protocol === 'https:' ? settings.httpsProxy : settings.httpProxy;
  if (proxy === undefined || proxy === '' || isDirect(origin, settings.noProxy ?? '')) return undefined;
  const text = proxy.includes('://') ? proxy : `http://${proxy}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || !isDecodable(url.username + url.password)) {
    throw new Error(`${name} is not the address of an HTTP proxy`);
  }
  return url;
}

/** What a proxy is told of who we are, where its address says that. */
export function proxyAuthorization({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(login).toString('base64')}`;
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function isDirect(origin: URL, noProxy: string): boolean {
  const host = origin.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = origin.port || (origin.protocol === 'https:' ? '443' : '80');
  // RFC 6761, section 6.3: so are `x.localhost` and `localhost.`, which a proxy would look for on itself.
  if (/^(?:.*\.)?localhost\.?$/.test(host) || (isIP(host) !== 0 && zoneOf(host) === 'loopback')) return true;
  return noProxy.split(',').some((entry) => matchesEntry(entry.trim().toLowerCase(), host, port));
}

function matchesEntry(entry: string, host: string, port: string): boolean {
  if (entry === '') return false;
  if (entry === '*') return true;
  if (entry.includes('/')) return isInRange(entry, host);
  const [, name = '', entryPort] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  if (isIP(entry) !== 0) return isInRange(`${entry}/${isIPv6(entry) ? 128 : 32}`, host);
  if (name === '' || (entryPort !== undefined && entryPort !== port)) return false;
  const suffix = name.replace(/^\*(?=\.)/, '').replace(/^\[|\]$/g, '');
  return suffix.startsWith('.') ? host.endsWith(suffix) : host === suffix || host.endsWith(`.${suffix}`);
}

function isInRange(range: string, host: string): boolean {
  const [address = '', bits = ''] = range.split('/');
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  if (isIP(host) === 0 || isIP(address) === 0 || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (family === 'ipv6' ? 128 : 32)) return false;
  const list = new BlockList();
  list.addSubnet(address, Number(bits), family);
  return list.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}
