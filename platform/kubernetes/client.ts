import { type ApiAccess, ApiAccessSource } from './access.ts';
import { isGone } from './error.ts';
import { type KubernetesObject, type ObjectKey, pathOf, type Resource } from './object.ts';
import { type ApiCall, ApiRequests, pathWithQuery, subjectOf } from './requests.ts';
import { realTimers, type Timers } from './timers.ts';
import type {
  CallOptions,
  DeleteOptions,
  KubernetesClient,
  ListOptions,
  ObjectList,
  PatchOptions,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './verbs.ts';
import { WatchConnections } from './watch-connections.ts';
import { readWatchEvents } from './watch-stream.ts';

export { KubernetesError } from './error.ts';
export type * from './verbs.ts';

export interface KubernetesClientOptions {
  /** A kubeconfig file; without it the service account of the pod is used. */
  readonly kubeconfig?: string | undefined;
  /** How long one attempt of one request may take; 30,000 when absent. Watches: until their headers come. */
  readonly timeoutMs?: number;
  /** Connections at once for plain requests; 32 when absent. Watches have their own. */
  readonly connections?: number;
  /** A dead peer is looked for this often on connections of watches; 30,000 when absent. */
  readonly pingMs?: number;
  readonly random?: () => number;
  /** For the waits between attempts and the age of what was read from files; deadlines are real. */
  readonly timers?: Timers;
}

/** @throws Error when the kubeconfig or the service account cannot be read */
export async function openKubernetesClient(options: KubernetesClientOptions = {}): Promise<KubernetesClient> {
  const source = new ApiAccessSource({ kubeconfig: options.kubeconfig, now: (options.timers ?? realTimers).now });
  const { server } = await source.current();
  return new RestClient(server, source, options);
}

const pageSize = 500;
const patchTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

class RestClient implements KubernetesClient {
  readonly #server: URL;
  readonly #requests: ApiRequests;
  readonly #watches: WatchConnections;

  constructor(server: URL, source: ApiAccessSource, options: KubernetesClientOptions) {
    const {
      timeoutMs = 30_000,
      connections = 32,
      pingMs = 30_000,
      random = Math.random,
      timers = realTimers,
    } = options;
    const access = (): Promise<ApiAccess> => source.current();
    const shared = { server, access, renew: () => source.renew(), timeoutMs };
    this.#server = server;
    this.#requests = new ApiRequests({ ...shared, connections, random, timers });
    this.#watches = new WatchConnections({ ...shared, pingMs });
  }

  async get<T extends KubernetesObject>(
    resource: Resource,
    key: ObjectKey,
    { signal }: CallOptions = {},
  ): Promise<T | undefined> {
    return this.#requests.send({ ...callOf('get', resource, key), signal, mayBeAbsent: true });
  }

  async list<T extends KubernetesObject>(resource: Resource, options: ListOptions = {}): Promise<ObjectList<T>> {
    // A continue token lives for some minutes; when it has expired, the pages before it are of no use either.
    for (let attempt = 1; attempt < 3; attempt += 1) {
      try {
        return await this.#listPages<T>(resource, options, pageSize);
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    }
    return this.#listPages<T>(resource, options, undefined);
  }

  async create<T extends KubernetesObject>(
    resource: Resource,
    object: T,
    { signal, fieldManager, subresource }: WriteOptions = {},
  ): Promise<T> {
    const { namespace, name } = object.metadata;
    const key = { name, ...(namespace === undefined ? {} : { namespace }) };
    // Objects are posted to their collection, subresources (`pods/eviction`) below the object's own name.
    const place = subresource === undefined ? { ...key, name: undefined } : { ...key, subresource };
    const call = { ...callOf('create', resource, key), path: pathOf(resource, place) };
    return this.#requests.send({ ...call, body: typed(resource, object), query: { fieldManager }, signal });
  }

  async replace<T extends KubernetesObject>(
    resource: Resource,
    object: T,
    { signal, fieldManager, subresource }: WriteOptions = {},
  ): Promise<T> {
    const { namespace, name } = object.metadata;
    const call = callOf('replace', resource, { name, ...(namespace === undefined ? {} : { namespace }) }, subresource);
    return this.#requests.send({ ...call, body: typed(resource, object), query: { fieldManager }, signal });
  }

  async patch<T extends KubernetesObject>(
    resource: Resource,
    key: ObjectKey,
    patch: unknown,
    { signal, type = 'merge', fieldManager, force, subresource }: PatchOptions = {},
  ): Promise<T> {
    return this.#requests.send({
      ...callOf('patch', resource, key, subresource),
      query: { fieldManager, force: force === undefined ? undefined : String(force) },
      body: patch,
      contentType: patchTypes[type],
      // A JSON patch may append to a list: its second coming would do more than the first.
      isIdempotent: type !== 'json',
      signal,
    });
  }

  async delete(
    resource: Resource,
    key: ObjectKey,
    { signal, uid, resourceVersion }: DeleteOptions = {},
  ): Promise<void> {
    const preconditions = { uid, resourceVersion };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
    await this.#requests.send({ ...callOf('delete', resource, key), body, signal, mayBeAbsent: true });
  }

  async post<T>(path: string, body: unknown, { signal }: CallOptions = {}): Promise<T> {
    return this.#requests.send({ verb: 'create', path, body, signal });
  }

  async watch<T extends KubernetesObject>(
    resource: Resource,
    options: WatchOptions,
    onEvent: (event: WatchEvent<T>) => void,
  ): Promise<void> {
    const { namespace, labelSelector, fieldSelector, resourceVersion, timeoutSeconds, bookmarks, signal } = options;
    const path = pathWithQuery(this.#server, pathOf(resource, { namespace }), {
      ...{ watch: 'true', resourceVersion, labelSelector, fieldSelector },
      timeoutSeconds: timeoutSeconds === undefined ? undefined : String(timeoutSeconds),
      allowWatchBookmarks: bookmarks === true ? 'true' : undefined,
    });
    const subject = subjectOf({ verb: 'watch', resource, key: { namespace }, path });
    const stream = await this.#watches.open(path, subject, signal);
    const onAbort = (): void => void stream.destroy();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal.aborted) onAbort();
      options.onOpen?.();
      await readWatchEvents(stream, subject, onEvent);
    } finally {
      signal.removeEventListener('abort', onAbort);
      signal.throwIfAborted();
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#requests.close(), this.#watches.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #listPages<T extends KubernetesObject>(
    resource: Resource,
    { namespace, labelSelector, fieldSelector, signal }: ListOptions,
    limit: number | undefined,
  ): Promise<ObjectList<T>> {
    const items: T[] = [];
    let page: { metadata?: { resourceVersion?: string; continue?: string }; items?: T[] | null };
    let next: string | undefined;
    do {
      const query = { limit: limit?.toString(), continue: next, labelSelector, fieldSelector };
      const path = pathOf(resource, { namespace });
      page = await this.#requests.send({ verb: 'list', resource, key: { namespace }, path, query, signal });
      // Objects in a list of a built-in kind do not say what they are.
      for (const item of page.items ?? []) items.push(typed(resource, item));
      next = page.metadata?.continue || undefined;
    } while (next !== undefined);
    return { items, resourceVersion: page.metadata?.resourceVersion ?? '' };
  }
}

function callOf(verb: ApiCall['verb'], resource: Resource, key: ObjectKey, subresource?: string): ApiCall {
  return { verb, resource, key, path: pathOf(resource, { ...key, subresource }) };
}

function typed<T extends KubernetesObject>({ apiVersion, kind }: Resource, object: T): T {
  return { apiVersion, kind, ...object };
}
