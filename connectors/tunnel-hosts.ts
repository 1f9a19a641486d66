import { isIP, isIPv6 } from 'node:net';
import { canonicalHost } from '../platform/host-name.ts';

/**
 * On a ConnectorClass: hosts that the forward proxy may tunnel to for whoever may use a connector of the class,
 * `host[:port],*.suffix[:port]`. It is the administrator's word: whoever writes a Connector has no say in it.
 */
export const tunnelHostsAnnotation = 'connectors.cpaas.io/tunnel-hosts';

/** A host that may be tunnelled to. */
export interface TunnelHost {
  /** A DNS name in lower case, or an IP address without brackets; for a wildcard the suffix, without `*.`. */
  readonly host: string;
  readonly port: number;
  /** Any name below `host`, at any depth, and not `host` itself. */
  readonly isWildcard: boolean;
}

export interface ParsedTunnelHosts {
  readonly hosts: readonly TunnelHost[];
  /** Positions of the entries that are none, from 0; those are left out. */
  readonly invalid: readonly number[];
}

const defaultPort = 443;
const entriesMax = 256;
const entryForm = /^(\*\.)?(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(\d{1,5}))?$/;

/** Reads the annotation. An entry that cannot be read grants nothing. */
export function parseTunnelHosts(text: string | undefined): ParsedTunnelHosts {
  const entries = (text ?? '').split(',').map((entry) => entry.trim().toLowerCase());
  const read = entries.map((entry, at) => (at < entriesMax ? parseEntry(entry) : undefined));
  const invalid = read.flatMap((host, at) => (host === undefined && entries[at] !== '' ? [at] : []));
  return Object.freeze({ hosts: Object.freeze(read.filter((host) => host !== undefined)), invalid });
}

function parseEntry(entry: string): TunnelHost | undefined {
  const [, wildcard, written = '', digits] = entryForm.exec(entry) ?? [];
  const isWildcard = wildcard !== undefined;
  const port = digits === undefined ? defaultPort : Number(digits);
  const isBracketed = written.startsWith('[');
  const bare = isBracketed ? written.slice(1, -1) : written;
  const host = isBracketed === isIPv6(bare) ? canonicalHost(bare) : undefined;
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  // `*.com` would be everybody's.
  if (isWildcard && (isIP(host) !== 0 || !host.includes('.'))) return undefined;
  return Object.freeze({ host, port, isWildcard });
}

/** The entry that lets `host` (in canonical spelling, without brackets) be reached at `port`; an exact one comes first. */
export function findTunnelHost(hosts: readonly TunnelHost[], host: string, port: number): TunnelHost | undefined {
  const atPort = hosts.filter((entry) => entry.port === port);
  const exact = atPort.find((entry) => !entry.isWildcard && entry.host === host);
  return exact ?? atPort.find((entry) => entry.isWildcard && host.endsWith(`.${entry.host}`));
}
