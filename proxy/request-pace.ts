import { ProxyError } from '../platform/errors.ts';

/** Requests a second that are always let through, outside of a pause; a rate doubles for each `doublingMs` without 429. */
const lowestRate = 2;
const doublingMs = 5_000;
/** A rate that has grown to this, and to four times of what it was, makes no difference any more. */
const highestRate = 512;
/** Of requests that were under way when it became slower, the answers say nothing of the new rate. */
const settlingMs = 1_000;
/** Timers are late: what was due in the meantime goes together. */
const catchUpMs = 20;
const waitingMax = 4_000;

export interface RequestPaceOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** 0 ≤ n < 1. */
  readonly random: () => number;
}

interface Turn {
  readonly caller: string;
  /** The n-th turns of all callers are one round. */
  readonly round: number;
  /** Who would get it later is told when to come again. */
  readonly until: number;
  take(): void;
  refuse(error: ProxyError): void;
}

/**
 * How fast requests of one kind go to one registry: as fast as they come, until it answers 429; from then on at half of
 * the rate at which they went, and faster by and by. Who has to wait takes turns with the other callers.
 */
export class RequestPace {
  readonly #now: () => number;
  readonly #random: () => number;
  #second = 0;
  #count = 0;
  #countBefore = 0;
  /** Requests a second at `#since`; undefined as long as nothing is limited. */
  #rate: number | undefined;
  /** When this rate began, or will: until then there is a pause. */
  #since = 0;
  #slowedAt = 0;
  #nextAt = 0;
  #round = 0;
  readonly #waiting: Turn[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor({ now, random }: RequestPaceOptions) {
    this.#now = now;
    this.#random = random;
  }

  /** Counts a request that goes. */
  count(): void {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#second) {
      this.#countBefore = second === this.#second + 1 ? this.#count : 0;
      this.#count = 0;
      this.#second = second;
    }
    this.#count += 1;
  }

  /** Takes notice of a 429. @param pauseMs of a registry that named a time; 0 otherwise */
  slowDown(pauseMs: number): void {
    const now = this.#now();
    const isSettled = this.#rate === undefined || (now >= this.#since && now - this.#slowedAt >= settlingMs);
    if (isSettled) {
      this.#rate = Math.max(lowestRate, this.#measured(now) / 2);
      this.#slowedAt = now;
      this.#since = now;
    }
    if (pauseMs > 0) this.#since = Math.max(this.#since, now + pauseMs);
    this.#nextAt = Math.max(this.#nextAt, this.#since);
    this.#refuseLate(now);
    this.#schedule(now);
  }

  #measured(now: number): number {
    const rate = this.#rateAt(now);
    // Just after a pause there is nothing to go by but what was let through.
    if (this.#rate !== undefined && now - this.#since < settlingMs) return rate;
    return Math.min(rate, Math.max(this.#count, this.#countBefore));
  }

  /**
   * Waits until a request of `caller` may go; undefined where it may at once. Whoever leaves while he waits has taken
   * nothing from the others. Rejects with UPSTREAM_LIMITED and Retry-After, or with the signal's reason.
   */
  turn(caller: string, patienceMs: number, signal: AbortSignal): Promise<void> | undefined {
    if (this.#rate === undefined) return undefined;
    const now = this.#now();
    const rate = this.#rateAt(now);
    if (this.#waiting.length === 0 && rate >= Math.max(highestRate, 4 * this.#rate)) {
      this.#rate = undefined;
      return undefined;
    }
    if (this.#waiting.length === 0 && this.#nextAt <= now) {
      this.#advance(now, rate);
      return undefined;
    }
    return this.#wait(caller, now, now + patienceMs, signal);
  }

  #wait(caller: string, now: number, until: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const ofCaller = this.#waiting.findLast((turn) => turn.caller === caller);
    const round = Math.max(this.#round, ofCaller?.round ?? 0) + 1;
    const place = this.#waiting.findLastIndex((turn) => turn.round <= round) + 1;
    const dueAt = this.#dueAt(place, now);
    if (dueAt > until || this.#waiting.length >= waitingMax) throw this.#limited(dueAt - now);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = (): void => signal.removeEventListener('abort', onAbort);
    const take = (): void => {
      stop();
      resolve();
    };
    const refuse = (error: ProxyError): void => {
      stop();
      reject(error);
    };
    const turn: Turn = { caller, round, until, take, refuse };
    const onAbort = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(turn), 1);
      this.#schedule(this.#now());
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiting.splice(place, 0, turn);
    if (place < this.#waiting.length - 1) this.#refuseLate(now);
    this.#schedule(now);
    return promise;
  }

  /** Those who would now wait for too long hear it now. */
  #refuseLate(now: number): void {
    let place = 0;
    for (const turn of this.#waiting.splice(0)) {
      const dueAt = this.#dueAt(place, now);
      if (dueAt > turn.until) {
        turn.refuse(this.#limited(dueAt - now));
      } else {
        this.#waiting.push(turn);
        place += 1;
      }
    }
  }

  #schedule(now: number): void {
    clearTimeout(this.#timer);
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#letGo(), Math.max(0, this.#nextAt - now));
  }

  #letGo(): void {
    const now = this.#now();
    const rate = this.#rateAt(now);
    while (this.#nextAt <= now) {
      const turn = this.#waiting.shift();
      if (turn === undefined) break;
      this.#round = turn.round;
      this.#advance(now, rate);
      turn.take();
    }
    this.#schedule(now);
  }

  #advance(now: number, rate: number): void {
    this.#nextAt = Math.max(this.#nextAt, now - catchUpMs) + 1000 / rate;
  }

  #dueAt(place: number, now: number): number {
    return Math.max(now, this.#nextAt) + (place * 1000) / this.#rateAt(now);
  }

  #rateAt(now: number): number {
    return this.#rate === undefined
      ? Number.POSITIVE_INFINITY
      : this.#rate * 2 ** (Math.max(0, now - this.#since) / doublingMs);
  }

  #limited(waitMs: number): ProxyError {
    // Spread, so that not all who are told so come back at the same moment.
    return limited('its registry limits our requests', Math.ceil((waitMs / 1000) * (1 + this.#random() / 2)));
  }
}

/** What callers are told where a registry's limits, or ours for it, are met. */
export const limited = (message: string, seconds: number): ProxyError =>
  new ProxyError('UPSTREAM_LIMITED', message, { headers: { 'retry-after': String(Math.max(1, seconds)) } });
