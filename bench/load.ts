import { join } from 'node:path';
import type { Children } from './children.ts';
import type { Peer } from './peers.ts';

export interface SmallLoad {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly requests: number;
}

export interface BlobLoad {
  readonly bytes: number;
  readonly seconds: number;
  /** Pulls that failed. */
  readonly broken: number;
}

export interface BlobLoadOptions {
  /** Path below the repository. */
  readonly tail: string;
  readonly clients: number;
  /** What each client reads; all it can get when absent. */
  readonly bytesPerSecond?: number;
  /** When clients give up; at the end of the blob when absent. */
  readonly seconds?: number;
}

export const smallConnections = 32;
/** What containerd says with a manifest request. */
const accept = 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*';

/**
 * Small requests from 32 kept-alive connections, by wrk on one thread.
 * @throws Error when an answer was not a success
 */
export async function loadSmall(children: Children, peer: Peer, tail: string, seconds: number): Promise<SmallLoad> {
  const headers = [`Accept: ${accept}`, 'User-Agent: containerd/2.1.4'];
  if (peer.authorization !== undefined) headers.push(`Authorization: ${peer.authorization}`);
  const flags = ['-t', '1', '-c', String(smallConnections), '-d', `${seconds}s`, '--latency'];
  const text = await children.run('wrk', [
    ...flags,
    ...headers.flatMap((header) => ['-H', header]),
    `${peer.repositoryUrl}/${tail}`,
  ]);
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(`${peer.name} failed under load:\n${text}`);
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  return {
    requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/),
    requests: number(/(\d+) requests in/),
    p50Ms: milliseconds(/\s50%\s+(\S+)/.exec(text)?.[1]),
    p99Ms: milliseconds(/\s99%\s+(\S+)/.exec(text)?.[1]),
  };
}

/** wrk writes times as `850.00us`, `1.25ms` or `1.02s`. */
function milliseconds(text: string | undefined): number {
  const [, value = 'NaN', unit = 'ms'] = /^([\d.]+)(us|ms|s)$/.exec(text ?? '') ?? [];
  return Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit as 'us' | 'ms' | 's'];
}

/** Blobs, pulled by the Go program in peers/load, which reads 256 KiB at once. */
export async function loadBlobs(
  children: Children,
  programs: string,
  peer: Peer,
  options: BlobLoadOptions,
): Promise<BlobLoad> {
  const text = await children.run(join(programs, 'load'), [
    ...['-url', `${peer.repositoryUrl}/${options.tail}`],
    ...['-authorization', peer.authorization ?? ''],
    ...['-clients', String(options.clients)],
    ...['-rate', String(options.bytesPerSecond ?? 0)],
    ...['-seconds', String(options.seconds ?? 0)],
  ]);
  return JSON.parse(text) as BlobLoad;
}
