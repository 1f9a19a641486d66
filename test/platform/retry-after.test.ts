import { expect, test } from 'vitest';
import { retryAfterMs } from '../../platform/retry-after.ts';

const now = Date.parse('2026-01-01T00:00:00Z');

test.each<[value: string | string[] | undefined, ms: number | undefined]>([
  ['30', 30_000],
  ['0', 1_000],
  ['Thu, 01 Jan 2026 00:00:20 GMT', 20_000],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 1_000],
  [['5', '7'], 5_000],
  [[], undefined],
  [undefined, undefined],
  ['', undefined],
  ['soon', undefined],
  ['-1x', undefined],
])('Retry-After %j is %s ms', (value, ms) => {
  expect(retryAfterMs(value, now)).toBe(ms);
});
