import { hash } from 'node:crypto';
import { FaultPlan, type FaultRule } from './faults.ts';
import { bytesAnswer, type HttpAnswer } from './registry/answer.ts';
import type { BlobContent } from './registry/blob.ts';
import { contentAnswer } from './registry/blobs.ts';
import type { Exchange } from './registry/exchange.ts';
import { type RecordedRequest, RequestLog } from './registry/request-log.ts';
import { type ListenOptions, startServer } from './registry/server.ts';

export interface StorageOptions extends ListenOptions {
  readonly faults?: readonly FaultRule[];
}

/** A server that blob requests are redirected to, with the manners of S3. */
export interface BlobStorage extends AsyncDisposable {
  readonly origin: string;
  readonly authority: string;
  readonly requests: readonly RecordedRequest[];
  readonly faults: FaultPlan;
  /** Resolves with the `count`th request (by default the first) that matches, as soon as it has arrived. */
  arrival(matches: (request: RecordedRequest) => boolean, count?: number): Promise<RecordedRequest>;
  /** Puts a blob there; returns its signed URL. `startRegistry({ redirectBlobs: storage.publish })` does so by need. */
  readonly publish: (blob: BlobContent) => string;
  close(): Promise<void>;
}

/** Starts the storage: no authentication but the signature in the URL, and 400 for requests that bring another. */
export async function startStorage(options: StorageOptions = {}): Promise<BlobStorage> {
  const blobs = new Map<string, BlobContent>();
  const log = new RequestLog<RecordedRequest>();
  const faults = new FaultPlan(options.faults);
  const server = await startServer(options, {
    faults,
    receive: (exchange) => log.add(exchange.record),
    isAuthorized: (exchange) => refuse(exchange) === undefined,
    answer: async (exchange) => refuse(exchange) ?? answerObject(exchange, blobs),
  });
  return {
    origin: server.origin,
    authority: server.authority,
    requests: log.entries,
    faults,
    arrival: (matches, count) => log.arrival(matches, count),
    publish: (blob) => {
      blobs.set(blob.digest, blob);
      const path = `/bucket/${blob.digest}`;
      return `${server.origin}${path}?X-Amz-Expires=1200&X-Amz-Signature=${signatureOf(path)}`;
    },
    close: server.close,
    [Symbol.asyncDispose]: server.close,
  };
}

function refuse({ headers, url }: Exchange): HttpAnswer | undefined {
  if (headers.authorization !== undefined) {
    return s3Error(400, 'InvalidArgument', 'Only one auth mechanism allowed');
  }
  if (url.searchParams.get('X-Amz-Signature') !== signatureOf(url.pathname)) {
    return s3Error(403, 'SignatureDoesNotMatch', 'The request signature we calculated does not match');
  }
  return undefined;
}

function answerObject(exchange: Exchange, blobs: ReadonlyMap<string, BlobContent>): HttpAnswer {
  const blob = blobs.get(exchange.url.pathname.replace('/bucket/', ''));
  if (blob === undefined) return s3Error(404, 'NoSuchKey', 'The specified key does not exist');
  return contentAnswer(exchange, blob, { server: 'test-storage' });
}

function signatureOf(path: string): string {
  return hash('sha256', `signed ${path}`, 'hex');
}

function s3Error(status: number, code: string, message: string): HttpAnswer {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return bytesAnswer(status, { 'content-type': 'application/xml' }, body);
}
