import { setTimeout as delay } from 'node:timers/promises';
import { type FaultClient, type OperationResult, runOperation } from './fault-operations.ts';
import { classifyFailure } from './fault-outcome.ts';
import type { FaultProduct, LoggedLine, ProductUsage } from './fault-product.ts';
import { type FaultScene, openFaultScene } from './fault-scene.ts';

export interface FaultRunOptions {
  /** Pulls and pushes by crane; a fifth as many by a plain client come with them. */
  readonly operations: number;
  readonly seed: string;
  /** Share of the registry's requests that meet a fault, 0 to 1. */
  readonly rate?: number;
  readonly concurrency?: number;
  /** How many requests meet silence beyond all timeouts, a minute each. */
  readonly silences?: number;
  /** Kills and replacements each, within the first half. */
  readonly interruptions?: number;
  readonly onProgress?: (line: string) => unknown;
  /** Told in the end what the product has logged. */
  readonly onLog?: (lines: readonly LoggedLine[]) => unknown;
}

export interface FaultReport {
  readonly seconds: number;
  /** What the longest operation took. */
  readonly longestSeconds: number;
  /** By client and action: `crane pull`. */
  readonly succeeded: Readonly<Record<string, number>>;
  /** By class, where there is one. */
  readonly failed: Readonly<Record<string, number>>;
  /** What the client was told that is no clear error. */
  readonly unclassified: readonly string[];
  /** Reported as done, and not whole. */
  readonly damaged: readonly string[];
  /** Requests to the registry by fault, `none` among them. */
  readonly requests: Readonly<Record<string, number>>;
  /** Lines that should not be in the log. */
  readonly alarms: readonly string[];
  readonly killed: number;
  readonly replaced: number;
  /** Of the last process: as it started, when it had served a tenth of the run, in the end, and with nothing under way. */
  readonly usage: Readonly<Record<'fresh' | 'warm' | 'end' | 'idle', ProductUsage>>;
}

const clientsPerOperation: readonly FaultClient[] = ['crane', 'crane', 'crane', 'crane', 'crane', 'plain'];

/** Pulls and pushes through the product while its registry goes wrong and it is itself killed and replaced. */
export async function runFaults(options: FaultRunOptions): Promise<FaultReport> {
  const { operations, seed, rate = 0.15, concurrency = 8, silences = 0 } = options;
  const scene = await openFaultScene({ seed, rate, silences, images: Math.min(12, Math.ceil(operations / 10)) });
  try {
    const startedAt = performance.now();
    const interrupter = new Interrupter(scene.product, options);
    const results: OperationResult[] = [];
    const total = Math.ceil((operations * clientsPerOperation.length) / 5);
    let next = 0;
    const work = async () => {
      while (next < total) {
        const number = next;
        next += 1;
        // Nothing begins while nobody listens; what is under way meets whatever comes.
        await interrupter.at(number / total);
        const client = clientsPerOperation[number % clientsPerOperation.length] ?? 'crane';
        results.push(await runOperation(scene, seed, number, client));
        if (results.length % 50 === 0) options.onProgress?.(await progressOf(results.length, total, scene, startedAt));
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    await interrupter.at(1);
    const end = await scene.product.usage();
    const { fresh } = interrupter;
    const usage = { fresh, warm: await interrupter.warm, end, idle: await idleUsage(scene, fresh) };
    return reportOf(results, scene, { seconds: Math.round((performance.now() - startedAt) / 1000), usage });
  } finally {
    options.onLog?.(scene.product.logged());
    await scene.close();
  }
}

async function progressOf(done: number, total: number, { product }: FaultScene, startedAt: number): Promise<string> {
  const { rssMiB, descriptors } = await product.usage().catch(() => ({ rssMiB: 0, descriptors: 0 }));
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  return `${done}/${total} after ${seconds} s: ${rssMiB} MiB, ${descriptors} descriptors`;
}

/** Kills and replaces the product in turn, evenly over the first half of the run; then looks at what the last one takes. */
class Interrupter {
  readonly #steps: { readonly at: number; readonly run: () => Promise<unknown> }[];
  readonly #warm = Promise.withResolvers<ProductUsage>();
  #running: Promise<unknown> = Promise.resolve();
  /** What the last process took before its first request, as far as anybody can tell. */
  fresh: ProductUsage = { rssMiB: 0, descriptors: Number.POSITIVE_INFINITY };

  constructor(product: FaultProduct, { interruptions = 3 }: FaultRunOptions) {
    const count = 2 * interruptions;
    this.#steps = Array.from({ length: count }, (_, index) => ({
      at: ((index + 1) / (count + 1)) * 0.5,
      run: async () => {
        await (index % 2 === 0 ? product.kill() : product.replace());
        this.fresh = await product.usage();
      },
    }));
    this.#steps.push({ at: 0.6, run: async () => this.#warm.resolve(await product.usage()) });
  }

  get warm(): Promise<ProductUsage> {
    return this.#warm.promise;
  }

  /** To be told how far the run is, 0 to 1; resolves when somebody listens. */
  async at(share: number): Promise<void> {
    while (share >= (this.#steps[0]?.at ?? Number.POSITIVE_INFINITY)) {
      const step = this.#steps.shift();
      this.#running = this.#running.then(step?.run);
    }
    await this.#running;
  }
}

const idleMs = 15_000;

/** Waits for the descriptors to be as few as before the first request; what they are after a while is the answer. */
async function idleUsage(scene: FaultScene, fresh: ProductUsage): Promise<ProductUsage> {
  const until = performance.now() + idleMs;
  for (;;) {
    scene.closeIdle();
    await delay(200);
    const usage = await scene.product.usage();
    if (usage.descriptors <= fresh.descriptors || performance.now() > until) return usage;
  }
}

function reportOf(
  results: readonly OperationResult[],
  { product, plan }: FaultScene,
  measured: Pick<FaultReport, 'seconds' | 'usage'>,
): FaultReport {
  const logged = product.logged();
  const { interruptions } = product;
  const failures = results.filter(({ failure }) => failure !== undefined);
  const classified = failures.map((result) => ({
    result,
    kind: classifyFailure(result, { interruptions, logged }),
  }));
  const isAlarm = ({ msg, error, level }: (typeof logged)[number]) =>
    error === 'INTERNAL' || msg === 'unexpected error' || level === 'error' || level === 'fatal' || !msg;
  return {
    ...measured,
    longestSeconds: Math.round(Math.max(0, ...results.map(({ from, to }) => to - from)) / 1000),
    succeeded: countBy(
      results.filter(({ failure }) => failure === undefined),
      ({ client, action }) => `${client} ${action}`,
    ),
    failed: countBy(
      classified.filter(({ kind }) => kind !== undefined),
      ({ kind }) => kind ?? '',
    ),
    unclassified: classified
      .filter(({ kind }) => kind === undefined)
      .map(({ result: { name, action, repository, failure, from, to } }) => {
        const met = interruptions.filter((each) => each.from <= to && each.to >= from).map(({ kind }) => kind);
        return `${name} ${action} ${repository}: ${failure} (met: ${met.join(', ') || 'nothing'})`;
      }),
    damaged: results
      .filter(({ damage }) => damage !== undefined)
      .map(({ name, action, damage }) => `${name} ${action}: ${damage}`),
    requests: Object.fromEntries([...plan.met].sort()),
    alarms: logged.filter(isAlarm).map((line) => JSON.stringify(line)),
    killed: interruptions.filter(({ kind }) => kind === 'killed').length,
    replaced: interruptions.filter(({ kind }) => kind === 'drained').length,
  };
}

function countBy<T>(values: readonly T[], nameOf: (value: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[nameOf(value)] = (counts[nameOf(value)] ?? 0) + 1;
  return counts;
}
