import { unlessAborted } from '../../platform/unless-aborted.ts';
import { OracleError, type OracleStep } from './errors.ts';

export interface StepOptions {
  readonly step: OracleStep;
  /** Who is waited for, as messages name it. */
  readonly whom: string;
  readonly timeoutMs: number;
}

/**
 * Runs one step of the way to a credential. It ends when it is done, when its time is up, or when the caller leaves,
 * whatever becomes of the run: its signal aborts then.
 * @throws OracleError `Timeout`; the caller's reason; what `run` throws
 */
export async function inStep<T>(
  { step, whom, timeoutMs }: StepOptions,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  const either = AbortSignal.any([signal, late.signal]);
  try {
    return await unlessAborted(run(either), either);
  } catch (error) {
    signal.throwIfAborted();
    if (!late.signal.aborted) throw error;
    throw new OracleError(step, 'Timeout', `${whom} did not answer within ${timeoutMs / 1000} s`);
  } finally {
    clearTimeout(timer);
    // What still runs has nobody to run for.
    late.abort();
  }
}
