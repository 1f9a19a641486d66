import { setTimeout as delay } from 'node:timers/promises';
import type { Children } from './children.ts';
import { loadBlobs, loadSmall } from './load.ts';
import { blobTail, largeBlobTail, manifestTail } from './origin.ts';
import type { Peer } from './peers.ts';
import { usageOf } from './usage.ts';

export interface Effort {
  readonly rounds: number;
  readonly warmUpSeconds: number;
  /** Of small requests, for each peer and round. */
  readonly smallSeconds: number;
  /** Blobs pulled at the same time, each of 256 MiB. */
  readonly blobClients: number;
  readonly slowSeconds: number;
}

/** One peer in one round. */
export interface Round {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicrosPerRequest: number;
  readonly megabytesPerSecond: number;
  readonly cpuSecondsPerGib: number;
}

export interface Measured {
  readonly name: string;
  readonly rounds: readonly Round[];
  readonly rssBytes: number;
  readonly rssMaxBytes: number;
}

export interface SlowClients {
  readonly name: string;
  readonly clients: number;
  readonly bytes: number;
  readonly broken: number;
  readonly rssBeforeBytes: number;
  readonly rssMaxBytes: number;
}

export interface MeasureOptions {
  readonly children: Children;
  readonly programs: string;
  readonly effort: Effort;
  readonly report: (line: string) => void;
}

/** Measures all peers in turn, round by round, so that what else the machine does falls on all of them. */
export async function measure(peers: readonly Peer[], options: MeasureOptions): Promise<Measured[]> {
  const { effort, report } = options;
  for (const peer of peers) await warmUp(peer, options);
  const rounds = new Map<Peer, Round[]>(peers.map((peer) => [peer, []]));
  for (let at = 1; at <= effort.rounds; at += 1) {
    for (const peer of peers) {
      const round = await measureOnce(peer, options);
      rounds.get(peer)?.push(round);
      const { requestsPerSecond, cpuMicrosPerRequest, megabytesPerSecond, cpuSecondsPerGib } = round;
      report(
        `round ${at}/${effort.rounds}, ${peer.name}: ${requestsPerSecond.toFixed(0)} req/s (${cpuMicrosPerRequest.toFixed(1)} µs CPU), ` +
          `${megabytesPerSecond.toFixed(0)} MB/s (${cpuSecondsPerGib.toFixed(2)} CPU s/GiB)`,
      );
    }
  }
  return peers.map((peer) => {
    const { rssBytes, rssMaxBytes } = usageOf(peer.pid);
    return { name: peer.name, rounds: rounds.get(peer) ?? [], rssBytes, rssMaxBytes };
  });
}

/** Until code is compiled, connections are open and the token is cached. */
async function warmUp(peer: Peer, { children, programs, effort }: MeasureOptions): Promise<void> {
  await loadSmall(children, peer, manifestTail, effort.warmUpSeconds);
  await loadBlobs(children, programs, peer, { tail: blobTail, clients: 2 });
}

async function measureOnce(peer: Peer, { children, programs, effort }: MeasureOptions): Promise<Round> {
  const atStart = usageOf(peer.pid).cpuSeconds;
  const small = await loadSmall(children, peer, manifestTail, effort.smallSeconds);
  const afterSmall = usageOf(peer.pid).cpuSeconds;
  const blobs = await loadBlobs(children, programs, peer, { tail: blobTail, clients: effort.blobClients });
  const afterBlobs = usageOf(peer.pid).cpuSeconds;
  if (blobs.broken > 0) throw new Error(`${peer.name} broke ${blobs.broken} pulls`);
  return {
    requestsPerSecond: small.requestsPerSecond,
    p50Ms: small.p50Ms,
    p99Ms: small.p99Ms,
    cpuMicrosPerRequest: ((afterSmall - atStart) / small.requests) * 1e6,
    megabytesPerSecond: blobs.bytes / blobs.seconds / 1e6,
    cpuSecondsPerGib: (afterBlobs - afterSmall) / (blobs.bytes / 2 ** 30),
  };
}

const slowClients = 64;
const slowBytesPerSecond = 2_000_000;
const sampleMs = 50;

/**
 * Callers that read far more slowly than the registry could send, of a blob of 1 GiB each: what waits in the proxy
 * shows in its memory. They stop after a time; the rest of the blob would tell nothing more.
 */
export async function measureSlowClients(
  peer: Peer,
  { children, programs, effort }: MeasureOptions,
): Promise<SlowClients> {
  const rssBeforeBytes = usageOf(peer.pid).rssBytes;
  const pulls = loadBlobs(children, programs, peer, {
    tail: largeBlobTail,
    clients: slowClients,
    bytesPerSecond: slowBytesPerSecond,
    seconds: effort.slowSeconds,
  });
  let isOver = false;
  const onEnd = (): void => {
    isOver = true;
  };
  pulls.then(onEnd, onEnd);
  let rssMaxBytes = rssBeforeBytes;
  for (; !isOver; await delay(sampleMs)) rssMaxBytes = Math.max(rssMaxBytes, usageOf(peer.pid).rssBytes);
  const { bytes, broken } = await pulls;
  return { name: peer.name, clients: slowClients, bytes, broken, rssBeforeBytes, rssMaxBytes };
}
