import { emptyAnswer, type HttpAnswer, ociError } from './answer.ts';
import type { BlobContent } from './blob.ts';
import type { Exchange } from './exchange.ts';
import { parseRange } from './range.ts';
import type { Store } from './store.ts';

/** Where a blob is to be fetched from, or undefined when the registry sends it itself. */
export type BlobRedirect = (blob: BlobContent) => string | undefined;

/** GET, HEAD and DELETE of `/v2/<name>/blobs/<digest>`. */
export function answerBlob(
  exchange: Exchange,
  store: Store,
  { repository: name, reference }: { repository: string; reference: string },
  redirect: BlobRedirect,
): HttpAnswer {
  const repository = store.find(name);
  const blob = repository?.blobs.get(reference);
  if (blob === undefined) return ociError(404, 'BLOB_UNKNOWN', `${name} has no blob ${reference}`);
  if (exchange.method === 'DELETE') {
    repository?.blobs.delete(reference);
    return emptyAnswer(202);
  }
  const location = redirect(blob);
  if (location !== undefined) return emptyAnswer(307, { location });
  return contentAnswer(exchange, blob, { 'docker-content-digest': blob.digest });
}

/** The bytes of a blob, all of them or the range that is asked for. */
export function contentAnswer(exchange: Exchange, blob: BlobContent, further: Record<string, string>): HttpAnswer {
  const etag = `"${blob.digest}"`;
  const headers = { etag, 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream', ...further };
  if (matchesEtag(exchange.headers['if-none-match'], etag)) return emptyAnswer(304, { etag });
  const condition = exchange.headers['if-range'];
  const isWanted = condition === undefined || condition === etag;
  const range = isWanted ? parseRange(exchange.headers.range, blob.size) : undefined;
  if (range === 'unsatisfiable') return emptyAnswer(416, { 'content-range': `bytes */${blob.size}` });
  if (range === undefined) {
    const body = blob.read(0, blob.size);
    return { status: 200, headers: { ...headers, 'content-length': String(blob.size) }, body };
  }
  const contentRange = `bytes ${range.start}-${range.end - 1}/${blob.size}`;
  const length = { 'content-length': String(range.end - range.start), 'content-range': contentRange };
  return { status: 206, headers: { ...headers, ...length }, body: blob.read(range.start, range.end) };
}

/** Whether an If-None-Match header names `etag` (weak comparison, RFC 9110). */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  const candidates = header?.split(',').map((candidate) => candidate.trim().replace(/^W\//, '')) ?? [];
  return candidates.includes('*') || candidates.includes(etag);
}
