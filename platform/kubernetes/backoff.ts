export interface BackoffOptions {
  readonly firstMs: number;
  readonly mostMs: number;
  /** Between 0 and 1, as Math.random. */
  readonly random: () => number;
}

/**
 * Milliseconds to wait after so many failures in a row (1 for the first): doubling from `firstMs`, with half of it left
 * to chance so that many do not come back at once, and never more than `mostMs`.
 */
export function backoffMs(failures: number, { firstMs, mostMs, random }: BackoffOptions): number {
  const ceiling = Math.min(mostMs, firstMs * 2 ** Math.min(30, Math.max(0, failures - 1)));
  return Math.round(ceiling * (0.5 + random() / 2));
}
