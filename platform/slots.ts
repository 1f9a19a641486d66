/** A bounded number of things at a time, for each key; who comes next waits, as far as there is room to wait. */
export class Slots {
  readonly #options: { readonly perKey: number; readonly waitingPerKey: number };
  readonly #keys = new Map<string, { used: number; readonly waiting: (() => void)[] }>();

  constructor(options: { readonly perKey: number; readonly waitingPerKey: number }) {
    this.#options = options;
  }

  /**
   * Runs `work` once there is a slot; undefined where too many wait already. Rejects as `work` does, or with the signal's
   * reason.
   * @param perKey in place of the number for all keys
   */
  run<T>(
    key: string,
    signal: AbortSignal,
    work: () => Promise<T>,
    perKey: number = this.#options.perKey,
  ): Promise<T> | undefined {
    const queue = this.#keys.get(key) ?? { used: 0, waiting: [] };
    const isFree = queue.used < perKey;
    if (!isFree && queue.waiting.length >= this.#options.waitingPerKey) return undefined;
    this.#keys.set(key, queue);
    if (isFree) queue.used += 1;
    return this.#run(key, queue, isFree ? undefined : this.#turn(queue.waiting, signal), work);
  }

  async #run<T>(
    key: string,
    queue: { used: number; readonly waiting: (() => void)[] },
    turn: Promise<void> | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    if (turn !== undefined) await turn;
    try {
      return await work();
    } finally {
      const next = queue.waiting.shift();
      // A slot is handed on, so that nobody who comes now is faster than who waits.
      if (next !== undefined) next();
      else queue.used -= 1;
      if (queue.used === 0) this.#keys.delete(key);
    }
  }

  #turn(waiting: (() => void)[], signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onTurn = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        waiting.splice(waiting.indexOf(onTurn), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      waiting.push(onTurn);
    });
  }
}
