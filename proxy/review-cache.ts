import { LRUCache } from 'lru-cache';
import { ProxyError } from '../platform/errors.ts';
import { inTime } from '../platform/in-time.ts';
import { SharedFlight } from '../platform/shared-flight.ts';

export interface ReviewCacheOptions<T> {
  /** Of answers that are yes, and of those that are no: the one kind never pushes out the other. */
  readonly max: number;
  readonly isYes: (answer: T) => boolean;
  /** How long an answer counts without asking again. */
  readonly freshMs: (answer: T) => number;
  /** Until when an answer counts that cannot be asked for again; epoch milliseconds. */
  readonly staleUntil: (answer: T, askedAt: number) => number;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** What is told of an answer that cannot be had. */
  readonly unavailable: string;
  /** The API server is near: whoever waits for a pull waits no longer than this for it. */
  readonly askMs?: number;
}

interface Known<T> {
  readonly answer: T;
  readonly at: number;
  /** When it could last not be asked for again. */
  failedAt: number;
}

const defaultAskMs = 5_000;
/** Who has an answer that was good a while ago waits this long for a new one. */
const patienceMs = 500;
/** An answer this old counts no more because a new one takes long, but only because none can be had. */
const oldMs = 45_000;
/** Or not at all, as long as the API server is known to be away. */
const awayMs = 30_000;
/** After a failure, what is known is used for this long before it is asked for again. */
const pauseMs = 5_000;

/** Answers of the API server's: remembered, asked for once at a time, and good for longer while it is away. */
export class ReviewCache<T extends object | boolean> {
  readonly #options: ReviewCacheOptions<T>;
  readonly #yes: LRUCache<string, Known<T>>;
  readonly #no: LRUCache<string, Known<T>>;
  readonly #flights = new SharedFlight<T>();
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ReviewCacheOptions<T>) {
    this.#options = options;
    this.#yes = new LRUCache({ max: options.max });
    this.#no = new LRUCache({ max: options.max });
  }

  /** The last answer, of whatever age. */
  last(key: string): T | undefined {
    return this.#known(key)?.answer;
  }

  /** Whether `get` would begin to ask: no answer counts, and nobody is asking. */
  isDue(key: string): boolean {
    const known = this.#known(key);
    return !(known !== undefined && this.#isFresh(known)) && !this.#flights.has(key);
  }

  /** @throws ProxyError ACCESS_UNAVAILABLE */
  async get(key: string, signal: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const known = this.#known(key);
    if (known !== undefined && this.#isFresh(known)) return known.answer;
    if (known !== undefined && this.#isUsable(known)) return this.#again(key, known, ask);
    try {
      return await this.#ask(key, signal, ask);
    } catch (cause) {
      signal.throwIfAborted();
      throw new ProxyError('ACCESS_UNAVAILABLE', this.#options.unavailable, {
        cause,
        headers: { 'retry-after': '2' },
      });
    }
  }

  /** Asks again; an API server that is slow, or away, costs nobody more than a moment. */
  async #again(key: string, known: Known<T>, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { now } = this.#options;
    if (now() - known.failedAt < pauseMs || this.#flights.has(key)) return known.answer;
    const isAway = now() - this.#failedAt < awayMs;
    // Whoever began to ask may leave: the answer is for those who come next as well.
    const asked = this.#ask(key, new AbortController().signal, ask).catch(() => {
      known.failedAt = now();
      return known.answer;
    });
    if (isAway) return known.answer;
    // Slow is not away: what is old is waited for, until the question itself has failed.
    const isOld = now() - known.at > oldMs;
    const answer = await inTime(asked, isOld ? (this.#options.askMs ?? defaultAskMs) : patienceMs);
    if (answer === undefined) known.failedAt = now();
    return answer ?? known.answer;
  }

  #ask(key: string, signal: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { now, askMs = defaultAskMs } = this.#options;
    return this.#flights.run(key, signal, async (shared) => {
      try {
        const answer = await ask(AbortSignal.any([shared, AbortSignal.timeout(askMs)]));
        this.#remember(key, { answer, at: now(), failedAt: Number.NEGATIVE_INFINITY });
        this.#failedAt = Number.NEGATIVE_INFINITY;
        return answer;
      } catch (error) {
        if (!shared.aborted) this.#failedAt = now();
        throw error;
      }
    });
  }

  #known(key: string): Known<T> | undefined {
    return this.#yes.get(key) ?? this.#no.get(key);
  }

  #remember(key: string, known: Known<T>): void {
    const isYes = this.#options.isYes(known.answer);
    (isYes ? this.#no : this.#yes).delete(key);
    (isYes ? this.#yes : this.#no).set(key, known);
  }

  #isFresh({ answer, at }: Known<T>): boolean {
    return this.#options.now() - at < this.#options.freshMs(answer);
  }

  #isUsable({ answer, at }: Known<T>): boolean {
    return this.#options.now() < this.#options.staleUntil(answer, at);
  }
}
