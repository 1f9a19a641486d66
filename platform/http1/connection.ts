import type { Socket } from 'node:net';
import { type AnswerConsumer, AnswerReader } from './answer-reader.ts';
import { type BodyProgress, BodySender } from './body-sender.ts';
import { Http1Error, HttpProxyError } from './errors.ts';
import type { Carrier, Exchange } from './exchange.ts';
import type { ResponseHead } from './response-head.ts';

/** How long each step may take, in ticks of the pool. */
export interface ConnectionLimits {
  readonly headersTicks: number;
  readonly idleBodyTicks: number;
  readonly keepAliveTicks: number;
  readonly ticksPerSecond: number;
  readonly continueMs: number;
  readonly maxHeaderSize: number;
  /** Answers of 407 are a proxy's, and no answer. */
  readonly isProxied: boolean;
}

export interface ConnectionOwner {
  /** It can take the next request. */
  onIdle(connection: Connection): void;
  /** It is over, and so is what it carried. */
  onClosed(connection: Connection): void;
  /** `Expect: 100-continue` was met with silence. */
  onSilence(): void;
}

/** One connection: a request at a time, and none after whatever was not as it should be. */
export class Connection implements AnswerConsumer, BodyProgress, Carrier {
  readonly #owner: ConnectionOwner;
  readonly #limits: ConnectionLimits;
  readonly #reader: AnswerReader;
  /** What was read while the exchange is paused. */
  readonly #rest: Buffer[] = [];
  #socket: Socket | undefined;
  #exchange: Exchange | undefined;
  #sender: BodySender | undefined;
  #keepAliveTicks: number;
  #isUsed = false;
  #isLast = false;
  #isReading = false;
  #hasEnded = false;
  #isClosed = false;
  #isSpoilt = false;
  /** Ticks until the next step is late; 0 where nothing is waited for. */
  #ticks = 0;

  constructor(owner: ConnectionOwner, limits: ConnectionLimits) {
    this.#owner = owner;
    this.#limits = limits;
    this.#keepAliveTicks = limits.keepAliveTicks;
    this.#reader = new AnswerReader(this, limits.maxHeaderSize);
  }

  /** Takes the socket whose `onread` gives to `receive`. */
  attach(socket: Socket): void {
    this.#socket = socket;
    socket.on('error', (error) => this.#break(error));
    socket.on('end', () => this.#onEnd());
    socket.on('drain', () => this.#sender?.drained());
    socket.on('close', () => this.#onClose());
    this.#ticks = this.#keepAliveTicks;
  }

  get isUsable(): boolean {
    return !this.#isSpoilt && !this.#hasEnded && this.#socket?.writable === true;
  }

  /** It brought bytes that nobody had asked for. */
  get isSpoilt(): boolean {
    return this.#isSpoilt;
  }

  get isHalted(): boolean {
    return this.#exchange === undefined || this.#exchange.paused;
  }

  send(exchange: Exchange): void {
    const socket = this.#socket as Socket;
    const { request, source } = exchange;
    this.#exchange = exchange;
    exchange.carrier = this;
    this.#reader.expect(request.isHead);
    if (source === undefined) {
      this.#ticks = exchange.headersTicks ?? this.#limits.headersTicks;
      socket.write(request.bytes, 'latin1');
      return;
    }
    this.#ticks = 0;
    this.#sender = new BodySender(socket, source, this);
    socket.cork();
    socket.write(request.bytes, 'latin1');
    if (request.isExpecting) this.#sender.expect(this.#limits.continueMs, this.#owner.onSilence);
    else this.#sender.start();
    socket.uncork();
  }

  /** What the socket read. */
  receive(chunk: Buffer): void {
    // Bytes that nobody asked for would be the next answer.
    if (this.#exchange === undefined) {
      this.#isSpoilt = true;
      this.#socket?.destroy();
    } else if (this.#rest.length > 0 || this.#exchange.paused) {
      this.#rest.push(chunk);
    } else {
      this.#read(chunk);
    }
  }

  /** Called once a tick. What the handler holds up is not late. */
  tick(): void {
    if (this.#ticks === 0 || this.#exchange?.paused) return;
    this.#ticks -= 1;
    if (this.#ticks === 0) this.#onLate();
  }

  destroy(error: Error): void {
    this.#fail(error);
    this.#socket?.destroy();
  }

  drop(): void {
    this.#detach();
    this.#socket?.destroy();
    if (this.#isClosed) this.#owner.onClosed(this);
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
    if (!this.#reader.isInHead) this.#ticks = this.#limits.idleBodyTicks;
    if (this.#isReading) return;
    while (!this.isHalted) {
      const chunk = this.#rest.shift();
      if (chunk === undefined) break;
      this.#read(chunk);
    }
    if (!this.isHalted && this.#hasEnded) this.#finishByEnd();
  }

  onInformation(status: number): void {
    if (status === 100 && this.#sender?.isExpecting) this.#sender.start();
  }

  onHead(head: ResponseHead): void {
    const exchange = this.#exchange as Exchange;
    if (this.#limits.isProxied && head.status === 407) {
      this.destroy(new HttpProxyError(407));
      return;
    }
    if (exchange.source !== undefined) this.#stopBody(exchange);
    if (!head.isKeptAlive) this.#isLast = true;
    if (head.keepAliveSeconds !== undefined) this.#heedKeepAlive(head.keepAliveSeconds);
    this.#ticks = this.#limits.idleBodyTicks;
    exchange.takeHead(head);
  }

  onData(chunk: Buffer): void {
    this.#ticks = this.#limits.idleBodyTicks;
    this.#exchange?.takeData(chunk);
  }

  onBodyMoved(isWaiting: boolean): void {
    if (this.#reader.isInHead) this.#ticks = isWaiting ? this.#limits.idleBodyTicks : 0;
  }

  onBodySent(): void {
    if (this.#exchange !== undefined) this.#exchange.source = undefined;
    if (this.#reader.isInHead) this.#ticks = this.#exchange?.headersTicks ?? this.#limits.headersTicks;
  }

  onBodyFailed(error: Error): void {
    this.destroy(error);
  }

  #read(chunk: Buffer): void {
    this.#isReading = true;
    const end = this.#reader.read(chunk);
    this.#isReading = false;
    // It may be over meanwhile: aborted, or failed.
    if (this.#exchange === undefined) return;
    if (end < 0) {
      this.destroy(this.#reader.error as Error);
    } else if (this.#reader.isDone) {
      // Bytes behind the end of an answer never become the next one.
      if (end < chunk.length || this.#rest.length > 0) this.#isLast = true;
      this.#finish();
    } else if (end < chunk.length) {
      this.#rest.unshift(chunk.subarray(end));
    }
  }

  #finish(): void {
    const exchange = this.#exchange as Exchange;
    const socket = this.#socket as Socket;
    const isKept = !this.#isLast && !this.#hasEnded && socket.writableLength === 0 && socket.writable;
    this.#detach();
    this.#isUsed = true;
    if (isKept) {
      if (exchange.paused) socket.resume();
      this.#ticks = this.#keepAliveTicks;
      this.#owner.onIdle(this);
    } else {
      socket.destroy();
      if (this.#isClosed) this.#owner.onClosed(this);
    }
    exchange.end();
  }

  #detach(): void {
    this.#sender?.stop();
    this.#sender = undefined;
    this.#exchange = undefined;
    this.#rest.length = 0;
    this.#ticks = 0;
  }

  /** The exchange fails with the connection, which is not used again. */
  #fail(error: Error): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#detach();
    exchange.fail(error);
    if (this.#isClosed) this.#owner.onClosed(this);
  }

  /** The connection broke by itself. */
  #break(error: Error): void {
    if (this.#exchange === undefined) return;
    const isStale = this.#isUsed && this.#reader.isUntouched && this.#hasSentNoSource;
    this.#fail(isStale ? Object.assign(error, { isStale }) : error);
  }

  get #hasSentNoSource(): boolean {
    return this.#exchange?.request.source === undefined || this.#sender?.isExpecting === true;
  }

  #onEnd(): void {
    this.#hasEnded = true;
    // What was read before comes first.
    if (this.#exchange === undefined || !this.#exchange.paused) this.#finishByEnd();
  }

  #finishByEnd(): void {
    if (this.#exchange === undefined) this.#socket?.destroy();
    else if (this.#reader.end()) this.#finish();
    else this.#break(new Http1Error('UND_ERR_SOCKET', 'the connection was closed before the answer was whole'));
  }

  #onClose(): void {
    this.#isClosed = true;
    if (this.#exchange === undefined) this.#owner.onClosed(this);
    else if (!this.#hasEnded) this.#break(new Http1Error('UND_ERR_SOCKET', 'the connection was closed'));
  }

  #onLate(): void {
    if (this.#exchange === undefined) this.#socket?.destroy();
    else if (!this.#reader.isInHead) this.destroy(new Http1Error('UND_ERR_BODY_TIMEOUT', 'the body stopped coming'));
    else if (this.#exchange.source === undefined) this.destroy(headersTimeout());
    else this.destroy(new Http1Error('ERR_REQUEST_BODY_TIMEOUT', 'the body was not taken any more'));
  }

  /** The answer came before the body was sent: the server wants no more of it, and would read it as the next request. */
  #stopBody(exchange: Exchange): void {
    this.#isLast = true;
    this.#sender?.stop();
    exchange.stopSource();
  }

  /** A second less than the server's: closed by it, the connection might be in use again. */
  #heedKeepAlive(seconds: number): void {
    const ticks = Math.floor((seconds - 1) * this.#limits.ticksPerSecond);
    if (ticks < 1) this.#isLast = true;
    else this.#keepAliveTicks = Math.min(ticks, this.#limits.keepAliveTicks);
  }
}

const headersTimeout = (): Http1Error => new Http1Error('UND_ERR_HEADERS_TIMEOUT', 'no answer came in time');
