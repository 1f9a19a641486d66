import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { Dispatcher } from 'undici';
import { createCertificateAuthority, issueServerCertificate } from '../../../certs/authority.ts';
import { buildCatalogue } from '../../../connectors/catalogue.ts';
import { LastConfigurations } from '../../../connectors/configurations/last-configurations.ts';
import { callerAudience } from '../../../connectors/pull-identity.ts';
import type { Document } from '../../../connectors/schema.ts';
import { LocalGrants } from '../../../credentials/local-grants.ts';
import { RegistryTransports } from '../../../credentials/registry-transports.ts';
import { CentreClient } from '../../../platform/centre/client.ts';
import { centreDispatcher } from '../../../platform/centre/dispatcher.ts';
import { localAccess } from '../../../proxy/access.ts';
import { AccessReviews } from '../../../proxy/access-reviews.ts';
import { agentReviews, buildAgentApi } from '../../../proxy/agent-api.ts';
import {
  type ConfigurationSources,
  type RenderedVolume,
  volumeReviewsMax,
} from '../../../proxy/agent-configurations.ts';
import { agentAudience } from '../../../proxy/agent-protocol.ts';
import { CentralAccess } from '../../../proxy/central-access.ts';
import { clusterCallers } from '../../../proxy/cluster-callers.ts';
import { answerCall, buildProxy } from '../../../proxy/listener.ts';
import type { Operation, OperationObserver } from '../../../proxy/operation.ts';
import { TokenReviews } from '../../../proxy/token-reviews.ts';
import { UpstreamLimits } from '../../../proxy/upstream-limits.ts';
import { FakeApiServer, nodeExtra } from './reviews.ts';

export const agentName = 'system:serviceaccount:oci-connector:oci-connector-node';
const driverName = 'system:serviceaccount:oci-connector:oci-connector-csi';
export const host = '127.0.0.1';

/** An authority, and a server certificate of its for this machine. */
export async function makeServing() {
  const now = Date.now();
  const authority = await createCertificateAuthority({ name: 'serving', now, lifeMs: 3_600_000 });
  const { key, cert } = await issueServerCertificate(authority, { names: [host, 'localhost'], now, lifeMs: 3_600_000 });
  return { ca: authority.cert, key, cert };
}

export type Serving = Awaited<ReturnType<typeof makeServing>>;

/** A clock that goes on when it is told to. */
export function makeClock(start = Date.now()) {
  let at = start;
  return {
    now: () => at,
    pass: (ms: number) => {
      at += ms;
    },
  };
}

/** What all replicas of a centre have in common. */
export interface Cluster {
  readonly api: FakeApiServer;
  /** Replaces all Connectors and Secrets. */
  apply(documents: Iterable<Document>): void;
  readonly store: { catalogue: ReturnType<typeof buildCatalogue> };
  /** A token of the agent on this node. */
  agentToken(node: string): string;
  /** A token of the CSI driver on this node. */
  driverToken(node: string): string;
}

export function makeCluster(documents: Iterable<Document> = []): Cluster {
  const api = new FakeApiServer();
  const store = { catalogue: buildCatalogue(documents) };
  return {
    api,
    store,
    apply: (changed) => {
      store.catalogue = buildCatalogue(changed);
    },
    agentToken: (node) => api.login({ username: agentName, extra: nodeExtra(node) }, { audiences: [agentAudience] }),
    driverToken: (node) => api.login({ username: driverName, extra: nodeExtra(node) }, { audiences: [agentAudience] }),
  };
}

export interface CentreOptions {
  readonly cluster: Cluster;
  readonly serving: Serving;
  readonly now?: () => number;
  readonly imageHost?: string;
  readonly hasDriver?: boolean;
}

/** Starts a replica of the centre: its API for agents, over HTTPS. */
export async function startCentre(options: CentreOptions) {
  const { cluster, serving, now = Date.now, imageHost = 'localhost:1', hasDriver = true } = options;
  const { api: client, store } = cluster;
  const transports = new RegistryTransports();
  const exchanges: string[] = [];
  const operations: Operation[] = [];
  const errors: unknown[] = [];
  const grants = new LocalGrants({ transports, now, onExchange: (_connector, result) => exchanges.push(result) });
  const accessOf = (limits: { readonly max?: number } = {}) => {
    const tokens = new TokenReviews({ ...limits, client, audience: callerAudience, now });
    const callers = clusterCallers({ tokens, access: new AccessReviews({ ...limits, client, now }) });
    return localAccess({ store, callers, grants });
  };
  const access = accessOf();
  const answering = {
    access,
    transports,
    limits: new UpstreamLimits(),
    observe: (operation: Operation) => operations.push(operation),
    random: () => 0,
  };
  const requests: string[] = [];
  const rendered: RenderedVolume[] = [];
  const sources: ConfigurationSources = {
    store,
    access: accessOf({ max: volumeReviewsMax }),
    last: new LastConfigurations(),
    caBundle: () => serving.ca,
    clusterDomain: 'cluster.local',
    now,
    onRender: (volume) => rendered.push(volume),
  };
  const api = buildAgentApi({
    access,
    agents: new TokenReviews({ ...agentReviews, client, now }),
    agentName,
    driver: hasDriver ? { name: driverName, sources } : undefined,
    imageHost,
    serve: (request, response, call) => void answerCall(request, response, call, answering),
    onError: (error) => errors.push(error),
    now,
  });
  /** Answers every request instead, while it is set; or nothing does. */
  const fault: { status: number | 'hanging' | undefined } = { status: undefined };
  const server = createServer({ key: serving.key, cert: serving.cert, maxHeaderSize: 65_536 }, (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    if (fault.status === undefined) api(request, response);
    else if (fault.status !== 'hanging') response.writeHead(fault.status).end('no words of ours');
  });
  const { port, kill } = await listenOn(server);
  const close = async () => {
    await kill();
    await transports.close();
  };
  return { port, requests, rendered, exchanges, operations, errors, fault, kill, close, [Symbol.asyncDispose]: close };
}

/** Listens on a free port; `kill` takes the server and its connections away. */
async function listenOn(server: ReturnType<typeof createTcpServer>) {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, host);
  await once(server, 'listening');
  const kill = async () => {
    for (const socket of sockets) socket.resetAndDestroy();
    if (!server.listening) return;
    server.close();
    await once(server, 'close');
  };
  return { port: (server.address() as AddressInfo).port, kill, sockets };
}

/** A Service before replicas: each connection goes to the first of `ports` that is up. */
export async function startService(ports: readonly number[]) {
  const server = createTcpServer({ allowHalfOpen: false }, (socket) => forwardTo(socket, ports));
  const { port, kill } = await listenOn(server);
  return { port, close: kill, [Symbol.asyncDispose]: kill };
}

function forwardTo(socket: Socket, [port, ...others]: readonly number[]): void {
  if (port === undefined) return void socket.resetAndDestroy();
  const onward = connect(port, host);
  const onRefused = () => forwardTo(socket, others);
  onward.once('error', onRefused);
  onward.once('connect', () => {
    onward.off('error', onRefused);
    onward.on('error', () => socket.resetAndDestroy());
    socket.on('error', () => onward.destroy());
    socket.once('close', () => onward.destroy());
    onward.once('close', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
}

/** Stands between agent and centre, ends TLS on both sides, and keeps every byte, in both directions. */
export async function startTap(serving: Serving, port: number) {
  const chunks: Buffer[] = [];
  const server = createTlsServer({ key: serving.key, cert: serving.cert }, (socket: TLSSocket) => {
    const onward = connectTls({ port, host, ca: serving.ca });
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      from.on('data', (chunk: Buffer) => chunks.push(chunk));
      from.on('error', () => to.destroy());
      from.once('close', () => to.destroy());
      from.pipe(to);
    }
  });
  const { port: own, kill } = await listenOn(server);
  return { port: own, bytes: () => Buffer.concat(chunks), close: kill, [Symbol.asyncDispose]: kill };
}

export interface AgentOptions {
  readonly port: number;
  readonly ca: string | (() => string);
  readonly token: string | (() => string);
  readonly now?: () => number;
  readonly observer?: OperationObserver;
  /** Of the registry's side. */
  readonly transports?: ConstructorParameters<typeof RegistryTransports>[0];
}

const read = (value: string | (() => string)): (() => string) => (typeof value === 'string' ? () => value : value);

/** Starts an agent: the proxy with access and grants of the centre behind `port`. */
export async function startAgent({ port, ca, token, now = Date.now, observer, transports: reach }: AgentOptions) {
  const centre = `https://${host}:${port}`;
  const dispatcher: Dispatcher = centreDispatcher(centre, read(ca));
  const transports = new RegistryTransports(reach);
  const client = new CentreClient({ centre, dispatcher, agentToken: read(token), now });
  const access = new CentralAccess({ client, now });
  const operations: Operation[] = [];
  const ended = new EventEmitter();
  const proxy = buildProxy({
    access,
    transports,
    random: () => 0,
    observe: (operation, cause) => {
      observer?.(operation, cause);
      operations.push(operation);
      ended.emit('operation');
    },
  });
  proxy.server.listen(0, host);
  await once(proxy.server, 'listening');
  const own = (proxy.server.address() as AddressInfo).port;
  const close = async () => {
    await proxy.drain(0);
    await dispatcher.destroy();
    await transports.close();
  };
  return {
    access,
    operations,
    port: own,
    origin: `http://${host}:${own}`,
    url: (tail: string, key = 'demo/registry') =>
      `http://${host}:${own}/v2/namespaces/${key.replace('/', '/connectors/')}/${tail}`,
    operation: async (count: number) => {
      while (operations.length < count) await once(ended, 'operation');
      return operations[count - 1] as Operation;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
