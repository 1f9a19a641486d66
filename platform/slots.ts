export interface SlotsOptions {
  readonly perKey: number;
  readonly waitingPerKey: number;
  /** How long one waits for a slot, and what is told who has waited so long; without end when absent. */
  readonly patience?: { readonly ms: number; readonly error: () => Error };
}

interface Queue {
  used: number;
  /** How many may be used; it may have become less than there are. */
  max: number;
  readonly waiting: (() => void)[];
}

/** A bounded number of things at a time, for each key; who comes next waits, as far as there is room to wait. */
export class Slots {
  readonly #options: SlotsOptions;
  readonly #keys = new Map<string, Queue>();

  constructor(options: SlotsOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` once there is a slot; undefined where too many wait already. Rejects as `work` does, with the signal's
   * reason, or with the error of `patience`.
   * @param perKey in place of the number for all keys; the last one that was named counts, also for those who wait
   */
  run<T>(
    key: string,
    signal: AbortSignal,
    work: () => Promise<T>,
    perKey: number = this.#options.perKey,
  ): Promise<T> | undefined {
    const queue = this.#keys.get(key) ?? { used: 0, max: perKey, waiting: [] };
    queue.max = perKey;
    // Where there are more than before, they are first for who waits.
    admit(queue);
    const isFree = queue.used < perKey;
    if (!isFree && queue.waiting.length >= this.#options.waitingPerKey) return undefined;
    this.#keys.set(key, queue);
    if (isFree) queue.used += 1;
    return this.#run(key, queue, isFree ? undefined : this.#turn(queue.waiting, signal), work);
  }

  async #run<T>(key: string, queue: Queue, turn: Promise<void> | undefined, work: () => Promise<T>): Promise<T> {
    if (turn !== undefined) await turn;
    try {
      return await work();
    } finally {
      queue.used -= 1;
      // A slot is handed on at once, so that nobody who comes now is faster than who waits.
      admit(queue);
      if (queue.used === 0) this.#keys.delete(key);
    }
  }

  #turn(waiting: (() => void)[], signal: AbortSignal): Promise<void> {
    const { patience } = this.#options;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const stop = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      };
      const leave = (reason: unknown): void => {
        stop();
        waiting.splice(waiting.indexOf(onTurn), 1);
        reject(reason);
      };
      const onTurn = (): void => {
        stop();
        resolve();
      };
      const onAbort = (): void => leave(signal.reason);
      const timer = patience && setTimeout(() => leave(patience.error()), patience.ms);
      signal.addEventListener('abort', onAbort, { once: true });
      waiting.push(onTurn);
    });
  }
}

function admit(queue: Queue): void {
  while (queue.used < queue.max) {
    const next = queue.waiting.shift();
    if (next === undefined) return;
    queue.used += 1;
    next();
  }
}
