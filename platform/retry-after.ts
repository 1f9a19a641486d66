const shortestMs = 1_000;

/**
 * Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date. At least a second; undefined where it names no
 * time.
 * @param value of several the first counts
 * @param now milliseconds since the epoch
 * @returns milliseconds from `now`
 */
export function retryAfterMs(value: string | readonly string[] | undefined, now: number): number | undefined {
  const text = typeof value === 'string' ? value : value?.[0];
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Math.max(Number(text) * 1000, shortestMs);
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(at - now, shortestMs);
}
