import { backoffMs } from './backoff.ts';
import { isGone, isUnreachable, KubernetesError } from './error.ts';
import type { KubernetesObject, Resource } from './object.ts';
import { sleepWith, type Timers } from './timers.ts';
import type { KubernetesClient, WatchEvent } from './verbs.ts';

/** What a reflector keeps true. */
export interface Mirror<T extends KubernetesObject> {
  /** Everything there is: what was known before and is not here has been deleted. */
  replace(items: readonly T[]): void;
  apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void;
}

export interface ReflectorOptions<T extends KubernetesObject> {
  readonly client: Pick<KubernetesClient, 'list' | 'watch'>;
  readonly resource: Resource;
  readonly selection: { readonly namespace?: string; readonly labelSelector?: string; readonly fieldSelector?: string };
  readonly mirror: Mirror<T>;
  readonly signal: AbortSignal;
  /** Lists and begins of watches go through here, where many reflectors share a server. */
  readonly gate: <R>(work: () => Promise<R>) => Promise<R>;
  readonly onError: (error: unknown) => void;
  /** After how many seconds each watch is begun anew: at least, at most. */
  readonly watchSeconds: readonly [number, number];
  readonly bookmarks: boolean;
  readonly random: () => number;
  readonly timers: Timers;
}

/** A watch that lasted as long, or brought an event, was no failure. */
const steadyMs = 10_000;
const firstMs = 1000;
const mostMs = 30_000;

/**
 * Lists, watches from the list's version, and goes on: a watch that ends is begun again from the last version seen; a
 * version that is gone (410), and any answer that leaves doubt, leads to a new list. What the mirror holds stays while
 * the server is away. Resolves when the signal aborts; never rejects.
 */
export async function reflect<T extends KubernetesObject>(options: ReflectorOptions<T>): Promise<void> {
  const { signal, random, timers } = options;
  const position: Position = { version: undefined, hasProgress: false };
  let failures = 0;
  while (!signal.aborted) {
    position.hasProgress = false;
    const error = await listAndWatch(options, position).catch((reason: unknown) => reason ?? new Error('no reason'));
    if (signal.aborted) return;
    // A watch that ends at once, without a word, is to be asked for again with pauses, too.
    if (position.hasProgress) failures = 0;
    if (error !== undefined || !position.hasProgress) failures += 1;
    if (error !== undefined && !isSurelyCurrent(error)) position.version = undefined;
    // Versions go out of date without anybody's fault.
    if (failures === 0 || (isGone(error) && failures === 1)) continue;
    if (error !== undefined) options.onError(error);
    const ms = Math.max(retryAfterOf(error), backoffMs(failures, { firstMs, mostMs, random }));
    await sleepWith(timers, ms, signal).catch(() => {});
  }
}

function retryAfterOf(error: unknown): number {
  return (error instanceof KubernetesError && error.retryAfterMs) || 0;
}

interface Position {
  /** Of the last list, event or bookmark; undefined when a list is needed. */
  version: string | undefined;
  hasProgress: boolean;
}

async function listAndWatch<T extends KubernetesObject>(
  options: ReflectorOptions<T>,
  position: Position,
): Promise<void> {
  const { client, resource, selection, mirror, signal, gate, timers } = options;
  if (position.version === undefined) {
    const list = await gate(() => client.list<T>(resource, { ...selection, signal }));
    if (signal.aborted) return;
    mirror.replace(list.items);
    position.version = list.resourceVersion;
  }
  const startedAt = timers.now();
  try {
    await watch(options, position, position.version);
  } finally {
    if (timers.now() - startedAt >= steadyMs) position.hasProgress = true;
  }
}

/** Resolves when the server ends the watch. */
async function watch<T extends KubernetesObject>(
  { client, resource, selection, mirror, signal, gate, watchSeconds, bookmarks, random }: ReflectorOptions<T>,
  position: Position,
  resourceVersion: string,
): Promise<void> {
  const onEvent = ({ type, object }: WatchEvent<T>): void => {
    if (signal.aborted) return;
    if (type !== 'BOOKMARK') mirror.apply(type, object);
    position.version = object.metadata.resourceVersion ?? position.version;
    position.hasProgress = true;
  };
  const [least, most] = watchSeconds;
  const timeoutSeconds = Math.round(least + random() * (most - least));
  const opened = Promise.withResolvers<void>();
  const request = { ...selection, resourceVersion, timeoutSeconds, bookmarks, signal, onOpen: opened.resolve };
  let watching: Promise<void> | undefined;
  await gate(() => {
    watching = client.watch<T>(resource, request, onEvent);
    return Promise.race([opened.promise, watching]);
  });
  await watching;
}

/** Whether nothing was missed up to the version held: only the way to the server, or its load, was the trouble. */
function isSurelyCurrent(error: unknown): boolean {
  return isUnreachable(error) || (error instanceof KubernetesError && error.status === 429);
}
