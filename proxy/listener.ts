import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import type { Action } from '../credentials/grant.ts';
import type { RegistryTransports } from '../credentials/registry-transports.ts';
import { type ConnectionLimit, limitConnections } from '../platform/connection-limit.ts';
import { cutOff } from '../platform/cut-off.ts';
import { drainable } from '../platform/drain.ts';
import { ProxyError } from '../platform/errors.ts';
import { inTurn } from '../platform/in-turn.ts';
import { toProxyError } from '../platform/network-error.ts';
import type { SealingKeys } from '../platform/sealing-keys.ts';
import type { Access, Admission, Call } from './access.ts';
import { tokenOf } from './caller.ts';
import { forward } from './forward.ts';
import { ForwardProxy, type ForwardProxyOptions } from './forward-proxy.ts';
import { noteBreak, noteRefusal, type Operation, type OperationObserver } from './operation.ts';
import { answer, isUnread, type RequestBody, takeBody } from './request-body.ts';
import { actionOf, isRead } from './rights.ts';
import { parseRoute, type RepositoryRoute, type Route } from './route.ts';
import { type LimitedKind, limitedKind, UpstreamLimits } from './upstream-limits.ts';
import { refuseWebPages } from './web-pages.ts';
import { write } from './write.ts';

export interface ProxyOptions {
  readonly access: Access;
  readonly transports: RegistryTransports;
  /** Lets callers push and delete; without it there are pulls only. */
  readonly writes?: { readonly sealing: SealingKeys };
  /** Of several listeners in one process, because what they count is the registry's; its own when absent. */
  readonly limits?: UpstreamLimits;
  readonly observe?: OperationObserver;
  /** 0 ≤ n < 1. */
  readonly random?: () => number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** A connection on which nothing moves for this long is cut. */
  readonly idleMs?: number;
  readonly connections?: ConnectionLimit;
  /** Serves CONNECT and absolute URLs as well; without it they are refused. */
  readonly forwardProxy?: ForwardProxyOptions;
  /** Serves HTTPS in place of HTTP. */
  readonly tls?: TlsOptions;
  /**
   * Refuses requests to other hosts, by their `Host` header, and those of web pages: for a listener that asks nobody for
   * a token. Those to the forward proxy, which web pages cannot make, are served all the same.
   */
  readonly isHostAllowed?: (host: string) => boolean;
}

/** What serving a request takes. */
export type ServingOptions = Pick<
  ProxyOptions,
  'access' | 'transports' | 'writes' | 'observe' | 'random' | 'now' | 'isHostAllowed'
> & {
  readonly limits: UpstreamLimits;
};

export interface ProxyListener {
  /** Not listening yet. */
  readonly server: Server;
  /** Takes no new connection, lets requests under way end for at most `graceMs`, then cuts them. */
  drain(graceMs: number): Promise<void>;
}

/** The one that every client knows; the password is the token. */
const challenge = 'Basic realm="oci-connector"';

/** Longer than the registry may take for its last answer to a push, or for two attempts of a pull. */
const defaultIdleMs = 780_000;
/** An unfinished head costs up to 32 KiB: what many peers of one machine may hold is bounded. */
const defaultConnections: ConnectionLimit = { total: 8_000, perAddress: 4_000 };

const httpOptions: ServerOptions = {
  keepAliveTimeout: 75_000,
  headersTimeout: 10_000,
  // By default heads are looked after twice a minute only.
  connectionsCheckingInterval: 5_000,
  // Pushes take as long as they take, as long as something moves.
  requestTimeout: 0,
  maxHeaderSize: 32_768,
  requireHostHeader: true,
};

/**
 * Builds the proxy: a registry for its callers, a caller of the registries behind it. It is plain `node:http`, because
 * a framework's share of a small request is more than ours (bench/README.md).
 */
export function buildProxy(options: ProxyOptions): ProxyListener {
  const serving: ServingOptions = { ...options, limits: options.limits ?? new UpstreamLimits() };
  const { isHostAllowed: _, ...servingAnyHost } = serving;
  const idleMs = options.idleMs ?? defaultIdleMs;
  const forwardProxy =
    options.forwardProxy &&
    new ForwardProxy(options.forwardProxy, {
      access: options.access,
      observe: options.observe,
      idleMs,
      openServer: (listener) => serveRequests(createServer(httpOptions), listener, idleMs),
      serve: (request, response, call, locate) =>
        void answerCall(request, response, call, servingAnyHost, (_request, signal) => locate(signal)),
      isEnding: () => !server.listening,
    });
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    // A connection that stays open would keep a draining server waiting.
    if (!server.listening) response.shouldKeepAlive = false;
    forwardProxy?.note(request, response);
    if (forwardProxy !== undefined && !request.url?.startsWith('/')) return void forwardProxy.answer(request, response);
    const call = { token: tokenOf(request.headers.authorization), origin: originOf(request) };
    void answerCall(request, response, call, serving);
  };
  const server =
    options.tls === undefined ? createServer(httpOptions) : createHttpsServer({ ...httpOptions, ...options.tls });
  serveRequests(server, onRequest, idleMs);
  limitConnections(server, options.connections ?? defaultConnections);
  const drain = drainable(server);
  if (forwardProxy === undefined) return { server, drain };
  server.on('connect', (request, socket, head) => forwardProxy.connect(request, socket as Socket, head));
  return {
    server,
    async drain(graceMs) {
      const stop = forwardProxy.endIdle();
      await drain(graceMs).finally(stop);
    },
  };
}

function serveRequests(server: Server, listener: RequestListener, idleMs: number): Server {
  server.on('request', inTurn(listener));
  // Who waits for 100 Continue gets it when the body is wanted, and at once where there is none.
  const continuing = inTurn((request, response) => {
    if (!isUnread(request)) response.writeContinue();
    listener(request, response);
  });
  server.on('checkContinue', continuing);
  return server.setTimeout(idleMs);
}

const originOf = (request: IncomingMessage) => ({ address: request.socket.remoteAddress ?? '' });

/** What a request is about. @throws ProxyError */
export type Locate = (request: IncomingMessage, signal: AbortSignal) => Route | Promise<Route>;

const locateByAddress: Locate = (request) => parseRoute(request.url ?? '', hostOf(request));

/** The one host that a request names; of several, somebody on the way may have gone by another one than we would. */
function hostOf({ headers, rawHeaders }: IncomingMessage): string | undefined {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.length === 4 && rawHeaders[at]?.toLowerCase() === 'host') count += 1;
  }
  return count === 1 ? headers.host : undefined;
}

/** Serves one request of the registry API for whoever `call` says is calling. It never rejects. */
export async function answerCall(
  request: IncomingMessage,
  response: ServerResponse,
  call: Call,
  options: ServingOptions,
  locate: Locate = locateByAddress,
): Promise<void> {
  const startedAt = performance.now();
  const operation: Operation = { method: request.method ?? '', status: 0, bytes: 0, durationMs: 0 };
  let cause: unknown;
  try {
    await serve({ request, response, call, options, operation }, locate);
  } catch (error) {
    cause = refuse(request, response, operation, error);
  }
  operation.durationMs = performance.now() - startedAt;
  options.observe?.(operation, cause);
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly call: Call;
  readonly options: ServingOptions;
  readonly operation: Operation;
}

async function serve(exchange: Exchange, locate: Locate): Promise<void> {
  const { request, response, call, options, operation } = exchange;
  if (options.isHostAllowed !== undefined) refuseWebPages(hostOf(request), request.headers, options.isHostAllowed);
  // Before the path: a push must hear that pushes are not served, and not that its path is unknown.
  if (options.writes === undefined && !isRead(request.method ?? '')) {
    throw new ProxyError('METHOD_UNSUPPORTED', `${request.method} is not served: this proxy is for pulls`, {
      headers: { allow: 'GET, HEAD' },
    });
  }
  const departure = new AbortController();
  const onClose = (): void => {
    // Every answer closes at its end: only before that somebody has gone.
    if (!response.writableEnded) departure.abort(new DOMException('the caller went away', 'AbortError'));
  };
  response.once('close', onClose);
  try {
    const route = await locate(request, departure.signal);
    if (route.kind === 'base') {
      operation.caller = (await options.access.identify(call, departure.signal)).name;
      answerBase(request, response, operation);
    } else {
      await serveRepository(exchange, route, departure.signal);
    }
  } finally {
    response.off('close', onClose);
  }
}

async function serveRepository(exchange: Exchange, route: RepositoryRoute, signal: AbortSignal): Promise<void> {
  const { request, call, options, operation } = exchange;
  const action = describe(operation, route);
  if (action === undefined || (action !== 'pull' && options.writes === undefined)) {
    const allow = options.writes === undefined ? 'GET, HEAD' : 'GET, HEAD, POST, PUT, PATCH, DELETE';
    throw new ProxyError('METHOD_UNSUPPORTED', `${request.method} is not served here`, { headers: { allow } });
  }
  const { connector: key, repository } = route;
  const admission = await options.access.admit({ ...call, connector: key, repository, action }, signal);
  operation.caller = admission.caller.name;
  operation.isAdmitted = true;
  const { connector } = admission;
  // Before it has its turn: who sends slowly keeps nobody else waiting.
  const body = action === 'pull' ? undefined : await takeBody(request, exchange.response, signal);
  const kind = limitedKind(request.method, action, route.endpoint.kind);
  try {
    await options.limits.run({ connector, caller: admission.caller, kind }, signal, () =>
      carry(exchange, route, action, admission, body, signal, kind),
    );
  } catch (error) {
    throw toProxyError(error, new URL(connector.address.origin).host);
  }
}

function carry(
  { request, response, call, options, operation }: Exchange,
  route: RepositoryRoute,
  action: Action,
  admission: Admission,
  body: RequestBody,
  signal: AbortSignal,
  kind: LimitedKind,
): Promise<void> {
  const { caller, connector, grants, centre } = admission;
  const { transports, writes, random = Math.random, now = Date.now, access, limits } = options;
  const transport = transports.for(connector);
  const onAnswer = (status: number, headers: IncomingHttpHeaders): void =>
    limits.learn(connector, kind, status, headers);
  const common = { grants, transport, connector, caller, route, operation, signal, random, onAnswer };
  if (action === 'pull' || writes === undefined) return forward(request, response, { ...common, centre });
  const mayPull = async (repository: string): Promise<boolean> => {
    try {
      await access.admit({ ...call, connector: connector.key, repository, action: 'pull' }, signal);
      return true;
    } catch (error) {
      if (error instanceof ProxyError) return false;
      throw error;
    }
  };
  return write(request, response, { ...common, action, body, now, mayPull, sealing: writes.sealing });
}

/** Notes what a request is about, and the right that it needs. */
function describe(operation: Operation, { connector, repository, endpoint }: RepositoryRoute): Action | undefined {
  const action = actionOf(operation.method, endpoint);
  operation.connector = connector;
  operation.repository = repository;
  operation.endpoint = endpoint.kind;
  if (action !== undefined) operation.action = action;
  if (endpoint.kind === 'manifests') operation.reference = endpoint.reference;
  if (endpoint.kind === 'blobs' || endpoint.kind === 'referrers') operation.reference = endpoint.digest;
  return action;
}

function answerBase(request: IncomingMessage, response: ServerResponse, operation: Operation): void {
  operation.endpoint = 'base';
  operation.status = 200;
  const headers = {
    'content-type': 'application/json',
    'content-length': '2',
    'docker-distribution-api-version': 'registry/2.0',
  };
  answer(request, response, 200, headers, '{}');
}

/** Answers with an error, or breaks off an answer that has begun. Returns what deserves a line in the log. */
function refuse(request: IncomingMessage, response: ServerResponse, operation: Operation, error: unknown): unknown {
  if (response.headersSent || response.destroyed) {
    const isGone = response.destroyed;
    noteBreak(operation, isGone);
    // HTTP/1.0 has no chunks: for such a caller, a connection that simply ends would be the end of the body.
    if (request.httpVersion === '1.0') cutOff(request.socket);
    response.destroy();
    return isGone ? undefined : error;
  }
  const refusal = noteRefusal(operation, error);
  send(request, response, refusal, operation.connector);
  return refusal.cause ?? refusal;
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  refusal: ProxyError,
  connector: ConnectorKey | undefined,
): void {
  const body = refusal.toBody(connector === undefined ? undefined : formatKey(connector));
  const headers = {
    ...refusal.headers,
    ...(refusal.status === 401 && { 'www-authenticate': challenge }),
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'docker-distribution-api-version': 'registry/2.0',
  };
  answer(request, response, refusal.status, headers, body);
}
