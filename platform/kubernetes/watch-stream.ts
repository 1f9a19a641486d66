import type { Readable } from 'node:stream';
import { KubernetesError, statusError } from './error.ts';
import type { KubernetesObject } from './object.ts';
import { unreachable } from './requests.ts';
import type { WatchEvent } from './verbs.ts';

/** An object is at most some megabytes; a line that is longer is none of an API server. */
const longestLine = 32 * 1024 * 1024;
const types: ReadonlySet<unknown> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);

/**
 * Reads a watch's body, a line of JSON for each event. Resolves at its end; rejects with the ERROR event that the
 * server sent, when the connection breaks (status 0; also in the middle of a line), for a line that is no event, and
 * with whatever `onEvent` throws. The stream is destroyed in the end.
 */
export function readWatchEvents<T extends KubernetesObject>(
  stream: Readable,
  subject: string,
  onEvent: (event: WatchEvent<T>) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let rest: Buffer[] = [];
  let restLength = 0;
  const fail = (error: unknown): void => {
    reject(error);
    stream.destroy();
  };
  const take = (chunk: Buffer): void => {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      const line = chunk.subarray(start, end);
      const whole = restLength === 0 ? line : Buffer.concat([...rest, line]);
      if (restLength > 0) [rest, restLength] = [[], 0];
      start = end + 1;
      if (whole.length > 0) onEvent(parseEvent<T>(subject, whole.toString('utf8')));
    }
    if (start === chunk.length) return;
    // Copied, so that a few bytes do not keep a whole read buffer for minutes.
    rest.push(Buffer.from(chunk.subarray(start)));
    restLength += chunk.length - start;
    if (restLength > longestLine) throw invalid(subject, 'a line without end');
  };
  if (stream.destroyed) fail(unreachable(subject, new Error('the connection was closed')));
  stream.on('data', (chunk: Buffer) => {
    try {
      take(chunk);
    } catch (error) {
      fail(error);
    }
  });
  stream.once('end', () => {
    // node:http2 ends a stream also when its connection has gone; only the code tells.
    const wasCut = 'rstCode' in stream && stream.rstCode !== 0;
    if (wasCut || restLength > 0) fail(unreachable(subject, new Error('the connection was closed')));
    else resolve();
  });
  stream.once('error', (error) => fail(unreachable(subject, error)));
  stream.once('close', () => reject(unreachable(subject, new Error('the connection was closed'))));
  return promise;
}

function parseEvent<T extends KubernetesObject>(subject: string, line: string): WatchEvent<T> {
  let value: { type?: unknown; object?: unknown };
  try {
    value = JSON.parse(line);
  } catch {
    throw invalid(subject, 'a line that is not JSON');
  }
  if (value?.type === 'ERROR') throw statusError(subject, 500, JSON.stringify(value.object));
  const metadata = (value?.object as { metadata?: unknown } | undefined)?.metadata;
  if (!types.has(value?.type) || typeof metadata !== 'object' || metadata === null) {
    throw invalid(subject, 'a line that is no event');
  }
  return value as WatchEvent<T>;
}

function invalid(subject: string, what: string): KubernetesError {
  return new KubernetesError(`${subject}: the server sent ${what}`, { status: 502, reason: 'InvalidAnswer' });
}
