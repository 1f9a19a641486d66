import { join } from 'node:path';
import type { Children } from './children.ts';
import type { Peer } from './peers.ts';

export interface SmallLoad {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly requests: number;
}

/** What clients of peers/load did, all at the same time. */
export interface BlobLoad {
  readonly bytes: number;
  readonly seconds: number;
  /** Clients that failed. */
  readonly broken: number;
  /** Of all that a client does. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

interface ClientOptions {
  readonly clients: number;
  /** What each client moves; all it can when absent. */
  readonly bytesPerSecond?: number | undefined;
  /** When clients give up; at the end of the blob when absent. */
  readonly seconds?: number | undefined;
}

export interface BlobLoadOptions extends ClientOptions {
  /** Paths below the repository, which each client gets one after the other. */
  readonly tails: readonly string[];
}

export interface PushLoadOptions extends ClientOptions {
  /** Size of each client's blob. */
  readonly bytes: number;
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

/** Pulls by the Go program in peers/load, which reads 256 KiB at once, each client on a connection of its own. */
export function loadBlobs(
  children: Children,
  programs: string,
  peer: LoadTarget,
  options: BlobLoadOptions,
): Promise<BlobLoad> {
  const urls = options.tails.map((tail) => `${peer.repositoryUrl}/${tail}`).join(',');
  return load(children, programs, peer, options, ['-url', urls]);
}

/** Pushes of a blob by each client: POST, and a PUT with all of it. */
export function loadPushes(
  children: Children,
  programs: string,
  peer: LoadTarget,
  options: PushLoadOptions,
): Promise<BlobLoad> {
  const flags = ['-url', `${peer.repositoryUrl}/blobs/uploads/`, '-push', String(options.bytes)];
  return load(children, programs, peer, options, flags);
}

/** A proxy, or a registry itself. */
export interface LoadTarget {
  readonly repositoryUrl: string;
  readonly authorization?: string | undefined;
  /** PEM file, where the target speaks TLS. */
  readonly caFile?: string | undefined;
}

async function load(
  children: Children,
  programs: string,
  { authorization = '', caFile = '' }: LoadTarget,
  { clients, bytesPerSecond = 0, seconds = 0 }: ClientOptions,
  flags: readonly string[],
): Promise<BlobLoad> {
  const common = ['-authorization', authorization, '-ca', caFile, '-clients', String(clients)];
  const slow = ['-rate', String(bytesPerSecond), '-seconds', String(seconds)];
  return JSON.parse(await children.run(join(programs, 'load'), [...flags, ...common, ...slow])) as BlobLoad;
}
