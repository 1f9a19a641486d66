import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { Mutable, RecordedRequest } from './request-log.ts';

/** A request on its way to an answer. */
export interface Exchange {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
  readonly record: Mutable<RecordedRequest>;
  /** Aborted when the connection ends, also by `close()` of the server. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Rejects when `signal` is aborted. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: Date.now,
  sleep: (milliseconds, signal) => wait(milliseconds, undefined, { signal }),
};

/** The whole request body. */
export async function readBody(exchange: Exchange): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of exchange.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Reads at least `bytes` of the request body, or all of it, and leaves the rest unread. */
export async function readSome(exchange: Exchange, bytes: number): Promise<void> {
  let read = 0;
  if (bytes === 0) return;
  for await (const chunk of exchange.body.iterator({ destroyOnReturn: false })) {
    read += (chunk as Buffer).length;
    if (read >= bytes) return;
  }
}
