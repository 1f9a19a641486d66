import type { IncomingHttpHeaders } from 'node:http';
import type { Progress } from './relay.ts';

/** Bytes of a representation, both ends included. */
interface ByteRange {
  readonly first: number;
  readonly last: number;
  readonly total: string;
}

const contentRange = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/;

/** The bytes that an answer promised; undefined where it cannot be said or where they are not the blob's own. */
function promisedRange(status: number, headers: IncomingHttpHeaders): ByteRange | undefined {
  if (headers['content-encoding'] !== undefined) return undefined;
  if (status === 206) return readContentRange(headers['content-range']);
  const length = Number(headers['content-length']);
  if (status !== 200 || !Number.isSafeInteger(length) || length <= 0) return undefined;
  return { first: 0, last: length - 1, total: String(length) };
}

function readContentRange(header: string | undefined): ByteRange | undefined {
  const match = contentRange.exec(header ?? '');
  return match === null ? undefined : { first: Number(match[1]), last: Number(match[2]), total: match[3] ?? '*' };
}

/** The `Range` that asks for what is missing; undefined where an answer that broke off cannot be continued. */
export function missingRange(progress: Progress): string | undefined {
  const range = promisedRange(progress.status, progress.headers);
  if (range === undefined) return undefined;
  const next = range.first + progress.sent;
  return next <= range.last ? `bytes=${next}-${range.last}` : undefined;
}

/** Whether an answer goes on exactly where the broken one stopped. Its content is the same: the digest names it. */
export function continues(progress: Progress, status: number, headers: IncomingHttpHeaders): boolean {
  const promised = promisedRange(progress.status, progress.headers);
  const found = status === 206 ? promisedRange(status, headers) : undefined;
  if (promised === undefined || found === undefined) return false;
  const isSameTotal = promised.total === found.total || promised.total === '*' || found.total === '*';
  return found.first === promised.first + progress.sent && found.last === promised.last && isSameTotal;
}

/** Conditions on what the caller holds: they have been met, or did not apply, when the answer began. */
const conditional = ['if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since'];

/** The headers of the request that asks for what is missing. */
export function resumptionHeaders<T>(
  headers: Readonly<Record<string, T>>,
  progress: Progress,
): Record<string, T | string> {
  const kept: Record<string, T | string> = { ...headers, range: missingRange(progress) ?? '' };
  for (const name of conditional) delete kept[name];
  return kept;
}
