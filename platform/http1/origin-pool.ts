import type { Socket } from 'node:net';
import { Dispatcher } from 'undici';
import { BufferSource } from './body-sender.ts';
import { Connection, type ConnectionLimits, type ConnectionOwner } from './connection.ts';
import { Http1Error } from './errors.ts';
import { type Carrier, Exchange, type ExchangeRequest } from './exchange.ts';
import type { BodySource, Http1DispatchOptions } from './request.ts';
import { type RequestLine, requestHead } from './request-head.ts';

/**
 * Opens a connection that hands what it reads to `receive`, and calls back once, though not before it returns.
 * @returns how to give up; nothing is called back after that
 */
export type Connect = (
  receive: (chunk: Buffer) => void,
  callback: (error: Error | null, socket?: Socket) => void,
) => () => void;

export interface OriginPoolOptions {
  readonly connect: Connect;
  /** From the request, or from the end of its body, to the head of the answer. */
  readonly headersMs: number;
  /** Between two pieces of a body in either direction; who holds us back on this side does not count. */
  readonly idleBodyMs: number;
  /** How long a connection is kept that nobody uses; the server may say less. */
  readonly keepAliveMs?: number;
  /** How long `100 Continue` is waited for. */
  readonly continueMs?: number;
  readonly maxHeaderSize?: number;
  /** A clock that never goes back, in milliseconds. */
  readonly now?: () => number;
  /** Most connections at the same time; as many as there are requests where absent. */
  readonly connections?: number | undefined;
  /** Connections lead to an HTTP proxy that forwards: it has to be told the whole URL, and who we are. */
  readonly forwarder?: { readonly authorization: string | undefined } | undefined;
}

/** A body up to this size goes out in one piece with its head. */
const smallBytesMax = 16_384;
/** How long an origin that did not say `100 Continue` is not asked for it. */
const silenceMs = 60_000;
const tickMsMax = 500;

/** HTTP/1.1 to one origin: as many connections as are needed, each kept for the next request, none for two at a time. */
export class OriginPool extends Dispatcher {
  readonly #options: OriginPoolOptions;
  readonly #line: RequestLine;
  readonly #limits: ConnectionLimits;
  readonly #tickMs: number;
  readonly #now: () => number;
  readonly #connectionsMax: number;
  readonly #connections = new Set<Connection>();
  /** The one that was used last is the next: the others get old. */
  readonly #idle: Connection[] = [];
  readonly #waiting = new Set<Exchange>();
  /** Connections that are being made, and how to give them up. */
  readonly #dials = new Set<() => void>();
  readonly #owner: ConnectionOwner = {
    onIdle: (connection) => this.#onIdle(connection),
    onClosed: (connection) => this.#onClosed(connection),
    onSilence: () => {
      this.#silentUntil = this.#now() + silenceMs;
    },
  };
  readonly #queue: Carrier = {
    drop: (exchange) => {
      this.#waiting.delete(exchange);
      this.#settle();
    },
    pause() {},
    resume() {},
  };
  #ticker: NodeJS.Timeout | undefined;
  #silentUntil = Number.NEGATIVE_INFINITY;
  #state: 'open' | 'closed' | 'destroyed' = 'open';
  readonly #settled = Promise.withResolvers<void>();

  /** @param origin `scheme://host[:port]` */
  constructor(origin: string, options: OriginPoolOptions) {
    super();
    const { headersMs, idleBodyMs, keepAliveMs = 30_000, forwarder } = options;
    const { host } = new URL(origin);
    const authorization = forwarder?.authorization;
    const proxyLine = authorization === undefined ? '' : `proxy-authorization: ${authorization}\r\n`;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#line = {
      prefix: forwarder === undefined ? '' : origin,
      fixed: `host: ${host}\r\nconnection: keep-alive\r\n${proxyLine}`,
    };
    this.#connectionsMax = options.connections ?? Number.POSITIVE_INFINITY;
    // What may take long may also be a little late: an eighth, and no more than half a second.
    this.#tickMs = Math.max(1, Math.min(tickMsMax, Math.floor(Math.min(headersMs, idleBodyMs, keepAliveMs) / 8)));
    const ticks = (ms: number) => ticksOf(ms, this.#tickMs);
    this.#limits = {
      headersTicks: ticks(headersMs),
      idleBodyTicks: ticks(idleBodyMs),
      keepAliveTicks: ticks(keepAliveMs),
      ticksPerSecond: 1000 / this.#tickMs,
      continueMs: options.continueMs ?? 1000,
      maxHeaderSize: options.maxHeaderSize ?? 65_536,
      isProxied: forwarder !== undefined,
    };
  }

  /** Sends a request as soon as there is a connection for it. @returns false where it is refused, as the handler hears */
  override dispatch(options: Http1DispatchOptions, handler: Dispatcher.DispatchHandler): boolean;
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean;
  override dispatch(
    options: Http1DispatchOptions | Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ): boolean {
    const request = this.#request(options as Http1DispatchOptions);
    if (request instanceof Error) {
      const { body } = options;
      if (isSource(body)) body.stop();
      handler.onResponseError?.(null as unknown as Dispatcher.DispatchController, request);
      return false;
    }
    const exchange = new Exchange(request, handler);
    exchange.carrier = this.#queue;
    if (typeof options.headersTimeout === 'number') {
      exchange.headersTicks = ticksOf(options.headersTimeout, this.#tickMs);
    }
    exchange.start();
    if (exchange.isOver) return true;
    const connection = this.#takeIdle();
    if (connection === undefined) this.#wait(exchange);
    else connection.send(exchange);
    return true;
  }

  /** Takes no more requests, and waits for those that there are. */
  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | undefined {
    if (this.#state === 'open') this.#state = 'closed';
    for (const connection of this.#idle.splice(0)) connection.destroy(closedError());
    this.#settle();
    return called(this.#settled.promise, callback);
  }

  /** Ends all that there is at once. */
  override destroy(): Promise<void>;
  override destroy(error: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(error: Error | null, callback: () => void): void;
  override destroy(error?: Error | null | (() => void), callback?: () => void): Promise<void> | undefined {
    this.#state = 'destroyed';
    const reason = error instanceof Error ? error : new Http1Error('UND_ERR_DESTROYED', 'the client is destroyed');
    for (const giveUp of [...this.#dials]) giveUp();
    this.#dials.clear();
    for (const exchange of [...this.#waiting]) exchange.fail(reason);
    this.#waiting.clear();
    for (const connection of [...this.#connections]) connection.destroy(reason);
    this.#settle();
    return called(this.#settled.promise, typeof error === 'function' ? error : callback);
  }

  #onIdle(connection: Connection): void {
    const [next] = this.#waiting;
    if (next !== undefined) {
      this.#waiting.delete(next);
      connection.send(next);
    } else if (this.#state !== 'open') {
      connection.destroy(closedError());
    } else {
      this.#idle.push(connection);
    }
  }

  #onClosed(connection: Connection): void {
    this.#connections.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#dialForWaiting();
    this.#settle();
  }

  #request(options: Http1DispatchOptions): ExchangeRequest | Error {
    if (this.#state === 'closed') return closedError();
    if (this.#state === 'destroyed') return new Http1Error('UND_ERR_DESTROYED', 'the client is destroyed');
    if (options.query !== undefined) return new Http1Error('UND_ERR_INVALID_ARG', 'the query belongs to the path');
    const { body } = options;
    const isHead = options.method === 'HEAD';
    try {
      if (isSource(body)) return this.#withSource(options, body, isHead);
      const buffer = typeof body === 'string' ? Buffer.from(body) : (body ?? undefined);
      if (buffer === undefined || buffer.length === 0) {
        const bytes = requestHead(this.#line, options, undefined, false);
        return { isHead, bytes, source: undefined, isExpecting: false };
      }
      if (buffer.length > smallBytesMax) return this.#withSource(options, new BufferSource(buffer), isHead);
      const bytes = requestHead(this.#line, options, buffer.length, false) + buffer.toString('latin1');
      return { isHead, bytes, source: undefined, isExpecting: false };
    } catch (error) {
      return error as Error;
    }
  }

  #withSource(options: Http1DispatchOptions, source: BodySource, isHead: boolean): ExchangeRequest {
    const isExpecting = options.expectContinue === true && source.length !== 0 && this.#now() >= this.#silentUntil;
    const bytes = requestHead(this.#line, options, source.length ?? 'chunked', isExpecting);
    return { isHead, bytes, source, isExpecting };
  }

  #takeIdle(): Connection | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || connection.isUsable) return connection;
    }
  }

  #wait(exchange: Exchange): void {
    this.#waiting.add(exchange);
    this.#dialFor(exchange);
  }

  #dialForWaiting(): void {
    if (this.#waiting.size <= this.#dials.size) return;
    const [next] = this.#waiting;
    if (next !== undefined) this.#dialFor(next);
  }

  /** A connection that fails to open fails the request that it was opened for, unless another one has taken that. */
  #dialFor(exchange: Exchange): void {
    if (this.#connections.size + this.#dials.size >= this.#connectionsMax) return;
    const connection = new Connection(this.#owner, this.#limits);
    const receive = (chunk: Buffer) => connection.receive(chunk);
    const giveUp = this.#options.connect(receive, (error, socket) => {
      this.#dials.delete(giveUp);
      if (socket === undefined || socket.destroyed || connection.isSpoilt) {
        socket?.destroy();
        const isWaiting = this.#waiting.delete(exchange);
        if (isWaiting) exchange.fail(error ?? new Http1Error('UND_ERR_SOCKET', 'the connection was closed'));
        this.#dialForWaiting();
        this.#settle();
        return;
      }
      this.#connections.add(connection);
      this.#tick();
      connection.attach(socket);
      this.#onIdle(connection);
    });
    this.#dials.add(giveUp);
  }

  /** One timer for all connections, as long as there are any. */
  #tick(): void {
    this.#ticker ??= setInterval(() => {
      for (const connection of this.#connections) connection.tick();
    }, this.#tickMs).unref();
  }

  #settle(): void {
    if (this.#connections.size > 0) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    const isQuiet = this.#waiting.size === 0 && this.#dials.size === 0;
    if (isQuiet && this.#state !== 'open') this.#settled.resolve();
  }
}

const ticksOf = (ms: number, tickMs: number): number => Math.ceil(ms / tickMs) + 1;

const closedError = (): Http1Error => new Http1Error('UND_ERR_CLOSED', 'the client is closed');

const isSource = (body: unknown): body is BodySource =>
  typeof body === 'object' && body !== null && typeof (body as { start?: unknown }).start === 'function';

function called(promise: Promise<void>, callback: (() => void) | undefined): Promise<void> | undefined {
  if (callback === undefined) return promise;
  promise.then(callback);
  return undefined;
}
