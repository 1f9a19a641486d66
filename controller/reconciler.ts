import type { Logger } from '../platform/logger.ts';

/** Keeps objects of the cluster as they have to be, until it is closed or its leadership ends. */
export interface Reconciler extends AsyncDisposable {
  /** Ends it, and waits for writes under way. */
  close(): Promise<void>;
}

export interface LeadingOptions {
  /** Of the leadership. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** For the work queue of a reconciler. The first failure may be no more than somebody else's write at the same time. */
export function logFailures(log: Logger, message: string): (err: unknown, key: string, attempt: number) => void {
  return (err, key, attempt) => log[attempt > 1 ? 'warn' : 'debug']({ err, key, attempt }, message);
}

/** `parts`, which end together: the last that was added ends first. */
export function whileLeading({ signal, log }: LeadingOptions, parts: AsyncDisposableStack): Reconciler {
  let closing: Promise<void> | undefined;
  const close = () => {
    signal.removeEventListener('abort', onAbort);
    closing ??= parts.disposeAsync();
    return closing;
  };
  const onAbort = () => void close().catch((err) => log.error({ err }, 'a reconciler did not end well'));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return { close, [Symbol.asyncDispose]: close };
}
