import { LRUCache } from 'lru-cache';

export interface ProbeLanesOptions {
  /** Jobs at once of lanes that go well, and as many again of suspect ones; 32 when absent. */
  readonly concurrency?: number;
  /** Jobs at once of one lane; 4 when absent. */
  readonly perLane?: number;
}

interface Lane {
  readonly name: string;
  readonly waiting: (() => Promise<boolean>)[];
  running: number;
}

/** Lanes with jobs that wait, in the order of their turns, and how many jobs of such lanes run. */
class Row {
  readonly lanes = new Set<Lane>();
  running = 0;
}

const suspectsMax = 10_000;

/**
 * Runs probes, a lane for each registry. Lanes take turns, each has a bound, and those whose last job failed share a
 * bound of their own: registries that are dead and wait for their timeouts keep no other one from being probed.
 */
export class ProbeLanes {
  readonly #concurrency: number;
  readonly #perLane: number;
  readonly #lanes = new Map<string, Lane>();
  readonly #suspects = new LRUCache<string, true>({ max: suspectsMax });
  readonly #well = new Row();
  readonly #suspect = new Row();

  constructor({ concurrency = 32, perLane = 4 }: ProbeLanesOptions = {}) {
    this.#concurrency = concurrency;
    this.#perLane = perLane;
  }

  /** Runs `job` in its turn. It answers whether the registry behaved; it must not reject. */
  run(name: string, job: () => Promise<boolean>): void {
    const lane = this.#lanes.get(name) ?? { name, waiting: [], running: 0 };
    this.#lanes.set(name, lane);
    lane.waiting.push(job);
    const row = this.#rowOf(lane);
    row.lanes.add(lane);
    this.#start(row);
  }

  /** Forgets what waits; jobs under way are their owner's to end. */
  clear(): void {
    for (const lane of this.#lanes.values()) lane.waiting.length = 0;
    this.#well.lanes.clear();
    this.#suspect.lanes.clear();
  }

  #rowOf = ({ name }: Lane): Row => (this.#suspects.has(name) ? this.#suspect : this.#well);

  #start(row: Row): void {
    for (const lane of row.lanes) {
      if (row.running >= this.#concurrency) return;
      if (lane.running >= this.#perLane) continue;
      const job = lane.waiting.shift();
      row.lanes.delete(lane);
      // At the end of the row the loop meets it again, after all others.
      if (lane.waiting.length > 0) row.lanes.add(lane);
      if (job !== undefined) void this.#work(lane, row, job);
    }
  }

  async #work(lane: Lane, row: Row, job: () => Promise<boolean>): Promise<void> {
    lane.running += 1;
    row.running += 1;
    const isWell = await job();
    lane.running -= 1;
    row.running -= 1;
    this.#row(lane, isWell);
    this.#start(this.#well);
    this.#start(this.#suspect);
  }

  #row(lane: Lane, isWell: boolean): void {
    const before = this.#rowOf(lane);
    if (isWell) this.#suspects.delete(lane.name);
    else this.#suspects.set(lane.name, true);
    const after = this.#rowOf(lane);
    if (before !== after && before.lanes.delete(lane)) after.lanes.add(lane);
    if (lane.waiting.length === 0 && lane.running === 0) this.#lanes.delete(lane.name);
  }
}
