import { isIPv6 } from 'node:net';
import type { RegistryAddress } from '../connectors/registry-address.ts';
import { canonicalHost } from '../platform/host-name.ts';

/** A host and port in the one spelling that is compared, dialled and certified. */
export interface Authority {
  /** A DNS name in lower case without a dot at its end, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
}

const authorityForm = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?$/;
const authorityLengthMax = 320;
/** All of them are one registry, see connectors/image-reference.ts. */
const dockerHubHosts = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

/**
 * Reads `host:port`; undefined for what is none, odd spellings of addresses (`127.1`, `0x7f000001`) included. One dot at
 * the end of a name, which says that it is complete, is the same name.
 * @param defaultPort for a host that stands alone; without one, the port is needed
 */
export function parseAuthority(text: string, defaultPort?: number): Authority | undefined {
  if (text.length > authorityLengthMax) return undefined;
  const [, written = '', digits] = authorityForm.exec(text) ?? [];
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port === undefined || port < 1 || port > 65_535) return undefined;
  const isBracketed = written.startsWith('[');
  const bare = isBracketed ? written.slice(1, -1) : written.replace(/\.$/, '');
  if (isBracketed !== isIPv6(bare)) return undefined;
  const host = canonicalHost(bare);
  return host === undefined ? undefined : { host, port };
}

export const formatAuthority = ({ host, port }: Authority): string => `${isIPv6(host) ? `[${host}]` : host}:${port}`;

export const isSameAuthority = (a: Authority, b: Authority): boolean => a.host === b.host && a.port === b.port;

/** The hosts that are a registry's own, the first of them that of its API. */
export function authoritiesOf({ origin }: RegistryAddress): readonly Authority[] {
  if (origin === '') return [];
  const { protocol, host } = new URL(origin);
  const own = parseAuthority(host, protocol === 'https:' ? 443 : 80);
  if (own === undefined) return [];
  if (!dockerHubHosts.includes(own.host) || own.port !== 443) return [own];
  return [own, ...dockerHubHosts.filter((name) => name !== own.host).map((name) => ({ host: name, port: own.port }))];
}
