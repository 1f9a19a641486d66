import { setTimeout as delay } from 'node:timers/promises';
import { type ApiServerMetrics, isWrite, requestsBetween } from './api-server.ts';
import type { Replica } from './replica.ts';

/** What one replica used while nothing changed. */
export interface IdleReplica {
  readonly rssBeforeBytes: number;
  readonly rssAfterBytes: number;
  /** The least of each quarter: how much is alive, but for what the collector had not taken yet. */
  readonly heapQuartersBytes: readonly number[];
  /** Of one core, from 0 to 1. */
  readonly cpuShare: number;
}

export interface IdleReport {
  readonly minutes: number;
  readonly replicas: readonly IdleReplica[];
  /** Writes by verb and resource, of everybody. */
  readonly writes: ReadonlyMap<string, number>;
  readonly readsPerSecond: number;
  readonly apiServerCpuShare: number;
}

const sampleMs = 5_000;

/** Watches the cluster for a while in which nobody changes anything. */
export async function measureIdle(
  replicas: readonly Replica[],
  metrics: ApiServerMetrics,
  minutes: number,
): Promise<IdleReport> {
  const before = { api: await metrics.sample(), usages: replicas.map((replica) => replica.usage()) };
  const heaps: number[][] = replicas.map(() => []);
  const endAt = before.api.at + minutes * 60_000;
  while (performance.now() < endAt) {
    await delay(Math.min(sampleMs, endAt - performance.now()));
    const sampled = await Promise.all(replicas.map((replica) => replica.heapBytes()));
    for (const [at, bytes] of sampled.entries()) heaps[at]?.push(bytes);
  }
  const api = await metrics.sample();
  const seconds = (api.at - before.api.at) / 1000;
  const requests = [...requestsBetween(before.api, api)];
  const reads = requests.reduce((sum, [name, count]) => sum + (isWrite(name) ? 0 : count), 0);
  return {
    minutes: seconds / 60,
    replicas: replicas.map((replica, at): IdleReplica => {
      const [usage, earlier] = [replica.usage(), before.usages[at] ?? replica.usage()];
      return {
        rssBeforeBytes: earlier.rssBytes,
        rssAfterBytes: usage.rssBytes,
        heapQuartersBytes: leastOfQuarters(heaps[at] ?? []),
        cpuShare: (usage.cpuSeconds - earlier.cpuSeconds) / seconds,
      };
    }),
    writes: new Map(requests.filter(([name]) => isWrite(name))),
    readsPerSecond: reads / seconds,
    apiServerCpuShare: (api.cpuSeconds - before.api.cpuSeconds) / seconds,
  };
}

function leastOfQuarters(values: readonly number[]): number[] {
  const length = Math.max(1, Math.ceil(values.length / 4));
  const quarters = [0, 1, 2, 3].map((at) => values.slice(at * length, (at + 1) * length));
  return quarters.filter((quarter) => quarter.length > 0).map((quarter) => Math.min(...quarter));
}
