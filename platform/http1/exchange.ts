import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { abortError } from './errors.ts';
import type { BodySource } from './request.ts';
import type { ResponseHead } from './response-head.ts';

/** Who has an exchange: the queue, or a connection. */
export interface Carrier {
  /** It was aborted, and is over for its carrier. */
  drop(exchange: Exchange): void;
  pause(): void;
  resume(): void;
}

export interface ExchangeRequest {
  readonly isHead: boolean;
  /** Head of the request, and its body where that is small. */
  readonly bytes: string;
  /** The rest. */
  readonly source: BodySource | undefined;
  readonly isExpecting: boolean;
}

const noTrailers: IncomingHttpHeaders = Object.freeze({});

/** One request and its answer, and what handlers know as its controller. */
export class Exchange implements Dispatcher.DispatchController {
  readonly request: ExchangeRequest;
  readonly #handler: Dispatcher.DispatchHandler;
  carrier: Carrier | undefined;
  /** In place of the pool's, for the head of the answer. */
  headersTicks: number | undefined;
  /** The body that is still wanted. */
  source: BodySource | undefined;
  paused = false;
  aborted = false;
  reason: Error | null = null;
  #isOver = false;

  constructor(request: ExchangeRequest, handler: Dispatcher.DispatchHandler) {
    this.request = request;
    this.source = request.source;
    this.#handler = handler;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  pause(): void {
    if (this.paused || this.#isOver) return;
    this.paused = true;
    this.carrier?.pause();
  }

  resume(): void {
    if (!this.paused || this.#isOver) return;
    this.paused = false;
    this.carrier?.resume();
  }

  abort(reason?: Error): void {
    if (this.#isOver) return;
    this.aborted = true;
    this.reason = reason ?? abortError();
    const { carrier } = this;
    this.carrier = undefined;
    // Over before the connection goes, which then has nobody to tell.
    this.#isOver = true;
    carrier?.drop(this);
    this.stopSource();
    this.#handler.onResponseError?.(this, this.reason);
  }

  fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.carrier = undefined;
    this.stopSource();
    this.#handler.onResponseError?.(this, error);
  }

  stopSource(): void {
    const { source } = this;
    this.source = undefined;
    source?.stop();
  }

  start(): void {
    try {
      this.#handler.onRequestStart?.(this, {});
    } catch (error) {
      this.abort(error as Error);
    }
  }

  takeHead({ status, headers, message }: ResponseHead): void {
    try {
      this.#handler.onResponseStart?.(this, status, headers, message);
    } catch (error) {
      this.abort(error as Error);
    }
  }

  takeData(chunk: Buffer): void {
    try {
      this.#handler.onResponseData?.(this, chunk);
    } catch (error) {
      this.abort(error as Error);
    }
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.carrier = undefined;
    try {
      this.#handler.onResponseEnd?.(this, noTrailers);
    } catch (error) {
      this.aborted = true;
      this.reason = error as Error;
      this.#handler.onResponseError?.(this, error as Error);
    }
  }
}
