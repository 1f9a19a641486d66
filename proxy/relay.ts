import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { ProxyError } from '../platform/errors.ts';
import type { Http1DispatchOptions } from '../platform/http1/request.ts';
import type { ReadBuffers } from '../platform/read-buffers.ts';
import { downstreamHeaders } from './headers.ts';

/**
 * What to do with an answer once its head is there: stream it to the caller, hold it for a decision, or decide by its
 * head alone, whatever its body.
 */
export type Verdict = 'relay' | 'hold' | 'head';

/** How far the body of a relayed answer got. */
export interface Progress {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Bytes of the body handed to the caller. */
  sent: number;
}

/** An answer of which the caller has seen nothing; the body is read up to a bound. */
export interface Held {
  readonly kind: 'held';
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Nothing is missing at the body's end. */
  readonly isWhole: boolean;
}

/** How one request to the registry ended. */
export type Outcome =
  | { readonly kind: 'relayed'; readonly progress: Progress }
  /** The answer broke off after its head had gone to the caller. */
  | { readonly kind: 'broken'; readonly progress: Progress; readonly error: Error }
  | Held
  /** Nothing came back. */
  | { readonly kind: 'failed'; readonly error: Error };

export interface RelayOptions {
  /** Decides by status and headers; called once. */
  verdict(status: number, headers: IncomingHttpHeaders): Verdict;
  /** Changes the headers that the caller gets. */
  rewrite?(headers: OutgoingHttpHeaders): void;
  /** A body that goes on where an earlier one broke off: its head has been sent. */
  continued?: Progress | undefined;
  /** Where chunks may come from, and go back to as soon as they are sent. */
  readBuffers: ReadBuffers;
}

/** Of a held answer nobody needs more: it is an error body, a redirect, a challenge. */
const heldBytesMax = 65_536;
/** A held body that takes longer is not waited for. */
const heldMs = 5_000;
/** A body up to this size is sent in one piece with its head. */
const smallBytesMax = 16_384;

/**
 * Sends one request and streams the answer into `response`. Back-pressure goes both ways: a caller that does not read
 * stops our reading from the registry, and a caller that goes away ends the request. It never ends a body that came
 * short: whoever called decides whether to go on or to break the connection.
 */
export function relay(
  dispatcher: Dispatcher,
  request: Http1DispatchOptions,
  response: ServerResponse,
  options: RelayOptions,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const handler = new Relay(request.method, response, options, resolve);
    try {
      // What registries are spoken to by takes more kinds of bodies than the seam names.
      dispatcher.dispatch(request as Dispatcher.DispatchOptions, handler);
    } catch (error) {
      handler.onResponseError(undefined, error as Error);
    }
  });
}

const isWholeBody = ({ headers }: Progress, chunk: Buffer): boolean =>
  chunk.length <= smallBytesMax && chunk.length === Number(headers['content-length']);

/**
 * Whether the end of a body can be told from a connection that broke: by its length, or by its last chunk. Without them
 * (RFC 9112, section 6.3, case 8) a part would look whole.
 */
function isFramed(method: string, status: number, headers: IncomingHttpHeaders): boolean {
  if (method === 'HEAD' || status === 204 || status === 304) return true;
  return headers['content-length'] !== undefined || /(^|,)\s*chunked\s*$/i.test(headers['transfer-encoding'] ?? '');
}

class Relay implements Dispatcher.DispatchHandler {
  readonly #method: string;
  readonly #response: ServerResponse;
  readonly #options: RelayOptions;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #onClose = (): void => this.#cancel();
  readonly #onDrain = (): void => this.#drained();
  /** Chunks that the kernel has not taken yet, as far as we know. */
  readonly #unsent: Buffer[] = [];
  #controller: Dispatcher.DispatchController | undefined;
  #progress: Progress | undefined;
  #held: { status: number; headers: IncomingHttpHeaders; chunks: Buffer[]; length: number } | undefined;
  #heldTimer: NodeJS.Timeout | undefined;
  #isSettled = false;

  constructor(method: string, response: ServerResponse, options: RelayOptions, resolve: (outcome: Outcome) => void) {
    this.#method = method;
    this.#response = response;
    this.#options = options;
    this.#resolve = resolve;
    response.on('close', this.#onClose);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#response.destroyed) this.#cancel();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    const verdict = this.#options.verdict(status, headers);
    if (verdict !== 'relay') {
      this.#held = { status, headers, chunks: [], length: 0 };
      this.#heldTimer = setTimeout(() => this.#giveUp(controller), heldMs);
      if (verdict === 'head') this.#settleHeld(false);
      return;
    }
    if (!isFramed(this.#method, status, headers)) {
      throw new ProxyError(
        'UPSTREAM_PROTOCOL',
        'the answer has neither a length nor chunks: its end could not be told',
      );
    }
    if (this.#options.continued === undefined) this.#sendHead(status, headers);
    this.#progress = this.#options.continued ?? { status, headers, sent: 0 };
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#progress !== undefined) {
      const isWhole = this.#progress.sent === 0 && isWholeBody(this.#progress, chunk);
      this.#progress.sent += chunk.length;
      if (isWhole) this.#endWith(chunk);
      else this.#write(chunk, controller);
    } else if (this.#held !== undefined && this.#held.length < heldBytesMax) {
      this.#held.chunks.push(chunk);
      this.#held.length += chunk.length;
    } else {
      this.#giveUp(controller);
    }
  }

  onResponseEnd(): void {
    clearTimeout(this.#heldTimer);
    if (this.#progress !== undefined) this.#settle({ kind: 'relayed', progress: this.#progress });
    else this.#settleHeld(true);
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    clearTimeout(this.#heldTimer);
    if (this.#progress !== undefined) this.#settle({ kind: 'broken', progress: this.#progress, error });
    else if (this.#held !== undefined) this.#settleHeld(false);
    else this.#settle({ kind: 'failed', error });
  }

  #sendHead(status: number, upstream: IncomingHttpHeaders): void {
    const headers = downstreamHeaders(upstream);
    this.#options.rewrite?.(headers);
    // Bytes beyond the promised length would be read as the next answer, and fewer would make the caller wait.
    this.#response.strictContentLength = true;
    this.#response.writeHead(status, headers);
  }

  /**
   * Node joins head and body to one string, and so to one system call, only when the body is a string too, and when it
   * need not check a length, which here is known to be right.
   */
  #endWith(body: Buffer): void {
    this.#response.strictContentLength = false;
    this.#response.end(body.toString('latin1'), 'latin1');
    this.#options.readBuffers.giveBack(body, true);
  }

  #write(chunk: Buffer, controller: Dispatcher.DispatchController): void {
    const response = this.#response;
    this.#unsent.push(chunk);
    // Uncorked at once, so that we see here whether the kernel took it all.
    response.cork();
    const isBelowMark = response.write(chunk);
    response.uncork();
    if (response.writableLength === 0) {
      this.#giveBack(true);
    } else if (!isBelowMark) {
      controller.pause();
      response.once('drain', this.#onDrain);
    }
  }

  #drained(): void {
    // An answer that waited for an earlier one on its connection drains into the socket, and not yet into the kernel.
    if (this.#response.writableLength === 0) this.#giveBack(false);
    this.#controller?.resume();
  }

  #giveBack(isPrompt: boolean): void {
    for (const chunk of this.#unsent) this.#options.readBuffers.giveBack(chunk, isPrompt);
    this.#unsent.length = 0;
  }

  /** The rest of a held answer is not worth its bytes, nor the time, and neither is the connection. */
  #giveUp(controller: Dispatcher.DispatchController): void {
    clearTimeout(this.#heldTimer);
    this.#settleHeld(false);
    controller.abort(new DOMException('the rest is not read', 'AbortError'));
  }

  #settleHeld(isWhole: boolean): void {
    if (this.#held === undefined) return;
    const { status, headers, chunks } = this.#held;
    this.#settle({ kind: 'held', status, headers, body: Buffer.concat(chunks), isWhole });
  }

  #settle(outcome: Outcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#response.off('close', this.#onClose);
    this.#response.off('drain', this.#onDrain);
    this.#resolve(outcome);
  }

  #cancel(): void {
    const error = new DOMException('the caller went away', 'AbortError');
    this.#controller?.abort(error);
  }
}
