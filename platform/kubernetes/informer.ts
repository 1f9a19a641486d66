import { unlessAborted } from '../unless-aborted.ts';
import { type KubernetesObject, keyOf, keyText, type ObjectKey, type Resource } from './object.ts';
import { reflect } from './reflector.ts';
import { realTimers, type Timers } from './timers.ts';
import type { KubernetesClient } from './verbs.ts';

/** A change of one object: `current` is absent for a deletion, `previous` for an object that is new. */
export interface Change<T> {
  readonly key: ObjectKey;
  readonly current: T | undefined;
  readonly previous: T | undefined;
}

/** The objects of a resource, kept in memory and up to date. */
export interface Informer<T> extends AsyncDisposable {
  /** Whether the first list has been read; it stays so while the API server is away. */
  readonly isSynced: boolean;
  /** Resolves with the first list; rejects with the signal's reason, or when the informer is closed before. */
  synced(signal?: AbortSignal): Promise<void>;
  get(key: ObjectKey): T | undefined;
  list(): Iterable<T>;
  /** Calls `listener` after the memory has changed. The function returned ends that. */
  onChange(listener: (change: Change<T>) => void): () => void;
  close(): Promise<void>;
}

export interface InformerOptions<T extends KubernetesObject> {
  readonly client: Pick<KubernetesClient, 'list' | 'watch'>;
  readonly resource: Resource;
  /** All namespaces when absent. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** What is kept of each object; `metadata.managedFields` is dropped before. */
  readonly transform?: (object: T) => T;
  /** Failures of lists, watches and listeners; all but the last are repeated. */
  readonly onError?: (error: unknown) => void;
  readonly random?: () => number;
  readonly timers?: Timers;
}

/** Begins to list and watch at once. */
export function startInformer<T extends KubernetesObject>(options: InformerOptions<T>): Informer<T> {
  return new WatchingInformer(options);
}

class WatchingInformer<T extends KubernetesObject> implements Informer<T> {
  readonly #options: InformerOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #listeners = new Set<(change: Change<T>) => void>();
  readonly #abort = new AbortController();
  readonly #firstList = Promise.withResolvers<void>();
  readonly #reflection: Promise<void>;
  isSynced = false;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#firstList.promise.catch(() => {});
    const { client, resource, namespace, labelSelector, fieldSelector, onError } = options;
    this.#reflection = reflect<T>({
      client,
      resource,
      selection: {
        ...(namespace === undefined ? {} : { namespace }),
        ...(labelSelector === undefined ? {} : { labelSelector }),
        ...(fieldSelector === undefined ? {} : { fieldSelector }),
      },
      mirror: {
        replace: (items) => this.#replace(items),
        apply: (type, object) => this.#set(keyText(keyOf(object)), type === 'DELETED' ? undefined : object),
      },
      signal: this.#abort.signal,
      gate: (work) => work(),
      onError: (error) => onError?.(error),
      watchSeconds: [300, 600],
      bookmarks: true,
      random: options.random ?? Math.random,
      timers: options.timers ?? realTimers,
    });
  }

  async synced(signal?: AbortSignal): Promise<void> {
    const { promise } = this.#firstList;
    await (signal === undefined ? promise : unlessAborted(promise, signal));
  }

  get(key: ObjectKey): T | undefined {
    return this.#objects.get(keyText(key));
  }

  list(): Iterable<T> {
    return this.#objects.values();
  }

  onChange(listener: (change: Change<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    const reason = new DOMException('the informer is closed', 'AbortError');
    this.#abort.abort(reason);
    this.#firstList.reject(reason);
    this.#listeners.clear();
    await this.#reflection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #replace(items: readonly T[]): void {
    const gone = new Set(this.#objects.keys());
    for (const item of items) {
      const text = keyText(keyOf(item));
      gone.delete(text);
      this.#set(text, item);
    }
    for (const text of gone) this.#set(text, undefined);
    this.isSynced = true;
    this.#firstList.resolve();
  }

  #set(text: string, object: T | undefined): void {
    const previous = this.#objects.get(text);
    if (object === undefined && previous === undefined) return;
    if (previous !== undefined && isSameVersion(previous, object)) return;
    const current = object && this.#kept(object);
    if (current === undefined) this.#objects.delete(text);
    else this.#objects.set(text, current);
    const key = keyOf((current ?? previous) as T);
    for (const listener of this.#listeners) {
      try {
        listener({ key, current, previous });
      } catch (error) {
        this.#options.onError?.(error);
      }
    }
  }

  #kept(object: T): T {
    const plain = withoutManagedFields(object);
    return this.#options.transform?.(plain) ?? plain;
  }
}

/** They are often the larger half of an object, and of use to the API server only. */
export function withoutManagedFields<T extends KubernetesObject>(object: T): T {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** The same object as it was before; a new one of the same name has a version of its own, too. */
export function isSameVersion(previous: KubernetesObject, current: KubernetesObject | undefined): boolean {
  const version = previous.metadata.resourceVersion;
  return version !== undefined && version === current?.metadata.resourceVersion;
}
