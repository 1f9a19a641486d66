import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { ResolvedConnector } from '../connectors/connector.ts';
import type { Caller } from '../credentials/grant.ts';
import { ProxyError } from '../platform/errors.ts';
import { Slots } from '../platform/slots.ts';

export interface UpstreamLimitsOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  /** 0 ≤ n < 1. */
  readonly random?: () => number;
}

/** Requests under way to the registry of one connector, where the connector does not say. */
const concurrentDefault = 1_000;
const waitingMax = 4_000;
/** Of a connector's requests under way, for one caller. */
const callersShare = 7 / 8;
const pacesMax = 10_000;
/** A registry may name any time at all; after this we ask whether it is over. */
const pauseMaxMs = 60_000;
const pauseDefaultMs = 1_000;
/** Who would have to wait longer is told when to come again. */
const patienceMs = 2_000;
/** Requests a second after a pause; they double for each `doublingMs` without another 429. */
const firstRate = 2;
const doublingMs = 5_000;
/** Beyond this a pace makes no difference. */
const lastRate = 512;

/** What is limited: requests of one kind (an endpoint) to a connector's registry, for a caller. */
export interface LimitedWant {
  readonly connector: ResolvedConnector;
  readonly caller: Caller;
  readonly kind: string;
}

/** A registry that has said «429»: when it may be asked again, and how often. */
interface Pace {
  /** When the pause ends. */
  readonly until: number;
  /** When the next request may go. */
  nextAt: number;
}

/**
 * How much a connector's registry is asked: so many requests at a time, not all of them for one caller, and, after it
 * has answered 429, none until the time that it named, and few at first then. What is limited is one connector and one
 * kind of request: a registry that counts manifests goes on giving blobs, and one that is slow costs the others nothing.
 */
export class UpstreamLimits {
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #slots = new Slots({ perKey: concurrentDefault, waitingPerKey: waitingMax });
  readonly #callers = new Slots({ perKey: concurrentDefault, waitingPerKey: waitingMax / 2 });
  readonly #paces = new LRUCache<string, Pace>({ max: pacesMax });

  constructor({ now = () => performance.now(), random = Math.random }: UpstreamLimitsOptions = {}) {
    this.#now = now;
    this.#random = random;
  }

  /**
   * Runs `work` when the connector's limits let it.
   * @throws ProxyError UPSTREAM_LIMITED with Retry-After; whatever `work` does; the signal's reason
   */
  async run<T>(want: LimitedWant, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { connector, caller, kind } = want;
    const pace = this.#paces.size === 0 ? undefined : this.#paces.get(keyOf(connector, kind));
    if (pace !== undefined) await this.#wait(pace, connector, kind, signal);
    const max = connector.maxConcurrentRequests ?? concurrentDefault;
    const shared = () => this.#slots.run(connector.uid, signal, work, max) ?? Promise.reject(tooMany());
    // One that holds on to all it can get, and reads nothing, leaves the rest to everybody else.
    const running = this.#callers.run(
      `${connector.uid}\n${caller.name}`,
      signal,
      shared,
      Math.ceil(max * callersShare),
    );
    return running ?? Promise.reject(tooMany());
  }

  /** Takes notice of an answer: 429 makes a pause. */
  learn(connector: ResolvedConnector, kind: string, status: number, headers: IncomingHttpHeaders): void {
    if (status !== 429) return;
    const now = this.#now();
    const pauseMs = Math.min(retryAfterMs(headers['retry-after']) ?? pauseDefaultMs, pauseMaxMs);
    const until = now + pauseMs;
    const known = this.#paces.get(keyOf(connector, kind));
    // Of many that were under way together each is answered so; the last of them must not make it longer each time.
    if (known !== undefined && known.until >= until) return;
    this.#paces.set(keyOf(connector, kind), { until, nextAt: until });
  }

  async #wait(pace: Pace, connector: ResolvedConnector, kind: string, signal: AbortSignal): Promise<void> {
    const now = this.#now();
    const rate = firstRate * 2 ** Math.max(0, (now - pace.until) / doublingMs);
    if (rate >= lastRate) {
      this.#paces.delete(keyOf(connector, kind));
      return;
    }
    const at = Math.max(now, pace.nextAt);
    const waitMs = at - now;
    if (waitMs > patienceMs) {
      // Spread, so that not all who are told so come back at the same moment.
      throw limited('its registry limits our requests', Math.ceil((waitMs / 1000) * (1 + this.#random() / 2)));
    }
    pace.nextAt = at + 1000 / rate;
    if (waitMs > 0) await delay(waitMs, undefined, { signal });
  }
}

const keyOf = (connector: ResolvedConnector, kind: string): string => `${connector.uid}\n${kind}`;

const tooMany = (): ProxyError => limited('too many requests to its registry wait already', 2);

const limited = (message: string, seconds: number): ProxyError =>
  new ProxyError('UPSTREAM_LIMITED', message, { headers: { 'retry-after': String(Math.max(1, seconds)) } });

/** `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date. */
function retryAfterMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Math.max(Number(value) * 1000, pauseDefaultMs);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(at - Date.now(), pauseDefaultMs);
}
