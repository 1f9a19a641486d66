import type { Timers } from '../../../../platform/kubernetes/timers.ts';

interface Pending {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands still until a test moves it. */
export class ManualTimers implements Timers {
  readonly #pending = new Set<Pending>();
  readonly #watchers = new Set<() => void>();
  #now = 1_000_000;

  now = (): number => this.#now;

  after = (ms: number, callback: () => void): (() => void) => {
    const pending = { at: this.#now + ms, callback };
    this.#pending.add(pending);
    for (const watcher of this.#watchers) watcher();
    return () => void this.#pending.delete(pending);
  };

  /** Waits that are under way, in milliseconds from now, shortest first. */
  get waits(): number[] {
    return [...this.#pending].map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** Moves the clock, calling back what is due on the way, and lets everything that follows from each happen. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const due = [...this.#pending].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#now = Math.max(this.#now, due.at);
      this.#pending.delete(due);
      due.callback();
      await settle();
    }
    this.#now = end;
  }

  /** Resolves with the shortest wait as soon as there is one. */
  async nextWait(): Promise<number> {
    while (this.#pending.size === 0) {
      await new Promise<void>((resolve) => {
        const watcher = (): void => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
    return this.waits[0] ?? 0;
  }

  /** Waits for the shortest wait, which is answered with its length, and ends it. */
  async skip(): Promise<number> {
    const ms = await this.nextWait();
    await this.advance(ms);
    return ms;
  }
}

/** Lets all promises settle that need nothing from outside. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
