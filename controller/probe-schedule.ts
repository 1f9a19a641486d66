const firstRetryMs = 5_000;
const longestWaitMs = 3_600_000;

/** Failures that may be over in a moment. Refusals are not: asking again soon only helps to lock an account. */
const transient: ReadonlySet<string> = new Set([
  'AddressUnresolvable',
  'ConnectionRefused',
  'Unreachable',
  'RateLimited',
  'ServerError',
  'Timeout',
  'TokenServerFailed',
  'CredentialUnavailable',
]);

export const isTransient = (reason: string | undefined): boolean => reason !== undefined && transient.has(reason);

export interface ProbeDelay {
  /** Transient ones in a row, with this one. */
  readonly failures: number;
  readonly intervalMs: number;
  readonly failure: { readonly retryAfterMs?: number } | undefined;
  /** From 0 to 1. */
  readonly random: () => number;
}

/**
 * How long to wait before the next probe: the interval, a tenth more or less so that connectors drift apart; after
 * transient failures 5 s, doubled with each, up to the interval. Not before the registry wants to be asked again.
 */
export function nextProbeDelayMs({ failures, intervalMs, failure, random }: ProbeDelay): number {
  const backoffMs = failures === 0 ? intervalMs : Math.min(intervalMs, firstRetryMs * 2 ** Math.min(failures - 1, 20));
  const jittered = backoffMs * (0.9 + 0.2 * random());
  return Math.max(jittered, Math.min(failure?.retryAfterMs ?? 0, longestWaitMs));
}
