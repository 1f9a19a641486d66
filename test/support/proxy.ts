import { EventEmitter, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { buildCatalogue } from '../../connectors/catalogue.ts';
import { connectorApiVersion, type Document, secretTypes } from '../../connectors/schema.ts';
import { LocalGrants } from '../../credentials/local-grants.ts';
import { RegistryTransports } from '../../credentials/registry-transports.ts';
import type { SealingKeys } from '../../platform/sealing-keys.ts';
import { localAccess } from '../../proxy/access.ts';
import { type CallerSource, everyone } from '../../proxy/caller.ts';
import type { ForwardProxyOptions } from '../../proxy/forward-proxy.ts';
import { buildProxy, type ProxyListener } from '../../proxy/listener.ts';
import type { Operation, OperationObserver } from '../../proxy/operation.ts';
import type { UpstreamLimits } from '../../proxy/upstream-limits.ts';

export interface ConnectorOptions {
  /** `namespace/name`, by default `demo/registry`. */
  readonly key?: string;
  /** Becomes a Secret; absent for an open registry. */
  readonly username?: string;
  readonly password?: string;
  /** PEM certificate; becomes a Secret. */
  readonly ca?: string;
  readonly redirect?: string;
  readonly trustedHosts?: string;
}

/** A Connector to `address`, with the Secrets that it names. */
export function connectorTo(address: string, options: ConnectorOptions = {}): Document[] {
  const [namespace = '', name = ''] = (options.key ?? 'demo/registry').split('/');
  const { username, password, ca, redirect, trustedHosts } = options;
  const params = Object.entries({ redirect, trustedHosts }).flatMap(([param, value]) =>
    value === undefined ? [] : [{ name: param, value }],
  );
  const secret = (suffix: string, type: string, stringData: Record<string, string>): Document => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name: `${name}-${suffix}` },
    type,
    stringData,
  });
  const hasCredential = username !== undefined && password !== undefined;
  return [
    {
      apiVersion: connectorApiVersion,
      kind: 'Connector',
      metadata: { namespace, name },
      spec: {
        connectorClassName: 'oci',
        address,
        params,
        ...(hasCredential ? { auth: { name: 'tokenAuth', secretRef: { name: `${name}-login` } } } : {}),
        ...(ca === undefined ? {} : { caCertSecretRef: { name: `${name}-ca` } }),
      },
    },
    ...(hasCredential ? [secret('login', secretTypes.registryToken, { username, password })] : []),
    ...(ca === undefined ? [] : [secret('ca', 'Opaque', { 'ca.crt': ca })]),
  ];
}

export interface StartProxyOptions {
  readonly documents: Iterable<Document>;
  /** By default everyone. */
  readonly callers?: CallerSource;
  readonly transports?: ConstructorParameters<typeof RegistryTransports>[0];
  readonly now?: () => number;
  readonly observer?: OperationObserver;
  readonly idleMs?: number;
  /** Lets callers push and delete; absent: pulls only. */
  readonly sealing?: SealingKeys;
  readonly limits?: UpstreamLimits;
  /** CONNECT and absolute URLs are served; absent: refused. */
  readonly forwardProxy?: ForwardProxyOptions;
  /** HTTPS in place of HTTP. */
  readonly tls?: TlsOptions;
}

export interface RunningProxy extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  readonly port: number;
  readonly proxy: ProxyListener;
  /** Operations that have ended, in that order. */
  readonly operations: readonly Operation[];
  /** Results of the token exchanges that were made. */
  readonly exchanges: readonly string[];
  /** Resolves with the `count`th operation, as soon as it has ended. */
  operation(count?: number): Promise<Operation>;
  /** The URL of `tail`, `team/app/manifests/v1`, in path form. */
  url(tail: string, key?: string): string;
  close(): Promise<void>;
}

/** Starts a proxy on a free port of 127.0.0.1, with grants made here and retries after 50 ms. */
export async function startProxy(options: StartProxyOptions): Promise<RunningProxy> {
  const { documents, callers = everyone, now, observer, idleMs, sealing, limits, forwardProxy, tls } = options;
  const store = { catalogue: buildCatalogue(documents) };
  const transports = new RegistryTransports(options.transports);
  const exchanges: string[] = [];
  const grants = new LocalGrants({
    transports,
    ...(now && { now }),
    onExchange: (_connector, result) => exchanges.push(result),
  });
  const operations: Operation[] = [];
  const ended = new EventEmitter();
  const proxy = buildProxy({
    access: localAccess({ store, callers, grants }),
    transports,
    random: () => 0,
    observe: (operation, cause) => {
      observer?.(operation, cause);
      operations.push(operation);
      ended.emit('operation');
    },
    ...(idleMs !== undefined && { idleMs }),
    ...(sealing !== undefined && { writes: { sealing } }),
    ...(limits !== undefined && { limits }),
    ...(forwardProxy !== undefined && { forwardProxy }),
    ...(tls !== undefined && { tls }),
    ...(now && { now }),
  });
  proxy.server.listen(0, '127.0.0.1');
  await once(proxy.server, 'listening');
  const { port } = proxy.server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  const close = async () => {
    await proxy.drain(0);
    await transports.close();
  };
  return {
    origin,
    port,
    proxy,
    operations,
    exchanges,
    operation: async (count = 1) => {
      for (;;) {
        const operation = operations[count - 1];
        if (operation !== undefined) return operation;
        await once(ended, 'operation');
      }
    },
    url: (tail, key = 'demo/registry') => `${origin}/v2/namespaces/${key.replace('/', '/connectors/')}/${tail}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}
