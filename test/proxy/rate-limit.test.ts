import { expect, test } from 'vitest';
import { RateLimit } from '../../proxy/rate-limit.ts';
import { makeClock } from './support/centre.ts';

const takes = (limit: RateLimit, key: string, count: number) =>
  Array.from({ length: count }, () => limit.take(key)).filter(Boolean).length;

test('a burst is let through at once, and so much a second after it', () => {
  const clock = makeClock();
  const limit = new RateLimit({ perSecond: 2, burst: 5, now: clock.now });
  expect(takes(limit, 'a', 100)).toBe(5);
  clock.pass(1_000);
  expect(takes(limit, 'a', 100)).toBe(2);
  clock.pass(60_000);
  expect(takes(limit, 'a', 100)).toBe(5);
});

test('whoever asks too often all the time gets as much as is due, and no less', () => {
  const clock = makeClock();
  const limit = new RateLimit({ perSecond: 2, burst: 1, now: clock.now });
  let taken = 0;
  for (let at = 0; at < 100; at += 1) {
    taken += takes(limit, 'a', 3);
    clock.pass(100);
  }
  expect(taken).toBeGreaterThanOrEqual(19);
  expect(taken).toBeLessThanOrEqual(21);
});

test('keys have buckets of their own, and a clock that goes back takes nothing away', () => {
  const clock = makeClock();
  const limit = new RateLimit({ perSecond: 1, burst: 1, now: clock.now });
  expect([limit.take('a'), limit.take('a'), limit.take('b')]).toEqual([true, false, true]);
  clock.pass(-60_000);
  expect(limit.take('a')).toBe(false);
  clock.pass(1_000);
  expect(limit.take('a')).toBe(true);
});
