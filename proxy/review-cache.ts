import { LRUCache } from 'lru-cache';
import { ProxyError } from '../platform/errors.ts';
import { SharedFlight } from '../platform/shared-flight.ts';

export interface ReviewCacheOptions<T> {
  readonly max: number;
  /** How long an answer counts without asking again. */
  readonly freshMs: (answer: T) => number;
  /** Until when an answer counts that cannot be asked for again; epoch milliseconds. */
  readonly staleUntil: (answer: T, askedAt: number) => number;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** What is told of an answer that cannot be had. */
  readonly unavailable: string;
}

/** The API server is near: whoever waits for a pull waits no longer than this for it. */
const askMs = 5_000;
/** After a failure, what is known is used for this long before it is tried again. */
const pauseMs = 5_000;

/** Answers of the API server's: remembered, asked for once at a time, and good for longer while it is away. */
export class ReviewCache<T extends object | boolean> {
  readonly #options: ReviewCacheOptions<T>;
  readonly #answers: LRUCache<string, { readonly answer: T; readonly at: number }>;
  readonly #flights = new SharedFlight<T>();
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ReviewCacheOptions<T>) {
    this.#options = options;
    this.#answers = new LRUCache({ max: options.max });
  }

  /** Whether an answer is known, of whatever age. */
  has(key: string): boolean {
    return this.#answers.has(key);
  }

  /** @throws ProxyError ACCESS_UNAVAILABLE */
  async get(key: string, signal: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { now, freshMs, staleUntil, unavailable } = this.#options;
    const known = this.#answers.get(key);
    if (known !== undefined && now() - known.at < freshMs(known.answer)) return known.answer;
    const isUsable = known !== undefined && now() < staleUntil(known.answer, known.at);
    if (isUsable && now() - this.#failedAt < pauseMs) return known.answer;
    try {
      return await this.#flights.run(key, signal, async (shared) => {
        const answer = await ask(AbortSignal.any([shared, AbortSignal.timeout(askMs)]));
        this.#answers.set(key, { answer, at: now() });
        return answer;
      });
    } catch (cause) {
      signal.throwIfAborted();
      this.#failedAt = now();
      if (isUsable) return known.answer;
      throw new ProxyError('ACCESS_UNAVAILABLE', unavailable, { cause, headers: { 'retry-after': '2' } });
    }
  }
}
