import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import type { RegistryTransports } from '../credentials/registry-transports.ts';
import { type ConnectionLimit, limitConnections } from '../platform/connection-limit.ts';
import { drainable } from '../platform/drain.ts';
import { ProxyError } from '../platform/errors.ts';
import { toProxyError } from '../platform/network-error.ts';
import type { Access, Call } from './access.ts';
import { tokenOf } from './caller.ts';
import { forward } from './forward.ts';
import type { Operation, OperationObserver } from './operation.ts';
import { parseRoute, type Route } from './route.ts';

export interface ProxyOptions {
  readonly access: Access;
  readonly transports: RegistryTransports;
  readonly observe?: OperationObserver;
  /** 0 ≤ n < 1. */
  readonly random?: () => number;
  /** A connection on which nothing moves for this long is cut. */
  readonly idleMs?: number;
  readonly connections?: ConnectionLimit;
}

export interface ProxyListener {
  /** Not listening yet. */
  readonly server: Server;
  /** Takes no new connection, lets requests under way end for at most `graceMs`, then cuts them. */
  drain(graceMs: number): Promise<void>;
}

/** The one that every client knows; the password is the token. */
const challenge = 'Basic realm="oci-connector"';

/** Longer than the registry may take for two attempts. */
const defaultIdleMs = 300_000;
/** An unfinished head costs up to 32 KiB: what many peers of one machine may hold is bounded. */
const defaultConnections: ConnectionLimit = { total: 8_000, perAddress: 4_000 };

/**
 * Builds the proxy: a registry for its callers, a caller of the registries behind it. It is plain `node:http`, because
 * a framework's share of a small request is more than ours (bench/README.md).
 */
export function buildProxy(options: ProxyOptions): ProxyListener {
  const server = createServer(
    { keepAliveTimeout: 75_000, headersTimeout: 10_000, maxHeaderSize: 32_768, requireHostHeader: true },
    (request, response) => {
      // A connection that stays open would keep a draining server waiting.
      if (!server.listening) response.shouldKeepAlive = false;
      const call = { token: tokenOf(request.headers.authorization), origin: originOf(request) };
      void answerCall(request, response, call, options);
    },
  );
  server.setTimeout(options.idleMs ?? defaultIdleMs);
  limitConnections(server, options.connections ?? defaultConnections);
  return { server, drain: drainable(server) };
}

const originOf = (request: IncomingMessage) => ({ address: request.socket.remoteAddress ?? '' });

/** Serves one request of the registry API for whoever `call` says is calling. It never rejects. */
export async function answerCall(
  request: IncomingMessage,
  response: ServerResponse,
  call: Call,
  options: ProxyOptions,
): Promise<void> {
  const startedAt = performance.now();
  const operation: Operation = { method: request.method ?? '', status: 0, bytes: 0, durationMs: 0 };
  let cause: unknown;
  try {
    await serve(request, response, call, options, operation);
  } catch (error) {
    cause = refuse(request, response, operation, error);
  }
  operation.durationMs = performance.now() - startedAt;
  options.observe?.(operation, cause);
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  call: Call,
  options: ProxyOptions,
  operation: Operation,
): Promise<void> {
  // Before the path: a push must hear that pushes are not served, and not that its path is unknown.
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    throw new ProxyError('METHOD_UNSUPPORTED', `${request.method} is not served: this proxy is for pulls`, {
      headers: { allow: 'GET, HEAD' },
    });
  }
  const route = parseRoute(request.url ?? '', request.headers.host);
  const departure = new AbortController();
  const onClose = (): void => {
    // Every answer closes at its end: only before that somebody has gone.
    if (!response.writableEnded) departure.abort(new DOMException('the caller went away', 'AbortError'));
  };
  response.once('close', onClose);
  try {
    if (route.kind === 'base') {
      operation.caller = (await options.access.identify(call, departure.signal)).name;
      answerBase(response, operation);
    } else {
      describe(operation, route);
      await pull({ request, response, call, options, operation, route, signal: departure.signal });
    }
  } finally {
    response.off('close', onClose);
  }
}

interface Pull {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly call: Call;
  readonly options: ProxyOptions;
  readonly operation: Operation;
  readonly route: Extract<Route, { kind: 'repository' }>;
  readonly signal: AbortSignal;
}

async function pull({ request, response, call, options, operation, route, signal }: Pull): Promise<void> {
  const { connector: key, repository } = route;
  const admission = await options.access.admit({ ...call, connector: key, repository, action: 'pull' }, signal);
  const { caller, connector, grants, centre } = admission;
  operation.caller = caller.name;
  operation.isAdmitted = true;
  const random = options.random ?? Math.random;
  try {
    const transport = options.transports.for(connector);
    await forward(request, response, {
      grants,
      transport,
      connector,
      caller,
      centre,
      route,
      operation,
      signal,
      random,
    });
  } catch (error) {
    throw toProxyError(error, new URL(connector.address.origin).host);
  }
}

function describe(operation: Operation, { connector, endpoint }: Extract<Route, { kind: 'repository' }>): void {
  operation.connector = connector;
  operation.endpoint = endpoint.kind;
  operation.action = 'pull';
  if (endpoint.kind === 'manifests') operation.reference = endpoint.reference;
  if (endpoint.kind === 'blobs' || endpoint.kind === 'referrers') operation.reference = endpoint.digest;
}

function answerBase(response: ServerResponse, operation: Operation): void {
  operation.endpoint = 'base';
  operation.status = 200;
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': '2',
    'docker-distribution-api-version': 'registry/2.0',
  });
  response.end('{}');
}

/** Answers with an error, or breaks off an answer that has begun. Returns what deserves a line in the log. */
function refuse(request: IncomingMessage, response: ServerResponse, operation: Operation, error: unknown): unknown {
  if (response.headersSent || response.destroyed) {
    operation.error = response.destroyed ? 'CANCELLED' : 'BROKEN';
    // HTTP/1.0 has no chunks: for such a caller, a connection that simply ends would be the end of the body.
    if (request.httpVersion === '1.0') request.socket.resetAndDestroy();
    response.destroy();
    return operation.error === 'BROKEN' ? error : undefined;
  }
  const isKnown = error instanceof ProxyError;
  const refusal = isKnown ? error : new ProxyError('INTERNAL', 'an error that should not be; the log has more');
  operation.error = refusal.code;
  if (refusal.caller !== undefined) operation.caller ??= refusal.caller;
  operation.status = refusal.status;
  send(request, response, refusal, operation.connector);
  return isKnown ? (error.cause ?? error) : error;
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  refusal: ProxyError,
  connector: ConnectorKey | undefined,
): void {
  const body = refusal.toBody(connector === undefined ? undefined : formatKey(connector));
  response.writeHead(refusal.status, {
    ...refusal.headers,
    ...(refusal.status === 401 && { 'www-authenticate': challenge }),
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'docker-distribution-api-version': 'registry/2.0',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
