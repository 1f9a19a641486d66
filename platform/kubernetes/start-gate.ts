import { backoffMs } from './backoff.ts';
import { isUnreachable } from './error.ts';
import { sleepWith, type Timers } from './timers.ts';

export interface StartGateOptions {
  /** How much may be under way at once. */
  readonly concurrency: number;
  readonly signal: AbortSignal;
  readonly random: () => number;
  readonly timers: Timers;
}

/**
 * Lets the beginnings of thousands of watches through, a few at a time. While the server cannot be reached, only one
 * tries after each of the growing waits; the others stay in line, and begin as soon as it is back.
 */
export class StartGate {
  readonly #options: StartGateOptions;
  readonly #line: (() => void)[] = [];
  #underWay = 0;
  #failures = 0;
  #isPaused = false;

  constructor(options: StartGateOptions) {
    this.#options = options;
  }

  /** Runs `work` when it is its turn; rejects with the signal's reason when that aborts before. */
  async run<R>(work: () => Promise<R>): Promise<R> {
    await new Promise<void>((resolve) => {
      this.#line.push(resolve);
      this.#admit();
    });
    try {
      this.#options.signal.throwIfAborted();
      const result = await work();
      this.#failures = 0;
      return result;
    } catch (error) {
      if (isUnreachable(error)) this.#pause();
      throw error;
    } finally {
      this.#underWay -= 1;
      this.#admit();
    }
  }

  #admit(): void {
    const { signal, concurrency } = this.#options;
    while (this.#line.length > 0 && (signal.aborted || this.#hasRoom(concurrency))) {
      this.#underWay += 1;
      this.#line.shift()?.();
    }
  }

  #hasRoom(concurrency: number): boolean {
    return !this.#isPaused && this.#underWay < (this.#failures > 0 ? 1 : concurrency);
  }

  /** What was under way together fails together: one wait for all of it. */
  #pause(): void {
    if (this.#isPaused) return;
    const { signal, random, timers } = this.#options;
    this.#failures += 1;
    this.#isPaused = true;
    const ms = backoffMs(this.#failures, { firstMs: 500, mostMs: 10_000, random });
    const resume = (): void => {
      this.#isPaused = false;
      this.#admit();
    };
    sleepWith(timers, ms, signal).then(resume, resume);
  }
}
