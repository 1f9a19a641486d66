import { setTimeout as delay } from 'node:timers/promises';
import { ProxyError } from '../platform/errors.ts';
import { networkErrorCode } from '../platform/network-error.ts';
import { TargetForbiddenError } from '../platform/transport.ts';

const firstDelayMs = 100;
const passingStatuses: ReadonlySet<number> = new Set([500, 502, 503, 504]);
const lastingCodes: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'ENOTFOUND', 'UND_ERR_HEADERS_OVERFLOW']);

/** Whether another attempt may go better than one that was answered so. */
export const isPassing = (status: number): boolean => passingStatuses.has(status);

/** Whether another attempt would only repeat the failure, or wait as long for it. */
export function isLasting(error: Error): boolean {
  const isOurs = error instanceof ProxyError || error instanceof TargetForbiddenError;
  return isOurs || lastingCodes.has(networkErrorCode(error));
}

/**
 * Resolves when the next attempt is due: 50 to 150 ms after the first, twice as long with each further one. Rejects with
 * an AbortError when the signal aborts.
 * @param retries attempts after the first, the next one included
 * @param random 0 ≤ n < 1
 */
export async function untilRetry(retries: number, random: () => number, signal: AbortSignal): Promise<void> {
  const spread = 2 ** Math.max(0, retries - 1) * (0.5 + random());
  await delay(firstDelayMs * spread, undefined, { signal });
}
