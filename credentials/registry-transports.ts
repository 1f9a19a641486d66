import { LRUCache } from 'lru-cache';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { RegistryTransport, type TransportOptions } from '../platform/transport.ts';

const transportsMax = 1000;

/** One transport, with its pool of kept-alive connections, for all connectors of a namespace that reach a registry in the same way. */
export class RegistryTransports {
  readonly #options: Omit<TransportOptions, 'origin' | 'ca' | 'trustedHosts'>;
  readonly #transports: LRUCache<string, RegistryTransport>;

  constructor(options: Omit<TransportOptions, 'origin' | 'ca' | 'trustedHosts'> = {}) {
    this.#options = options;
    this.#transports = new LRUCache({
      max: transportsMax,
      dispose: (transport) => void transport.close().catch(() => {}),
    });
  }

  for(connector: ResolvedConnector): RegistryTransport {
    const { ca, trustedHosts } = connector;
    const { origin } = connector.address;
    const { namespace } = connector.key;
    const isPlain = ca === undefined && trustedHosts.length === 0;
    // Of one namespace alone: what a registry sends late on a connection must not reach another tenant.
    const key = isPlain ? `${namespace} ${origin}` : JSON.stringify([namespace, origin, ca, trustedHosts]);
    const present = this.#transports.get(key);
    if (present !== undefined) return present;
    const made = new RegistryTransport({ ...this.#options, origin, ca, trustedHosts });
    this.#transports.set(key, made);
    return made;
  }

  /** Ends connections at once; requests under way fail. */
  async close(): Promise<void> {
    await Promise.all([...this.#transports.values()].map((transport) => transport.destroy()));
  }
}
