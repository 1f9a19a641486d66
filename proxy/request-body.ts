import { Buffer } from 'node:buffer';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { ProxyError } from '../platform/errors.ts';
import type { BodySink, BodySource } from '../platform/http1/request.ts';

/** A body up to this size is read whole: it can be sent again, where the registry or a connection has failed. */
const heldBytesMax = 65_536;
/** And it has to be there in this time. */
const heldMs = 60_000;

/** The body of a caller's request: none, read whole, or streamed. */
export type RequestBody = Buffer | StreamedBody | undefined;

/** The length that a request promises; undefined where it comes in chunks. */
const lengthOf = ({ headers }: IncomingMessage): number | undefined =>
  headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : undefined;

/** Whether some of the body may still have to come. */
export const isUnread = (request: IncomingMessage): boolean => !request.complete && lengthOf(request) !== 0;

const waitsForContinue = ({ headers }: IncomingMessage): boolean => headers.expect?.toLowerCase() === '100-continue';

/** Tells a caller who waits for it that the body may come. */
function letCome(request: IncomingMessage, response: ServerResponse): void {
  if (!waitsForContinue(request) || response.headersSent) return;
  response.writeContinue();
  // So that nobody takes the body for one that is not sent.
  delete request.headers.expect;
}

/**
 * Takes the body of a request that is allowed: small ones whole, the others as they come. Rejects with the signal's
 * reason.
 * @throws ProxyError REQUEST_TIMEOUT
 */
export async function takeBody(
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<RequestBody> {
  const length = lengthOf(request);
  if (length === 0) return undefined;
  if (length === undefined || length > heldBytesMax) return new StreamedBody(request, response, length);
  letCome(request, response);
  return readWhole(request, signal);
}

function readWhole(request: IncomingMessage, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const onAbort = (): void => {
      clearTimeout(late);
      reject(signal.reason);
    };
    const late = setTimeout(() => reject(new ProxyError('REQUEST_TIMEOUT', 'the body does not come')), heldMs);
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => {
      signal.removeEventListener('abort', onAbort);
      clearTimeout(late);
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
    request.once('error', reject);
  });
}

/** A body that is not in memory: it can be sent once. Nothing of it is read before it is started. */
export class StreamedBody implements BodySource {
  readonly length: number | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #sink: BodySink | undefined;
  /** Bytes that have gone on to the registry. */
  sent = 0;

  constructor(request: IncomingMessage, response: ServerResponse, length: number | undefined) {
    this.#request = request;
    this.#response = response;
    this.length = length;
  }

  get isStarted(): boolean {
    return this.#sink !== undefined;
  }

  start(sink: BodySink): void {
    this.#sink = sink;
    const request = this.#request;
    if (request.destroyed && !request.complete) {
      sink.fail(new Error('the caller went away'));
      return;
    }
    request.on('data', this.#onData);
    request.once('end', this.#onEnd);
    request.once('close', this.#onClose);
    letCome(request, this.#response);
    // An attempt that was given up before it began to send has left the request paused.
    request.resume();
  }

  resume(): void {
    this.#request.resume();
  }

  /**
   * Gives the memory of a chunk back at once. Node makes a buffer for each; left to the garbage collector they are more
   * than a hundred megabytes, and so much of it makes it look through the whole heap again and again.
   */
  release({ buffer, length }: Buffer): void {
    if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0);
  }

  stop(): void {
    this.#leave();
    this.#request.pause();
  }

  #leave(): void {
    this.#request.off('data', this.#onData);
    this.#request.off('end', this.#onEnd);
    this.#request.off('close', this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.sent += chunk.length;
    if (this.#sink?.write(chunk) === false) this.#request.pause();
  };

  readonly #onEnd = (): void => {
    this.#leave();
    this.#sink?.end();
  };

  readonly #onClose = (): void => {
    this.#leave();
    this.#sink?.fail(new Error('the caller went away'));
  };
}

/** A caller whose body nobody wants gets this long, and may send this much, until it has read the answer. */
const lingerMs = 10_000;
const lingerBytesMax = 64 * 1024 * 1024;

/**
 * Answers a request. Where some of its body is still to come, the connection ends, but not before the caller had time to
 * read the answer: closed at once, the kernel would reset it, and many clients would tell of that instead.
 */
export function answer(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  body?: Buffer | string,
): void {
  const content = request.method === 'HEAD' ? undefined : body;
  if (!isUnread(request)) {
    response.writeHead(status, headers).end(content);
    return;
  }
  response.writeHead(status, { ...headers, connection: 'close' });
  if (waitsForContinue(request)) {
    response.end(content);
    return;
  }
  response.flushHeaders();
  if (content !== undefined && content.length > 0) response.write(content);
  let left = lingerBytesMax;
  const end = (): void => {
    clearTimeout(timer);
    request.off('data', onData);
    response.end();
  };
  const onData = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left < 0) end();
  };
  const timer = setTimeout(end, lingerMs);
  request.on('data', onData);
  request.once('end', end);
  request.once('close', end);
  request.resume();
}
