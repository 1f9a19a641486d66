import { cpus } from 'node:os';
import { join } from 'node:path';
import { loadSmall } from '../load.ts';
import { manifestTail } from '../origin.ts';
import { type Findings, type Part, type PartContext, startNamed } from '../part.ts';
import { type Peer, product } from '../peers.ts';
import { median, table } from '../table.ts';
import { usageOf } from '../usage.ts';

/** Small requests to one replica, and to two that share nothing. */
export const replicas: Part = {
  name: 'replicas',
  title: 'Small requests to one and to two replicas',
  async run(context): Promise<Findings> {
    const peers: Peer[] = [];
    for (const label of ['first', 'second']) {
      peers.push(await startNamed(product, { ...context, folder: join(context.folder, label) }));
    }
    const groups = [peers.slice(0, 1), peers];
    for (const peer of peers) await loadSmall(context.children, peer, manifestTail, context.effort.warmUpSeconds);
    const measured = groups.map(() => ({ rates: [] as number[], cpuMicros: [] as number[] }));
    for (let round = 0; round < context.effort.rounds; round += 1) {
      for (const [at, group] of groups.entries()) {
        const { rate, cpuMicros } = await measureOnce(group, context);
        measured[at]?.rates.push(rate);
        measured[at]?.cpuMicros.push(cpuMicros);
      }
    }
    for (const peer of peers) await peer.stop();
    const single = median(measured[0]?.rates ?? []);
    const rows = measured.map(({ rates, cpuMicros }, at) => [
      `${at + 1}`,
      median(rates).toFixed(0),
      (median(rates) / single).toFixed(2),
      median(cpuMicros).toFixed(1),
    ]);
    const note = `${cpus().length} cores for the replicas, the registry and the load together: with two, the second replica takes what the load needs.`;
    return { markdown: `${table(['replicas', 'req/s in all', '× 1', 'CPU µs each'], rows)}\n\n${note}`, failures: [] };
  },
};

/** As many connections to all together, whatever their number. */
async function measureOnce(group: readonly Peer[], { children, effort }: PartContext) {
  const cpuSeconds = (): number => group.reduce((sum, { pid }) => sum + usageOf(pid).cpuSeconds, 0);
  const before = cpuSeconds();
  const loads = await Promise.all(group.map((peer) => loadSmall(children, peer, manifestTail, effort.smallSeconds)));
  const requests = loads.reduce((sum, load) => sum + load.requests, 0);
  const rate = loads.reduce((sum, load) => sum + load.requestsPerSecond, 0);
  return { rate, cpuMicros: ((cpuSeconds() - before) / requests) * 1e6 };
}
