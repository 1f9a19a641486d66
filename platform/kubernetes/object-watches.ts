import { isSameVersion, withoutManagedFields } from './informer.ts';
import { type KubernetesObject, keyText, type ObjectKey, parseKey, type Resource } from './object.ts';
import { reflect } from './reflector.ts';
import { StartGate } from './start-gate.ts';
import { realTimers, type Timers } from './timers.ts';
import type { KubernetesClient } from './verbs.ts';

/** Single objects, each kept current by a watch of its own, so that no right to see the others is needed. */
export interface ObjectWatches<T> extends AsyncDisposable {
  /** The whole set of objects to watch; it replaces the one before. */
  want(keys: Iterable<ObjectKey>): void;
  /** undefined where there is none, and for what is not wanted or not synced yet. */
  get(key: ObjectKey): T | undefined;
  /** Whether it has been read once, so that `get` tells the truth; never for an object that is not wanted. */
  isSynced(key: ObjectKey): boolean;
  /** Why an object could last not be read or watched; undefined when all is well. */
  failureOf(key: ObjectKey): unknown;
  /** Calls `listener` when an object has changed, come, gone, or been looked for the first time. The function returned ends that. */
  onChange(listener: (key: ObjectKey) => void): () => void;
  close(): Promise<void>;
}

export interface ObjectWatchesOptions<T extends KubernetesObject> {
  readonly client: Pick<KubernetesClient, 'list' | 'watch'>;
  readonly resource: Resource;
  /** What is kept of each object; `metadata.managedFields` is dropped before. */
  readonly transform?: (object: T) => T;
  /** Lists and begins of watches under way at once; 16 when absent, half of the client's own connections. */
  readonly concurrency?: number;
  readonly onError?: (error: unknown, key: ObjectKey) => void;
  readonly random?: () => number;
  readonly timers?: Timers;
}

export function startObjectWatches<T extends KubernetesObject>(options: ObjectWatchesOptions<T>): ObjectWatches<T> {
  return new NamedWatches(options);
}

interface Watched<T> {
  readonly abort: AbortController;
  readonly reflection: Promise<void>;
  object: T | undefined;
  isSynced: boolean;
  failure: unknown;
}

/** What names of namespaces and objects are made of; whatever else somebody writes into a reference is nowhere. */
const possibleName = /^[a-z0-9](?:[-a-z0-9.:]{0,251}[a-z0-9])?$/;

class NamedWatches<T extends KubernetesObject> implements ObjectWatches<T> {
  readonly #options: ObjectWatchesOptions<T>;
  readonly #watched = new Map<string, Watched<T>>();
  readonly #listeners = new Set<(key: ObjectKey) => void>();
  readonly #ending = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  readonly #gate: StartGate;

  constructor(options: ObjectWatchesOptions<T>) {
    this.#options = options;
    const { concurrency = 16, random = Math.random, timers = realTimers } = options;
    this.#gate = new StartGate({ concurrency, random, timers, signal: this.#abort.signal });
  }

  want(keys: Iterable<ObjectKey>): void {
    if (this.#abort.signal.aborted) return;
    const wanted = new Set([...keys].map(keyText));
    for (const [text, watched] of this.#watched) {
      if (!wanted.has(text)) this.#end(text, watched);
    }
    for (const text of wanted) {
      if (!this.#watched.has(text)) this.#begin(text);
    }
  }

  get(key: ObjectKey): T | undefined {
    return this.#watched.get(keyText(key))?.object;
  }

  isSynced(key: ObjectKey): boolean {
    return this.#watched.get(keyText(key))?.isSynced ?? false;
  }

  failureOf(key: ObjectKey): unknown {
    return this.#watched.get(keyText(key))?.failure;
  }

  onChange(listener: (key: ObjectKey) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#abort.abort(new DOMException('the watches are closed', 'AbortError'));
    this.#listeners.clear();
    for (const [text, watched] of this.#watched) this.#end(text, watched);
    await Promise.all(this.#ending);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #begin(text: string): void {
    const key = parseKey(text);
    const abort = new AbortController();
    if (!possibleName.test(key.name) || !possibleName.test(key.namespace ?? 'cluster')) {
      const reflection = Promise.resolve();
      this.#watched.set(text, { abort, reflection, object: undefined, isSynced: true, failure: undefined });
      return;
    }
    const watched: Watched<T> = {
      ...{ abort, object: undefined, isSynced: false, failure: undefined },
      reflection: Promise.resolve().then(() => this.#reflect(key, watched)),
    };
    this.#watched.set(text, watched);
  }

  #end(text: string, { abort, reflection }: Watched<T>): void {
    this.#watched.delete(text);
    abort.abort();
    this.#ending.add(reflection);
    void reflection.finally(() => this.#ending.delete(reflection));
  }

  #reflect(key: ObjectKey, watched: Watched<T>): Promise<void> {
    const { client, resource, onError, random = Math.random, timers = realTimers } = this.#options;
    const { namespace, name } = key;
    const fieldSelector = `metadata.name=${name}`;
    return reflect<T>({
      client,
      resource,
      selection: namespace === undefined ? { fieldSelector } : { namespace, fieldSelector },
      mirror: {
        replace: ([object]) => this.#set(key, watched, object),
        apply: (type, object) => this.#set(key, watched, type === 'DELETED' ? undefined : object),
      },
      signal: watched.abort.signal,
      gate: (work) => this.#gate.run(work),
      onError: (error) => {
        watched.failure = error;
        onError?.(error, key);
      },
      // To list one object anew is as cheap as a bookmark, and thousands of bookmarks a minute are not.
      watchSeconds: [1800, 3600],
      bookmarks: false,
      random,
      timers,
    });
  }

  #set(key: ObjectKey, watched: Watched<T>, object: T | undefined): void {
    const { object: previous, isSynced } = watched;
    watched.isSynced = true;
    watched.failure = undefined;
    const isSame = object === undefined ? previous === undefined : previous && isSameVersion(previous, object);
    if (isSynced && isSame) return;
    watched.object = object && this.#kept(object);
    for (const listener of this.#listeners) {
      try {
        listener(key);
      } catch (error) {
        this.#options.onError?.(error, key);
      }
    }
  }

  #kept(object: T): T {
    const plain = withoutManagedFields(object);
    return this.#options.transform?.(plain) ?? plain;
  }
}
