import { backoffMs } from './backoff.ts';
import { realTimers, type Timers } from './timers.ts';

export interface WorkQueueOptions {
  /** Brings what `key` stands for to the state that it should have. A rejection makes it run again later. */
  readonly work: (key: string, signal: AbortSignal) => Promise<void>;
  /** Keys at once; 4 when absent. The same key never runs twice at once. */
  readonly concurrency?: number;
  /** Wait after the first failure of a key, doubled with each more; 500 when absent. */
  readonly firstRetryMs?: number;
  /** 300,000 when absent. */
  readonly mostRetryMs?: number;
  /** `failures` counts those of the key in a row, this one included. */
  readonly onError?: (error: unknown, key: string, failures: number) => void;
  readonly random?: () => number;
  readonly timers?: Timers;
}

/**
 * Keys to work on, each once however often it was added. A key that is added while it runs, runs once more afterwards.
 * Failures are repeated after growing, jittered waits; an added key does not wait for that.
 */
export class WorkQueue implements AsyncDisposable {
  readonly #options: WorkQueueOptions;
  readonly #timers: Timers;
  readonly #ready = new Set<string>();
  readonly #delayed = new Map<string, { readonly at: number; readonly cancel: () => void }>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #failures = new Map<string, number>();
  readonly #abort = new AbortController();

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#timers = options.timers ?? realTimers;
  }

  /** Keys that wait for a turn or for a time, and those that run. */
  get size(): number {
    return new Set([...this.#ready, ...this.#delayed.keys(), ...this.#running.keys()]).size;
  }

  /** Adds `key`, to run after `delayMs` or as soon as there is room. Of several times for a key the earliest counts. */
  add(key: string, delayMs = 0): void {
    if (this.#abort.signal.aborted || this.#ready.has(key)) return;
    const at = this.#timers.now() + delayMs;
    const waiting = this.#delayed.get(key);
    if (waiting !== undefined && waiting.at <= at) return;
    waiting?.cancel();
    if (delayMs > 0) {
      this.#delayed.set(key, { at, cancel: this.#timers.after(delayMs, () => this.#makeReady(key)) });
    } else {
      this.#makeReady(key);
    }
  }

  /** Takes the key's times and failures back; what runs already goes on. For an object that is gone. */
  forget(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
    this.#ready.delete(key);
    this.#failures.delete(key);
  }

  /** Resolves when no key runs or is ready to; keys that wait for a time do not count. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  /** Takes nothing more, aborts what runs, and waits for its end. */
  async close(): Promise<void> {
    this.#abort.abort(new DOMException('the work queue is closed', 'AbortError'));
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#ready.clear();
    await this.idle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #makeReady(key: string): void {
    this.#delayed.delete(key);
    this.#ready.add(key);
    this.#startWhatCan();
  }

  #startWhatCan(): void {
    const { concurrency = 4 } = this.#options;
    for (const key of this.#ready) {
      if (this.#running.size >= concurrency) return;
      if (this.#running.has(key)) continue;
      this.#ready.delete(key);
      this.#running.set(key, this.#run(key));
    }
  }

  async #run(key: string): Promise<void> {
    // Not within `add`: whoever adds has not finished yet.
    await Promise.resolve();
    try {
      await this.#options.work(key, this.#abort.signal);
      this.#failures.delete(key);
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#retry(key, error);
    } finally {
      this.#running.delete(key);
      this.#startWhatCan();
    }
  }

  #retry(key: string, error: unknown): void {
    const { firstRetryMs = 500, mostRetryMs = 300_000, random = Math.random, onError } = this.#options;
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    onError?.(error, key, failures);
    this.add(key, backoffMs(failures, { firstMs: firstRetryMs, mostMs: mostRetryMs, random }));
  }
}
