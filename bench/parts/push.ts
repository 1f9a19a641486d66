import { startDistribution } from '../distribution.ts';
import { type BlobLoad, type LoadTarget, loadPushes } from '../load.ts';
import { type Origin, repository } from '../origin.ts';
import { type Findings, type Part, type PartContext, startNamed } from '../part.ts';
import { nginxProxy, type Peer, product, reference } from '../peers.ts';
import { startSink } from '../sink.ts';
import { median, medianRatio, table } from '../table.ts';
import { usageOf } from '../usage.ts';

const direct = 'direct';
const clients = 4;

interface Pusher extends LoadTarget {
  readonly name: string;
  readonly pid?: number;
}

interface Pushes {
  readonly loads: BlobLoad[];
  readonly cpuSecondsPerGib: number[];
}

/** Blobs pushed by a client that streams them. */
export const push: Part = {
  name: 'push',
  title: `Pushes: ${clients} blobs at the same time, a PUT each`,
  async run(context): Promise<Findings> {
    const sink = await startSink(context);
    const toSink = await measure(sink.origin, 256 * 2 ** 20, context);
    const distribution = await startDistribution(context, sink.origin);
    const toDistribution = await measure(distribution.origin, 64 * 2 ** 20, context);
    await distribution.stop();
    await sink.stop();
    const sections = [
      tableOf('to a registry that keeps nothing, 256 MiB each', toSink),
      tableOf('to Distribution v3, which hashes and writes, 64 MiB each', toDistribution),
    ];
    return { markdown: sections.join('\n\n'), failures: [] };
  },
};

async function measure(origin: Origin, bytes: number, context: PartContext): Promise<Map<Pusher, Pushes>> {
  const { url, authorization, caFile } = origin;
  const peers: Peer[] = [];
  for (const name of [nginxProxy, reference, product]) peers.push(await startNamed(name, { ...context, origin }));
  const itself: Pusher = { name: direct, repositoryUrl: `${url}/v2/${repository}`, authorization, caFile };
  const pushers: readonly Pusher[] = [itself, ...peers];
  const measured = new Map<Pusher, Pushes>(pushers.map((pusher) => [pusher, { loads: [], cpuSecondsPerGib: [] }]));
  const rounds = context.effort.isQuick ? 1 : 3;
  for (let at = 0; at <= rounds; at += 1) {
    for (const pusher of pushers) await pushOnce(pusher, bytes, at, context, measured.get(pusher));
  }
  for (const peer of peers) await peer.stop();
  return measured;
}

/** Round 0 is for whoever has to compile, or to open connections. */
async function pushOnce(
  pusher: Pusher,
  bytes: number,
  round: number,
  { children, programs, report }: PartContext,
  measured: Pushes | undefined,
): Promise<void> {
  const cpuSeconds = (): number => (pusher.pid === undefined ? 0 : usageOf(pusher.pid).cpuSeconds);
  const before = cpuSeconds();
  const load = await loadPushes(children, programs, pusher, { bytes, clients });
  if (load.broken > 0) throw new Error(`${pusher.name} broke ${load.broken} pushes`);
  if (round === 0) return;
  measured?.loads.push(load);
  measured?.cpuSecondsPerGib.push((cpuSeconds() - before) / (load.bytes / 2 ** 30));
  report(`push ${round}, ${pusher.name}: ${(load.bytes / load.seconds / 1e6).toFixed(0)} MB/s`);
}

function tableOf(where: string, measured: Map<Pusher, Pushes>): string {
  const secondsOf = ({ loads }: Pushes): number[] => loads.map(({ seconds }) => seconds);
  const base = [...measured.values()].map(secondsOf)[0] ?? [];
  const rows = [...measured].map(([{ name, pid }, pushes]) => [
    name,
    median(pushes.loads.map(({ bytes, seconds }) => bytes / seconds / 1e6)).toFixed(0),
    medianRatio(secondsOf(pushes), base).toFixed(2),
    pid === undefined ? '' : median(pushes.cpuSecondsPerGib).toFixed(2),
  ]);
  return table([where, 'MB/s', `time × ${direct}`, 'CPU s/GiB'], rows);
}
