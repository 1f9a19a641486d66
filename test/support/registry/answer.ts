import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { delivered } from './delivered.ts';

export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>;
export type AnswerBody = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** What becomes of the connection after the last byte: kept, closed (FIN), reset (RST), or silent until closed. */
export type Ending = 'complete' | 'close' | 'reset' | 'hang';

/** An HTTP answer; header names are in lower case. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body?: AnswerBody;
  /** By default `complete`. */
  readonly ending?: Ending;
}

/** Bytes that are written as they are, instead of an HTTP answer. */
export interface RawAnswer {
  readonly raw: string;
  readonly ending: Exclude<Ending, 'complete'>;
}

export type Answer = HttpAnswer | RawAnswer;

/** What `send` needs to know of a connection. */
export interface Delivery {
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
  /** Ends the connection with RST instead of FIN. */
  reset(): void;
  /** Called for every body chunk that was written. */
  sent(bytes: number): void;
}

export function bytesAnswer(status: number, headers: AnswerHeaders, bytes: Uint8Array | string): HttpAnswer {
  const body = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
  return { status, headers: { ...headers, 'content-length': String(body.length) }, body: [body] };
}

export function jsonAnswer(status: number, value: unknown, headers: AnswerHeaders = {}): HttpAnswer {
  return bytesAnswer(status, { 'content-type': 'application/json', ...headers }, JSON.stringify(value));
}

export function emptyAnswer(status: number, headers: AnswerHeaders = {}): HttpAnswer {
  return { status, headers: status === 204 || status === 304 ? headers : { ...headers, 'content-length': '0' } };
}

/** An OCI error body (distribution-spec, «Error Codes»). */
export function ociError(
  status: number,
  code: string,
  message: string,
  { headers = {}, detail }: { headers?: AnswerHeaders; detail?: unknown } = {},
): HttpAnswer {
  return jsonAnswer(status, { errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] }, headers);
}

/** Writes an answer with back-pressure and ends the connection as the answer says. */
export async function send(answer: Answer, delivery: Delivery): Promise<void> {
  const { response, signal } = delivery;
  if ('raw' in answer) {
    if (answer.raw !== '') await flushed((done) => response.socket?.write(answer.raw, 'latin1', done), signal);
    return end(answer.ending, delivery);
  }
  response.writeHead(answer.status, mutable(answer.headers));
  if (answer.body !== undefined && response.req.method !== 'HEAD') await sendBody(answer.body, delivery);
  const ending = answer.ending ?? 'complete';
  if (ending !== 'complete') {
    response.flushHeaders();
    await flushed((done) => response.write('', done), signal);
  }
  await end(ending, delivery);
}

async function sendBody(body: AnswerBody, { response, signal, sent }: Delivery): Promise<void> {
  for await (const chunk of body) {
    if (signal.aborted) return;
    sent(chunk.length);
    if (!response.write(chunk)) await once(response, 'drain', { signal });
  }
}

async function end(ending: Ending, { response, signal, reset }: Delivery): Promise<void> {
  if (ending === 'complete') response.end();
  else if (ending === 'close') response.socket?.end();
  else if (ending === 'hang') await aborted(signal);
  else {
    if (response.socket !== null) await delivered(response.socket, signal);
    reset();
  }
}

/** Waits until written bytes are with the kernel: a reset throws away what is not. */
function flushed(write: (done: () => void) => void, signal: AbortSignal): Promise<void> {
  const written = new Promise<void>((resolve) => write(() => resolve()));
  return Promise.race([written, aborted(signal)]);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

function mutable(headers: AnswerHeaders): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]),
  );
}
