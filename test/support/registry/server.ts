import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, isIPv6, type Socket } from 'node:net';
import type { FaultPlan } from '../faults.ts';
import { type HttpAnswer, send } from './answer.ts';
import { type Clock, type Exchange, systemClock } from './exchange.ts';
import type { Mutable, RecordedRequest } from './request-log.ts';

export interface ListenOptions {
  /** Address to listen on, by default 127.0.0.1. */
  readonly host?: string;
  /** By default 0: a free one. */
  readonly port?: number;
  /** Host name in `origin`, by default `host`; the name of the certificate where there is one. */
  readonly hostname?: string;
  /** PEM certificate and key: https instead of http. */
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer };
  readonly clock?: Clock;
  /** Says `100 Continue` only to requests that would be let in; by default to all, before it looks at them. */
  readonly refusesBeforeBody?: boolean;
}

/** What a server does with its requests. */
export interface Answering {
  readonly faults: FaultPlan;
  /** Called with each request, before any fault; puts the record into a log. */
  receive(exchange: Exchange): void;
  /** Whether the request would be let in, for faults that ask. */
  isAuthorized(exchange: Exchange): boolean;
  answer(exchange: Exchange): Promise<HttpAnswer>;
}

export interface RunningServer {
  /** `http://host:port`, without a slash at the end. */
  readonly origin: string;
  /** `host:port`. */
  readonly authority: string;
  /** Ends every connection and answer at once, hanging ones too. */
  close(): Promise<void>;
}

/** Starts a listener whose every answer may be replaced by a fault. */
export async function startServer(options: ListenOptions, answering: Answering): Promise<RunningServer> {
  const { host = '127.0.0.1', port = 0, tls, clock = systemClock } = options;
  const server: Server = tls === undefined ? createServer() : createTlsServer({ ...tls });
  server.requestTimeout = 0;
  const sockets = trackSockets(server);
  const pending = new Set<Promise<void>>();
  let origin = '';
  const onRequest = (isAwaited: boolean) => (request: IncomingMessage, response: ServerResponse) => {
    const serving = { origin, clock, sockets, answering, isAwaited };
    const settled = serve(request, response, serving).finally(() => pending.delete(settled));
    pending.add(settled);
  };
  server.on('request', onRequest(false));
  if (options.refusesBeforeBody) server.on('checkContinue', onRequest(true));
  server.listen(port, host);
  await once(server, 'listening');
  const name = options.hostname ?? host;
  const authority = `${isIPv6(name) ? `[${name}]` : name}:${(server.address() as AddressInfo).port}`;
  origin = `${tls === undefined ? 'http' : 'https'}://${authority}`;
  return { origin, authority, close: () => closeServer(server, sockets, pending) };
}

async function closeServer(server: Server, sockets: Sockets, pending: Set<Promise<void>>): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  for (const socket of sockets.values()) socket.destroy();
  await closed;
  await Promise.all(pending);
}

/** The TCP sockets by peer: below TLS they are what can be reset. */
type Sockets = Map<string, Socket>;

function trackSockets(server: Server): Sockets {
  const sockets: Sockets = new Map();
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket);
    sockets.set(peer, socket);
    socket.once('close', () => sockets.delete(peer));
  });
  return sockets;
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

interface Serving {
  readonly origin: string;
  readonly clock: Clock;
  readonly sockets: Sockets;
  readonly answering: Answering;
  /** The client waits for `100 Continue`. */
  readonly isAwaited: boolean;
}

async function serve(request: IncomingMessage, response: ServerResponse, serving: Serving): Promise<void> {
  const { origin, clock, sockets, answering, isAwaited } = serving;
  const connection = new AbortController();
  const ended = Promise.withResolvers<'complete' | 'broken'>();
  response.once('close', () => {
    ended.resolve(response.writableFinished ? 'complete' : 'broken');
    connection.abort();
  });
  const peer = peerOf(request.socket);
  const exchange = openExchange(request, { origin, clock, signal: connection.signal, ended: ended.promise });
  const { record } = exchange;
  try {
    answering.receive(exchange);
    if (isAwaited && answering.isAuthorized(exchange)) response.writeContinue();
    const answer = await faultyAnswer(exchange, answering);
    if ('status' in answer) record.status = answer.status;
    await send(answer, {
      response,
      signal: connection.signal,
      reset: () => sockets.get(peer)?.resetAndDestroy(),
      sent: (bytes) => {
        record.bytesSent += bytes;
      },
    });
  } catch (error) {
    if (connection.signal.aborted || request.errored !== null) return;
    // A defect of this server must not look like a registry's answer to the code under test.
    response.socket?.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

async function faultyAnswer(exchange: Exchange, answering: Answering) {
  const fault = answering.faults.take({
    method: exchange.method,
    path: exchange.url.pathname,
    exchange,
    get isAuthorized() {
      return answering.isAuthorized(exchange);
    },
  });
  if (fault === undefined) return answering.answer(exchange);
  exchange.record.fault = fault.name;
  return fault.inflict(() => answering.answer(exchange), exchange);
}

function openExchange(
  request: IncomingMessage,
  context: { origin: string; clock: Clock; signal: AbortSignal; ended: RecordedRequest['ended'] },
): Exchange {
  const method = request.method ?? 'GET';
  const url = request.url ?? '/';
  const record: Mutable<RecordedRequest> = {
    at: context.clock.now(),
    method,
    url,
    headers: request.headers,
    status: undefined,
    fault: undefined,
    bytesSent: 0,
    ended: context.ended,
  };
  return {
    method,
    url: new URL(url.startsWith('/') ? `${context.origin}${url}` : url, context.origin),
    headers: request.headers,
    body: request,
    record,
    signal: context.signal,
    clock: context.clock,
  };
}
