import { expect, test } from 'vitest';
import { ReviewCache } from '../../proxy/review-cache.ts';
import { makeClock } from './support/centre.ts';

function arrange(max = 10) {
  const clock = makeClock();
  const cache = new ReviewCache<{ value: number }>({
    max,
    isYes: () => true,
    now: clock.now,
    freshMs: () => 1_000,
    staleUntil: (_answer, at) => at + 60_000,
    unavailable: 'not now',
  });
  let asked = 0;
  const ask = async () => {
    asked += 1;
    return { value: asked };
  };
  const get = (key = 'k', how: (signal: AbortSignal) => Promise<{ value: number }> = ask) =>
    cache.get(key, new AbortController().signal, how);
  return { clock, cache, ask, get, asked: () => asked };
}

test('an answer counts for a while, and is then asked for again', async () => {
  const { clock, cache, get } = arrange();
  expect(cache.isDue('k')).toBe(true);
  expect(await get()).toEqual({ value: 1 });
  clock.pass(999);
  expect(await get()).toEqual({ value: 1 });
  expect(cache.isDue('k')).toBe(false);
  clock.pass(1);
  expect(cache.isDue('k')).toBe(true);
  expect(cache.last('k')).toEqual({ value: 1 });
  expect(await get()).toEqual({ value: 2 });
});

test('of more answers than it keeps, the oldest are forgotten', async () => {
  const { cache, get } = arrange(2);
  for (const key of ['a', 'b', 'c']) await get(key);
  expect([cache.last('a'), cache.last('b'), cache.last('c')].map(Boolean)).toEqual([false, true, true]);
});

test('who goes away while it waits hears of that, and nobody is blamed', async () => {
  const { cache, get } = arrange();
  const departure = new AbortController();
  const hanging = (signal: AbortSignal) =>
    new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const asked = cache.get('k', departure.signal, hanging);
  departure.abort(new Error('gone'));
  await expect(asked).rejects.toThrow('gone');
  expect(await get()).toEqual({ value: 1 });
});

test('a late answer is for those who come next', async () => {
  const { clock, cache, get } = arrange();
  await get();
  clock.pass(2_000);
  const slow = Promise.withResolvers<{ value: number }>();
  expect(await get('k', () => slow.promise)).toEqual({ value: 1 });
  slow.resolve({ value: 7 });
  await expect.poll(() => cache.last('k')).toEqual({ value: 7 });
  expect(await get()).toEqual({ value: 7 });
});

test('what cannot be had any more is said to be unavailable', async () => {
  const { clock, get } = arrange();
  await get();
  const failing = () => Promise.reject(new Error('away'));
  clock.pass(59_999);
  expect(await get('k', failing)).toEqual({ value: 1 });
  clock.pass(1);
  await expect(get('k', failing)).rejects.toMatchObject({ code: 'ACCESS_UNAVAILABLE', message: 'not now' });
});
