import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import {
  type ProxySettings,
  proxyAuthorization,
  proxyFor,
  readProxySettings,
} from '../../platform/environment-proxy.ts';
import { misconfigured } from './errors.ts';

export interface DispatchersOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly connectTimeoutMs: number;
}

/** Connections to Oracle's services, by the HTTP proxies of the environment where it names any. */
export class Dispatchers {
  /** By no proxy: what answers on this machine's own link alone. */
  readonly direct: Dispatcher;
  readonly #proxies: ProxySettings;
  readonly #connect: { readonly timeout: number };
  readonly #byProxy = new Map<string, ProxyAgent>();

  constructor({ environment, connectTimeoutMs }: DispatchersOptions) {
    this.#proxies = readProxySettings(environment);
    this.#connect = { timeout: connectTimeoutMs };
    this.direct = new Agent({ connect: this.#connect });
  }

  /** @throws OracleError `Misconfigured` where the environment's proxy is none */
  for(url: URL): Dispatcher {
    const proxy = this.#proxyFor(url);
    if (proxy === undefined) return this.direct;
    const known = this.#byProxy.get(proxy.href);
    if (known !== undefined) return known;
    const token = proxyAuthorization(proxy);
    const made = new ProxyAgent({ uri: proxy.origin, connect: this.#connect, ...(token !== undefined && { token }) });
    this.#byProxy.set(proxy.href, made);
    return made;
  }

  /** Ends connections at once. */
  destroy(): void {
    for (const dispatcher of [this.direct, ...this.#byProxy.values()]) void dispatcher.destroy();
  }

  #proxyFor(url: URL): URL | undefined {
    try {
      return proxyFor(url, this.#proxies);
    } catch (error) {
      throw misconfigured(error instanceof Error ? error.message : 'no proxy');
    }
  }
}
