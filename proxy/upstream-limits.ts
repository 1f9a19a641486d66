import type { IncomingHttpHeaders } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { ResolvedConnector } from '../connectors/connector.ts';
import type { Action, Caller } from '../credentials/grant.ts';
import { retryAfterMs } from '../platform/retry-after.ts';
import { Slots } from '../platform/slots.ts';
import { limited, RequestPace, type RequestPaceOptions } from './request-pace.ts';
import type { Endpoint } from './route.ts';

export interface UpstreamLimitsOptions extends Partial<RequestPaceOptions> {
  /** Milliseconds since the epoch, for registries that name a date. */
  readonly date?: () => number;
}

/** Requests under way to the registry of one connector, where the connector does not say. */
const concurrentDefault = 1_000;
const waitingMax = 4_000;
/** Of a connector's requests under way, for one caller. */
const callersShare = 7 / 8;
const connectorsMax = 10_000;
/** A registry may name any time at all; after this we ask whether it is over. */
const pauseMaxMs = 60_000;
/** Who would have to wait longer is told when to come again. Waiting costs nothing: no body has been read. */
const patienceMs = 30_000;
/** What has been pushed already would be lost: a pause is waited out. */
const uploadPatienceMs = pauseMaxMs + patienceMs;

const groups = {
  manifests: 'manifests',
  blobs: 'blobs',
  tags: 'tags',
  referrers: 'referrers',
  uploads: 'upload',
  upload: 'upload',
} as const satisfies Record<Endpoint['kind'], string>;

/** What a registry may count apart. */
export type LimitedKind = `${Action | 'HEAD'} ${(typeof groups)[Endpoint['kind']]}`;

/** A registry that counts may count HEAD apart, or not at all; and what pushes bring about is no reason to stop pulls. */
export const limitedKind = (method: string | undefined, action: Action, endpoint: Endpoint['kind']): LimitedKind =>
  `${method === 'HEAD' ? method : action} ${groups[endpoint]}`;

/** What is limited: requests of one kind to a connector's registry, for a caller. */
export interface LimitedWant {
  readonly connector: ResolvedConnector;
  readonly caller: Caller;
  readonly kind: LimitedKind;
}

/**
 * How much a connector's registry is asked: so many requests at a time, not all of them for one caller, and, after it
 * has answered 429, fewer a second, and none until the time that it named. What is limited is one connector and one kind
 * of request: a registry that counts manifests goes on giving blobs, and one that is slow costs the others nothing.
 */
export class UpstreamLimits {
  readonly #options: RequestPaceOptions;
  readonly #date: () => number;
  readonly #slots = new Slots({ perKey: concurrentDefault, waitingPerKey: waitingMax, patience });
  readonly #callers = new Slots({ perKey: concurrentDefault, waitingPerKey: waitingMax / 2, patience });
  readonly #paces = new LRUCache<string, Map<LimitedKind, RequestPace>>({ max: connectorsMax });

  constructor({ now = () => performance.now(), random = Math.random, date = Date.now }: UpstreamLimitsOptions = {}) {
    this.#options = { now, random };
    this.#date = date;
  }

  /**
   * Runs `work` when the connector's limits let it.
   * @throws ProxyError UPSTREAM_LIMITED with Retry-After; whatever `work` does; the signal's reason
   */
  async run<T>({ connector, caller, kind }: LimitedWant, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const pace = this.#pace(connector, kind);
    const turn = pace.turn(caller.name, kind === 'push upload' ? uploadPatienceMs : patienceMs, signal);
    if (turn !== undefined) await turn;
    const max = connector.maxConcurrentRequests ?? concurrentDefault;
    const shared = () => {
      pace.count();
      return this.#slots.run(connector.uid, signal, work, max) ?? Promise.reject(tooMany());
    };
    // One that holds on to all it can get, and reads nothing, leaves the rest to everybody else.
    const running = this.#callers.run(
      `${connector.uid}\n${caller.name}`,
      signal,
      shared,
      Math.ceil(max * callersShare),
    );
    return running ?? Promise.reject(tooMany());
  }

  /** Takes notice of an answer: 429 makes it slower, and a pause where a time is named. */
  learn(connector: ResolvedConnector, kind: LimitedKind, status: number, headers: IncomingHttpHeaders): void {
    if (status !== 429) return;
    const pauseMs = retryAfterMs(headers['retry-after'], this.#date()) ?? 0;
    this.#pace(connector, kind).slowDown(Math.min(pauseMs, pauseMaxMs));
  }

  #pace({ uid }: ResolvedConnector, kind: LimitedKind): RequestPace {
    const kinds = this.#paces.get(uid) ?? new Map<LimitedKind, RequestPace>();
    if (kinds.size === 0) this.#paces.set(uid, kinds);
    const pace = kinds.get(kind) ?? new RequestPace(this.#options);
    if (!kinds.has(kind)) kinds.set(kind, pace);
    return pace;
  }
}

const tooMany = () => limited('too many requests to its registry wait already', 2);
const patience = { ms: patienceMs, error: () => limited('other requests to its registry take too long', 2) };
