import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { KubernetesError } from './error.ts';
import { microTime } from './lease-record.ts';
import { type KubernetesObject, type ObjectKey, resources } from './object.ts';
import { idleTimers, type Timers } from './timers.ts';
import type { KubernetesClient } from './verbs.ts';

/** What happened to an object, in the words of events.k8s.io/v1. */
export interface EventDescription {
  /** Of a Namespace or another object of the whole cluster: `namespace` says where the Event is to be found. */
  readonly regarding: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  /** Why, in one word for programs: `SecretNotFound`. */
  readonly reason: string;
  /** What was done or tried: `Probe`. */
  readonly action: string;
  /** For people; cut at 1,024 bytes. */
  readonly note: string;
  /** `connectors.cpaas.io/oci-connector` */
  readonly reportingController: string;
}

export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

export interface EventRecorderOptions {
  readonly client: Pick<KubernetesClient, 'create' | 'patch'>;
  /** Which of the replicas reports: the name of the pod. */
  readonly reportingInstance?: string;
  readonly onError?: (error: unknown) => void;
  /** Milliseconds since the epoch, for what is written. */
  readonly now?: () => number;
  readonly timers?: Timers;
}

interface Series {
  readonly key: Required<ObjectKey>;
  count: number;
  lastAt: number;
  /** By `timers`. */
  writtenAt: number;
  seenAt: number;
  cancel: (() => void) | undefined;
}

/** Different Events that are remembered, and writes under way; what is more is not written. */
const mostSeries = 1000;
const mostWrites = 32;
/** Between writes of one series; and without a repetition for so long, the next is a new Event. */
const quietMs = 60_000;
const seriesEndMs = 6 * 60_000;

/**
 * Writes Events. The first of equal ones is written at once, its repetitions are counted and written as its series at
 * most once a minute. Memory and writes under way are bounded: Events are a courtesy, and are lost rather than waited for.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #timers: Timers;
  readonly #now: () => number;
  readonly #series = new LRUCache<string, Series>({ max: mostSeries, dispose: (series) => series.cancel?.() });
  #writes = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#timers = options.timers ?? idleTimers;
    this.#now = options.now ?? Date.now;
  }

  /** Never rejects. Resolves when the Event is written, or is known not to be now. */
  async record(event: EventDescription): Promise<void> {
    try {
      await this.#record(event);
    } catch (error) {
      this.#options.onError?.(error);
    }
  }

  /** Forgets repetitions that are not written yet. */
  close(): void {
    this.#series.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #record(event: EventDescription): Promise<void> {
    const { regarding, type, reason, action, note, reportingController } = event;
    const { kind, namespace, name, uid } = regarding;
    const text = JSON.stringify([kind, namespace, name, uid, type, reason, action, note, reportingController]);
    const now = this.#timers.now();
    const known = this.#series.get(text);
    if (known === undefined || now - known.seenAt > seriesEndMs) {
      const key = {
        namespace: namespace ?? 'default',
        name: `${name.slice(0, 230)}.${randomBytes(8).toString('hex')}`,
      };
      const series = { key, count: 1, lastAt: this.#now(), writtenAt: now, seenAt: now, cancel: undefined };
      this.#series.set(text, series);
      await this.#write(() => this.#create(event, series));
      return;
    }
    known.count += 1;
    known.lastAt = this.#now();
    known.seenAt = now;
    known.cancel ??= this.#timers.after(Math.max(0, known.writtenAt + quietMs - now), () => {
      known.cancel = undefined;
      known.writtenAt = this.#timers.now();
      void this.#write(() => this.#update(event, known));
    });
  }

  async #write(write: () => Promise<unknown>): Promise<void> {
    if (this.#writes >= mostWrites) return;
    this.#writes += 1;
    try {
      await write();
    } catch (error) {
      this.#options.onError?.(error);
    } finally {
      this.#writes -= 1;
    }
  }

  #create(event: EventDescription, { key, count, lastAt }: Series): Promise<unknown> {
    const { note, ...rest } = event;
    const series = { count, lastObservedTime: microTime(lastAt) };
    return this.#options.client.create<KubernetesObject>(resources.events, {
      ...rest,
      metadata: { ...key },
      note: cutBytes(note, 1024),
      eventTime: microTime(lastAt),
      reportingInstance: this.#options.reportingInstance ?? event.reportingController.replaceAll('/', '-'),
      ...(count > 1 ? { series } : {}),
    });
  }

  async #update(event: EventDescription, series: Series): Promise<void> {
    const { key, count, lastAt } = series;
    const patch = { series: { count, lastObservedTime: microTime(lastAt) } };
    try {
      await this.#options.client.patch(resources.events, key, patch);
    } catch (error) {
      // Events live for an hour, or as long as the cluster's settings say.
      if (!(error instanceof KubernetesError && error.status === 404)) throw error;
      await this.#create(event, series);
    }
  }
}

/** At most `limit` bytes of UTF-8, and no half characters. */
function cutBytes(text: string, limit: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= limit) return text;
  return `${new TextDecoder().decode(bytes.subarray(0, limit - 3)).replace(/\uFFFD+$/, '')}…`;
}
