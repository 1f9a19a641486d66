import { parseConnectorHost } from '../connectors/address.ts';
import { zoneOf } from '../platform/network-zone.ts';
import { parseAuthority } from '../proxy/forward-proxy-authority.ts';

/** Nobody can have a name below these that leads to where they like: behind `svc.example.com` somebody could. */
const connectorSuffixes: ReadonlySet<string> = new Set(['svc', 'svc.cluster.local', 'localhost']);

/**
 * Whether a `Host` header, with any port, names this machine: `localhost`, a loopback address, a connector's own name, or
 * the host that images begin with. Any other may be the name of a web page that now leads to us.
 */
export function hostsOfThisMachine(imageHost: string | undefined): (host: string) => boolean {
  const own = imageHost === undefined ? undefined : parseAuthority(imageHost, 80)?.host;
  return (text) => {
    const host = parseAuthority(text, 80)?.host;
    if (host === undefined) return false;
    if (host === 'localhost' || host === own || zoneOf(host) === 'loopback') return true;
    const suffix = host.split('.').slice(2).join('.');
    return parseConnectorHost(host) !== undefined && connectorSuffixes.has(suffix);
  };
}
