import { connectorHost, parseConnectorHost } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';

export interface ServedHostsOptions {
  readonly store: { readonly catalogue: Pick<ConnectorCatalogue, 'connector'> };
  readonly clusterDomain: string;
  /** Further names, in lower case. */
  readonly own: readonly string[];
}

/**
 * Whether the HTTPS listener has a certificate for `host`, in lower case: the names of its own, and `c-<name>.<ns>.svc`,
 * with or without the cluster's domain, of connectors that there are.
 */
export function servedHosts({ store, clusterDomain, own }: ServedHostsOptions): (host: string) => boolean {
  const ownHosts = new Set(own);
  return (host) => {
    if (ownHosts.has(host)) return true;
    const key = parseConnectorHost(host);
    if (key === undefined) return false;
    const isSpelledOut = host === connectorHost(key, clusterDomain) || host === `c-${key.name}.${key.namespace}.svc`;
    return isSpelledOut && store.catalogue.connector(key) !== undefined;
  };
}
