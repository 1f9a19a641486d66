import type { Informer } from '../../platform/kubernetes/informer.ts';
import { type KubernetesObject, keyOf, keyText, type ObjectKey, parseKey } from '../../platform/kubernetes/object.ts';
import type { ObjectWatches } from '../../platform/kubernetes/object-watches.ts';

/** An informer whose objects a test puts in. */
export class FakeInformer implements Informer<KubernetesObject> {
  isSynced = true;
  readonly #objects = new Map<string, KubernetesObject>();
  readonly #listeners = new Set<Parameters<Informer<KubernetesObject>['onChange']>[0]>();

  put(object: KubernetesObject): void {
    const key = keyOf(object);
    const previous = this.#objects.get(keyText(key));
    this.#objects.set(keyText(key), object);
    for (const listener of this.#listeners) listener({ key, current: object, previous });
  }

  remove(key: ObjectKey): void {
    const previous = this.#objects.get(keyText(key));
    if (previous === undefined) return;
    this.#objects.delete(keyText(key));
    for (const listener of this.#listeners) listener({ key, current: undefined, previous });
  }

  async synced(): Promise<void> {}

  get(key: ObjectKey): KubernetesObject | undefined {
    return this.#objects.get(keyText(key));
  }

  list(): Iterable<KubernetesObject> {
    return this.#objects.values();
  }

  onChange(listener: Parameters<Informer<KubernetesObject>['onChange']>[0]): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Watches of single objects: an object that is wanted is read when the test says so, or at once. */
export class FakeWatches implements ObjectWatches<KubernetesObject> {
  /** Whether what is wanted is read as soon as it is. */
  isPrompt = true;
  wants = 0;
  readonly #objects = new Map<string, KubernetesObject>();
  readonly #wanted = new Set<string>();
  readonly #synced = new Set<string>();
  readonly #listeners = new Set<(key: ObjectKey) => void>();

  want(keys: Iterable<ObjectKey>): void {
    this.wants += 1;
    const texts = new Set([...keys].map(keyText));
    for (const text of this.#wanted) {
      if (texts.has(text)) continue;
      this.#wanted.delete(text);
      this.#synced.delete(text);
    }
    const fresh = [...texts].filter((text) => !this.#wanted.has(text));
    for (const text of fresh) this.#wanted.add(text);
    if (this.isPrompt) queueMicrotask(() => this.#syncAll(fresh));
  }

  /** What is wanted is read: all of it, or this one. */
  sync(only?: string): void {
    this.#syncAll([...this.#wanted].filter((text) => !this.#synced.has(text) && text === (only ?? text)));
  }

  #syncAll(texts: readonly string[]): void {
    for (const text of texts) this.#sync(text);
  }

  #sync(text: string): void {
    if (!this.#wanted.has(text)) return;
    this.#synced.add(text);
    this.#tell(text);
  }

  #tell(text: string): void {
    if (!this.#synced.has(text)) return;
    for (const listener of this.#listeners) listener(parseKey(text));
  }

  put(object: KubernetesObject): void {
    this.#objects.set(keyText(keyOf(object)), object);
    this.#tell(keyText(keyOf(object)));
  }

  remove(key: ObjectKey): void {
    if (this.#objects.delete(keyText(key))) this.#tell(keyText(key));
  }

  get wanted(): string[] {
    return [...this.#wanted].sort();
  }

  get(key: ObjectKey): KubernetesObject | undefined {
    return this.#synced.has(keyText(key)) ? this.#objects.get(keyText(key)) : undefined;
  }

  isSynced(key: ObjectKey): boolean {
    return this.#synced.has(keyText(key));
  }

  failureOf(): unknown {
    return undefined;
  }

  onChange(listener: (key: ObjectKey) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}
