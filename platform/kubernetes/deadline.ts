import { realTimers, type Timers } from './timers.ts';

/**
 * Runs `work` with a signal that aborts with one of `signals`, or with a TimeoutError after `ms`. Nothing stays
 * attached to the signals, which may outlive thousands of runs. The run is not raced: `work` has to heed its signal.
 */
export async function withDeadline<T>(
  signals: readonly (AbortSignal | undefined)[],
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  timers: Timers = realTimers,
): Promise<T> {
  const abort = new AbortController();
  const sources = signals.filter((signal) => signal !== undefined);
  const onAbort = (): void => abort.abort(sources.find((source) => source.aborted)?.reason);
  const cancel = timers.after(ms, () => abort.abort(new DOMException(`not done in ${ms} ms`, 'TimeoutError')));
  for (const source of sources) source.addEventListener('abort', onAbort, { once: true });
  try {
    if (sources.some((source) => source.aborted)) onAbort();
    abort.signal.throwIfAborted();
    return await work(abort.signal);
  } finally {
    cancel();
    for (const source of sources) source.removeEventListener('abort', onAbort);
  }
}
