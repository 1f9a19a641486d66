import { unlessAborted } from './unless-aborted.ts';

/**
 * Concurrent equal wants share one run. A run is aborted only when everybody who waits for it has gone, so that one
 * caller's departure costs the others nothing. Results are not kept.
 */
export class SharedFlight<T> {
  readonly #flights = new Map<
    string,
    { readonly result: Promise<T>; readonly abort: AbortController; waiting: number }
  >();

  /** Waits for the run of `key`, starting it when there is none. Rejects with `signal.reason` when `signal` aborts first. */
  async run(key: string, signal: AbortSignal, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#begin(key, start);
    flight.waiting += 1;
    try {
      return await unlessAborted(flight.result, signal);
    } finally {
      flight.waiting -= 1;
      if (flight.waiting === 0) {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.abort.abort(new DOMException('nobody waits for it any more', 'AbortError'));
      }
    }
  }

  /** Whether a run of `key` is under way. */
  has(key: string): boolean {
    return this.#flights.has(key);
  }

  get size(): number {
    return this.#flights.size;
  }

  #begin(key: string, start: (signal: AbortSignal) => Promise<T>) {
    const abort = new AbortController();
    const result = start(abort.signal).finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    result.catch(() => {});
    const flight = { result, abort, waiting: 0 };
    this.#flights.set(key, flight);
    return flight;
  }
}
