import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { type ProxySettings, proxyAuthorization, proxyFor } from './environment-proxy.ts';
import { dialer, type ProxyHop } from './http1/connect.ts';
import { OriginPool } from './http1/origin-pool.ts';
import { mayReach, type NetworkZone, outermost, zoneOf } from './network-zone.ts';
import { type ReadBuffers, readBuffers } from './read-buffers.ts';

/** All addresses of a host name, at least one. */
export type Resolve = (hostname: string) => Promise<readonly { address: string; family: number }[]>;

export interface TransportTimeouts {
  readonly connectMs: number;
  /** From the request to the head of the answer. */
  readonly headersMs: number;
  /** Between two pieces of a body; a reader that holds us back does not count. */
  readonly idleBodyMs: number;
}

export interface TransportOptions {
  /** `scheme://host[:port]` of the registry. */
  origin: string;
  /** PEM certificates trusted beside the system's. */
  ca?: string | undefined;
  /** `host` or `host:port` that may be reached whatever their zone, apart from `forbidden`. */
  trustedHosts?: readonly string[];
  proxies?: ProxySettings;
  /** In a cluster loopback is the centre's own pod, or a node: no registry is there, and whoever writes a Connector must not get there. */
  isLoopbackForbidden?: boolean;
  resolve?: Resolve;
  timeouts?: Partial<TransportTimeouts>;
  /** Connections kept to one origin. */
  connections?: number;
}

const defaultTimeouts: TransportTimeouts = { connectMs: 10_000, headersMs: 60_000, idleBodyMs: 60_000 };
const otherOriginsMax = 64;

/** The registry wants us to go where the zone rule does not let us. The message names host and zone, and no path or query. */
export class TargetForbiddenError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TargetForbiddenError';
  }
}

const resolveBySystem: Resolve = (hostname) => systemLookup(hostname, { all: true });

/**
 * HTTP to one registry, and to the hosts that the registry sends us to (token realms, blob storage) as far as its zone
 * lets it: a public registry to public addresses only, a private one also to private ones, one on loopback also to
 * loopback; link-local addresses never; https never to http. The address that was checked is the one that is dialled.
 * Behind a proxy of the environment the proxy resolves names, so that only literal addresses are checked, and a
 * registry by name counts as public.
 */
export class RegistryTransport {
  readonly origin: string;
  readonly #options: TransportOptions;
  readonly #timeouts: TransportTimeouts;
  readonly #resolve: Resolve;
  readonly #own: OriginPool;
  readonly #others: LRUCache<string, OriginPool>;
  #secureContext: SecureContext | undefined;
  /**
   * The outermost zone that the registry's name ever resolved to. What it answers later cannot make it more private:
   * that would let a registry of the internet point its name at 127.0.0.1 just before it sends us there.
   */
  #zone: NetworkZone = 'forbidden';

  constructor(options: TransportOptions) {
    this.origin = options.origin;
    this.#options = options;
    this.#timeouts = { ...defaultTimeouts, ...options.timeouts };
    this.#resolve = options.resolve ?? resolveBySystem;
    this.#own = this.#open(new URL(options.origin));
    this.#others = new LRUCache({
      max: otherOriginsMax,
      dispose: (dispatcher) => void dispatcher.close().catch(() => {}),
    });
  }

  /** The dispatcher for a URL that `target` allowed; the registry's own for its origin. */
  dispatcherFor(url: URL): OriginPool {
    if (url.origin === this.origin) return this.#own;
    const present = this.#others.get(url.origin);
    if (present !== undefined) return present;
    const opened = this.#open(url);
    this.#others.set(url.origin, opened);
    return opened;
  }

  /** What chunks of answers are in; who is the last to look at one may give it back. */
  get readBuffers(): ReadBuffers {
    return readBuffers;
  }

  get dispatcher(): OriginPool {
    return this.#own;
  }

  /**
   * Reads where the registry sends us (a realm, a Location) and applies what can be said without dialling: http and
   * https only, never from https to http, no forbidden literal address.
   * @throws TargetForbiddenError
   */
  async target(location: string, base: string = this.origin): Promise<URL> {
    if (!URL.canParse(location, base))
      throw new TargetForbiddenError('the registry sends us to an address that is none');
    const url = new URL(location, base);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw new TargetForbiddenError(`the registry sends us to scheme ${url.protocol}`);
    }
    if (url.protocol === 'http:' && [this.origin, base].some((from) => from.startsWith('https:'))) {
      throw new TargetForbiddenError(`the registry sends us from https to http, at ${url.host}`);
    }
    url.username = '';
    url.password = '';
    const literal = bareHost(url.hostname);
    if (url.origin !== this.origin && isIP(literal) !== 0) await this.#check(url, [literal]);
    return url;
  }

  async close(): Promise<void> {
    await Promise.all([this.#own.close(), ...[...this.#others.values()].map((dispatcher) => dispatcher.close())]);
  }

  async destroy(): Promise<void> {
    await Promise.all([this.#own.destroy(), ...[...this.#others.values()].map((dispatcher) => dispatcher.destroy())]);
  }

  #open(url: URL): OriginPool {
    const { connectMs, headersMs, idleBodyMs } = this.#timeouts;
    const isSecure = url.protocol === 'https:';
    // No proxy reaches for us what we may not reach: dialled directly, it is refused.
    const proxy = isForbidden(url) ? undefined : proxyFor(url, this.#options.proxies ?? {});
    const hop = proxy === undefined ? undefined : proxyHop(proxy);
    return new OriginPool(url.origin, {
      connect: dialer({
        origin: url,
        connectMs,
        readBuffers,
        secureContext: isSecure ? this.#tls() : undefined,
        ...(hop === undefined ? this.#checks(url) : { proxy: hop }),
      }),
      headersMs,
      idleBodyMs,
      // As many as there are requests: with a bound, callers that do not read would keep all others waiting.
      connections: this.#options.connections,
      forwarder: isSecure ? undefined : hop,
    });
  }

  /** The address that was checked is the one that is dialled, whether it is found or written. */
  #checks(url: URL): { lookup: LookupFunction } | { check: () => Promise<void> } {
    const literal = bareHost(url.hostname);
    if (isIP(literal) !== 0) return { check: () => this.#check(url, [literal]) };
    return {
      lookup: (hostname, options, callback) => {
        this.#allowed(url, hostname).then(
          (found) => {
            const first = found[0];
            if (options.all) callback(null, [...found]);
            else callback(null, first?.address ?? '', first?.family);
          },
          (error: Error) => callback(error, ''),
        );
      },
    };
  }

  async #allowed(url: URL, hostname: string): Promise<readonly { address: string; family: number }[]> {
    const found = await this.#resolve(hostname);
    if (found.length === 0) throw Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' });
    const addresses = found.map((entry) => entry.address);
    await this.#check(url, addresses);
    if (url.origin === this.origin) this.#note(addresses);
    return found;
  }

  /** All addresses of a name have to be allowed: one that is not makes the name suspicious. */
  async #check(url: URL, addresses: readonly string[]): Promise<void> {
    const from = await this.#reach(url);
    for (const address of addresses) {
      const zone = zoneOf(address);
      const isClosed = zone === 'loopback' && this.#options.isLoopbackForbidden === true;
      if (!isClosed && mayReach(from, zone)) continue;
      const where = `${url.host} is at a ${zone} address`;
      if (isClosed || url.origin === this.origin) throw new TargetForbiddenError(`${where}, where no registry may be`);
      throw new TargetForbiddenError(
        `the registry, at a ${from} address, sends us to ${url.host}, which is at a ${zone} address; list the host in spec.params trustedHosts if that is right`,
      );
    }
  }

  async #reach(url: URL): Promise<NetworkZone> {
    const port = url.port || (url.protocol === 'https:' ? '443' : '80');
    const names = [url.hostname, `${url.hostname}:${port}`];
    const isTrusted = (this.#options.trustedHosts ?? []).some((host) => names.includes(host));
    return url.origin === this.origin || isTrusted ? 'loopback' : this.#registryZone();
  }

  /** A registry that cannot be resolved, or not by us, counts as public: that is the zone with the fewest rights. */
  async #registryZone(): Promise<NetworkZone> {
    const url = new URL(this.origin);
    const host = bareHost(url.hostname);
    if (isIP(host) !== 0) return zoneOf(host);
    if (proxyFor(url, this.#options.proxies ?? {}) !== undefined) return 'public';
    if (this.#zone === 'forbidden') {
      const found = await this.#resolve(host).catch(() => []);
      this.#note(found.map((entry) => entry.address));
    }
    return this.#zone === 'forbidden' ? 'public' : this.#zone;
  }

  #note(addresses: readonly string[]): void {
    this.#zone = outermost([this.#zone, ...addresses.map(zoneOf)]);
  }

  #tls(): SecureContext {
    this.#secureContext ??= secureContextFor(this.#options.ca);
    return this.#secureContext;
  }
}

const isForbidden = ({ hostname }: URL): boolean =>
  isIP(bareHost(hostname)) !== 0 && zoneOf(bareHost(hostname)) === 'forbidden';

const proxyHop = (url: URL): ProxyHop => ({
  url,
  secureContext: url.protocol === 'https:' ? secureContextFor(undefined) : undefined,
  authorization: proxyAuthorization(url),
});

const bareHost = (hostname: string): string => hostname.replace(/^\[|\]$/g, '');

let systemContext: SecureContext | undefined;

/** Certificates that the operating system trusts beside those that Node ships, as other registry clients do; and `ca`. */
function secureContextFor(ca: string | undefined): SecureContext {
  if (ca === undefined && systemContext !== undefined) return systemContext;
  const trusted = [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  const context = createSecureContext({ ca: ca === undefined ? trusted : [...trusted, ca], minVersion: 'TLSv1.2' });
  if (ca === undefined) systemContext = context;
  return context;
}
