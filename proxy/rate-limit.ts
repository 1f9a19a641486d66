import { LRUCache } from 'lru-cache';

export interface RateLimitOptions {
  /** How often per second, in the long run. */
  readonly perSecond: number;
  /** How often at once, after a pause. */
  readonly burst: number;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

const keysMax = 20_000;

/** Token buckets, one for each key; the keys not seen for longest are forgotten. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #buckets = new LRUCache<string, { level: number; at: number }>({ max: keysMax });

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Takes one from the bucket of `key`; false where it is empty. */
  take(key: string): boolean {
    const { perSecond, burst, now } = this.#options;
    const at = now();
    const bucket = this.#buckets.get(key) ?? { level: burst, at };
    const level = Math.min(burst, bucket.level + (Math.max(0, at - bucket.at) / 1000) * perSecond);
    this.#buckets.set(key, { level: level < 1 ? level : level - 1, at });
    return level >= 1;
  }
}
