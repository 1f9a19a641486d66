import { expect, test } from 'vitest';
import { parseDuration } from '../../csi/duration.ts';

test.each<[string, number | undefined]>([
  ['30m', 1_800_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['.5h', 1_800_000],
  ['600s', 600_000],
  ['90m0.5s', 5_400_500],
  ['5ms', 5],
  ['0', 0],
  ['', undefined],
  ['30', undefined],
  ['-30m', undefined],
  ['30 m', undefined],
  ['1d', undefined],
  ['m', undefined],
  ['.h', undefined],
  ['1h'.repeat(40), undefined],
])('"%s" is %s ms, as Go reads it', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});
