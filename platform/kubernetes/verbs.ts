import type { KubernetesObject, ObjectKey, Resource } from './object.ts';

/** One change that a watch has seen; a BOOKMARK has nothing but a newer resourceVersion. */
export interface WatchEvent<T extends KubernetesObject = KubernetesObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: T;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface ListOptions extends CallOptions {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface WriteOptions extends CallOptions {
  readonly subresource?: string;
  readonly fieldManager?: string;
}

export interface PatchOptions extends WriteOptions {
  /** `merge` (RFC 7386, the default), `json` (RFC 6902) or server-side `apply`, which needs a `fieldManager`. */
  readonly type?: 'merge' | 'json' | 'apply';
  /** Takes over fields that others own; for `apply` only. */
  readonly force?: boolean;
}

export interface DeleteOptions extends CallOptions {
  /** Nothing but the object with this uid is deleted; a Conflict when it is another. */
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface WatchOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Events after this version are sent. */
  readonly resourceVersion: string;
  readonly signal: AbortSignal;
  /** When the server is to end the watch; its own choice (half an hour to an hour) when absent. */
  readonly timeoutSeconds?: number;
  /** Called when the server has accepted the watch. */
  readonly onOpen?: () => void;
  /** Ask for BOOKMARK events, which only carry a newer version to go on from. */
  readonly bookmarks?: boolean;
}

/** The REST API of Kubernetes, with objects as raw JSON. All methods reject with `KubernetesError`. */
export interface KubernetesClient extends AsyncDisposable {
  /** undefined where there is none (404). */
  get<T extends KubernetesObject>(resource: Resource, key: ObjectKey, options?: CallOptions): Promise<T | undefined>;
  /** All of them, read in pages of 500. */
  list<T extends KubernetesObject>(resource: Resource, options?: ListOptions): Promise<ObjectList<T>>;
  create<T extends KubernetesObject>(resource: Resource, object: T, options?: WriteOptions): Promise<T>;
  /** Compare-and-swap where the object has a resourceVersion: a Conflict when it is no longer the newest. */
  replace<T extends KubernetesObject>(resource: Resource, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubernetesObject>(
    resource: Resource,
    key: ObjectKey,
    patch: unknown,
    options?: PatchOptions,
  ): Promise<T>;
  /** Resolves also where there is none. */
  delete(resource: Resource, key: ObjectKey, options?: DeleteOptions): Promise<void>;
  /** POST to any path of the API: TokenRequest, TokenReview, SubjectAccessReview. */
  post<T>(path: string, body: unknown, options?: CallOptions): Promise<T>;
  /**
   * One watch request. Resolves when the server ends it; rejects with a KubernetesError: status 410 means that all is
   * to be listed again, status 0 that the connection broke.
   */
  watch<T extends KubernetesObject>(
    resource: Resource,
    options: WatchOptions,
    onEvent: (event: WatchEvent<T>) => void,
  ): Promise<void>;
  close(): Promise<void>;
}

export interface ObjectList<T> {
  readonly items: T[];
  /** The version of the whole list: where a watch goes on from. */
  readonly resourceVersion: string;
}
