import type { RequestOptions } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { KubeConfig } from '@kubernetes/client-node';

/** Where the API server is, and what it is shown and trusted by. */
export interface ApiAccess {
  readonly server: URL;
  readonly tls: ApiTls;
  /** `authorization` and the like; never to be written anywhere. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface ApiTls extends Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> {
  readonly rejectUnauthorized?: boolean;
  readonly servername?: string;
}

export interface ApiAccessOptions {
  /** A kubeconfig file; without it the service account of the pod is used. */
  readonly kubeconfig?: string | undefined;
  readonly now: () => number;
}

/** The kubelet replaces a token when a fifth of its life is left: of an hour, twelve minutes. */
const freshMs = 60_000;

/**
 * Reads access from a kubeconfig or from the pod's service account, and again once a minute, so that tokens,
 * certificates and authorities that were replaced on disk are followed. `renew` makes the next call read at once: for
 * when the API server answered 401.
 *
 * `KubeConfig` does the reading (contexts, inline and file data, exec plugins). Nothing else of its package is used:
 * its typed clients encode objects anew and drop the fields that are newer than they are.
 */
export class ApiAccessSource {
  readonly #options: ApiAccessOptions;
  #config: KubeConfig | undefined;
  #current: { readonly access: Promise<ApiAccess>; readonly readAt: number } | undefined;

  constructor(options: ApiAccessOptions) {
    this.#options = options;
  }

  current(): Promise<ApiAccess> {
    const now = this.#options.now();
    if (this.#current === undefined || now - this.#current.readAt > freshMs) {
      const access = this.#read();
      this.#current = { access, readAt: now };
      access.catch(() => this.renew());
    }
    return this.#current.access;
  }

  renew(): void {
    this.#current = undefined;
    this.#config = undefined;
  }

  async #read(): Promise<ApiAccess> {
    // An exec plugin keeps its own token as long as that lives; files are always read anew.
    if (this.#config?.getCurrentUser()?.exec === undefined) this.#config = this.#load();
    const config = this.#config;
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new Error('the kubeconfig has no current cluster');
    if (cluster.proxyUrl !== undefined) throw new Error('a proxy-url in the kubeconfig is not supported');
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    return { server: new URL(cluster.server), tls: tlsOf(options), headers: headersOf(options) };
  }

  #load(): KubeConfig {
    const config = new KubeConfig();
    const { kubeconfig } = this.#options;
    if (kubeconfig !== undefined) {
      config.loadFromFile(kubeconfig);
      return config;
    }
    config.loadFromCluster();
    const server = config.getCurrentCluster()?.server ?? '';
    if (server.includes('undefined')) throw new Error('neither a kubeconfig was named nor is this a pod of a cluster');
    return config;
  }
}

function tlsOf({ ca, cert, key, rejectUnauthorized, servername }: RequestOptions): ApiTls {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
    ...(servername === undefined ? {} : { servername }),
  };
}

function headersOf({ headers, auth }: RequestOptions): Record<string, string> {
  const entries = Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value).trim()]);
  if (typeof auth === 'string') entries.push(['authorization', `Basic ${Buffer.from(auth).toString('base64')}`]);
  return Object.fromEntries(entries);
}
