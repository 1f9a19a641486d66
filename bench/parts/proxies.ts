import { loadBlobs, loadSmall } from '../load.ts';
import { blobTail, manifestTail } from '../origin.ts';
import type { Findings, Part, PartContext } from '../part.ts';
import { type Peer, peerKinds, reference, startPeer } from '../peers.ts';
import { mebibytes, median, medianRatio, table } from '../table.ts';
import { usageOf } from '../usage.ts';

/** One peer in one round. */
interface Round {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicrosPerRequest: number;
  readonly megabytesPerSecond: number;
  readonly cpuSecondsPerGib: number;
}

/** A proxy with its rounds. */
export interface Measured {
  readonly name: string;
  readonly rounds: readonly Round[];
  readonly rssBytes: number;
  readonly rssMaxBytes: number;
}

/** Small requests and blobs through all proxies. */
export const proxies: Part = {
  name: 'proxies',
  title: 'Small requests, and blobs of 256 MiB',
  async run(context): Promise<Findings> {
    const wanted = peerKinds.filter((kind) => kind.name === reference || context.isWanted(kind));
    const peers: Peer[] = [];
    for (const kind of wanted) peers.push(await startPeer(kind, context));
    const measured = await measureProxies(peers, context);
    // Profiles are written at the end of a process.
    for (const peer of peers) await peer.stop();
    return { markdown: `${figuresTable(measured)}\n\n${ratiosTable(measured, reference)}`, failures: [] };
  },
};

/** Measures all peers in turn, round by round, so that what else the machine does falls on all of them. */
export async function measureProxies(peers: readonly Peer[], context: PartContext): Promise<Measured[]> {
  const { effort, report } = context;
  for (const peer of peers) await warmUp(peer, context);
  const rounds = new Map<Peer, Round[]>(peers.map((peer) => [peer, []]));
  for (let at = 1; at <= effort.rounds; at += 1) {
    for (const peer of peers) {
      const round = await measureOnce(peer, context);
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
async function warmUp(peer: Peer, { children, programs, effort }: PartContext): Promise<void> {
  await loadSmall(children, peer, manifestTail, effort.warmUpSeconds);
  await loadBlobs(children, programs, peer, { tails: [blobTail], clients: 2 });
}

async function measureOnce(peer: Peer, { children, programs, effort }: PartContext): Promise<Round> {
  const atStart = cpuSecondsOf(peer);
  const small = await loadSmall(children, peer, manifestTail, effort.smallSeconds);
  const afterSmall = cpuSecondsOf(peer);
  const blobs = await loadBlobs(children, programs, peer, { tails: [blobTail], clients: effort.blobClients });
  const afterBlobs = cpuSecondsOf(peer);
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

/** Of a peer and whatever else works for it. */
const cpuSecondsOf = ({ pid, otherPids = [] }: Peer): number =>
  [pid, ...otherPids].reduce((sum, one) => sum + usageOf(one).cpuSeconds, 0);

const valuesOf = (rounds: readonly Round[], key: keyof Round): number[] => rounds.map((round) => round[key]);

/** Medians of all rounds, a row for each peer. */
export function figuresTable(measured: readonly Measured[]): string {
  const rows = measured.map(({ name, rounds, rssBytes, rssMaxBytes }) => {
    const of = (key: keyof Round): number => median(valuesOf(rounds, key));
    return [
      name,
      of('requestsPerSecond').toFixed(0),
      of('p50Ms').toFixed(2),
      of('p99Ms').toFixed(2),
      of('cpuMicrosPerRequest').toFixed(1),
      (1e6 / of('cpuMicrosPerRequest')).toFixed(0),
      of('megabytesPerSecond').toFixed(0),
      of('cpuSecondsPerGib').toFixed(2),
      `${mebibytes(rssBytes)} / ${mebibytes(rssMaxBytes)}`,
    ];
  });
  const small = ['small: req/s', 'p50 ms', 'p99 ms', 'CPU µs each', 'each core: req/s'];
  return table(['proxy', ...small, 'blob: MB/s', 'CPU s/GiB', 'RSS MiB, after / most'], rows);
}

/** All but `base`, as multiples of it. */
export function ratiosTable(measured: readonly Measured[], base: string): string {
  const baseRounds = measured.find(({ name }) => name === base)?.rounds ?? [];
  const keys = ['requestsPerSecond', 'cpuMicrosPerRequest', 'megabytesPerSecond', 'cpuSecondsPerGib'] as const;
  const rows = measured
    .filter(({ name }) => name !== base)
    .map(({ name, rounds }) => [
      name,
      ...keys.map((key) => medianRatio(valuesOf(rounds, key), valuesOf(baseRounds, key)).toFixed(2)),
    ]);
  return table([`× ${base}`, 'req/s', 'CPU per request', 'MB/s', 'CPU per GiB'], rows);
}
