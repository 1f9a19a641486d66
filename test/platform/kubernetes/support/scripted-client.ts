import type {
  KubernetesClient,
  ListOptions,
  ObjectList,
  WatchEvent,
  WatchOptions,
} from '../../../../platform/kubernetes/client.ts';
import type { KubernetesObject } from '../../../../platform/kubernetes/object.ts';

/** A list that is waited for. */
export interface OpenList {
  readonly options: ListOptions;
  answer(resourceVersion: string, items: readonly KubernetesObject[]): void;
  fail(error: unknown): void;
}

/** A watch that is under way. */
export interface OpenWatch {
  readonly options: WatchOptions;
  send(type: WatchEvent['type'], object: KubernetesObject): void;
  end(): void;
  fail(error: unknown): void;
}

/** A client whose lists and watches are answered by the test, each as it comes. */
export class ScriptedClient implements Pick<KubernetesClient, 'list' | 'watch'> {
  readonly #lists = new Arrivals<OpenList>();
  readonly #watches = new Arrivals<OpenWatch>();
  openWatches = 0;

  nextList = (): Promise<OpenList> => this.#lists.next();
  nextWatch = (): Promise<OpenWatch> => this.#watches.next();

  /** Requests that nobody has taken. */
  get waiting(): number {
    return this.#lists.size + this.#watches.size;
  }

  list<T extends KubernetesObject>(_: unknown, options: ListOptions = {}): Promise<ObjectList<T>> {
    const { promise, resolve, reject } = Promise.withResolvers<ObjectList<T>>();
    options.signal?.addEventListener('abort', () => reject(options.signal?.reason), { once: true });
    const answer = (resourceVersion: string, items: readonly KubernetesObject[]): void =>
      resolve({ resourceVersion, items: [...items] as T[] });
    this.#lists.add({ options, answer, fail: reject });
    return promise;
  }

  watch<T extends KubernetesObject>(
    _: unknown,
    options: WatchOptions,
    onEvent: (event: WatchEvent<T>) => void,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    options.signal.addEventListener('abort', () => reject(options.signal.reason), { once: true });
    this.openWatches += 1;
    options.onOpen?.();
    const send = (type: WatchEvent['type'], object: KubernetesObject): void => onEvent({ type, object: object as T });
    this.#watches.add({ options, send, end: resolve, fail: reject });
    return promise.finally(() => {
      this.openWatches -= 1;
    });
  }
}

/** What has come and not been taken, or is waited for and has not come. */
class Arrivals<T> {
  readonly #items: T[] = [];
  readonly #takers: ((item: T) => void)[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#items.push(item);
    else taker(item);
  }

  async next(): Promise<T> {
    return this.#items.shift() ?? new Promise((resolve) => this.#takers.push(resolve));
  }
}
