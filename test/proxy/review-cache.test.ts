import { expect, test } from 'vitest';
import { ReviewCache } from '../../proxy/review-cache.ts';
import { makeClock } from './support/centre.ts';

function arrange(max = 10, more: { askMs?: number; isYes?: (answer: { value: number }) => boolean } = {}) {
  const clock = makeClock();
  const cache = new ReviewCache<{ value: number }>({
    max,
    isYes: () => true,
    now: clock.now,
    freshMs: () => 1_000,
    staleUntil: (_answer, at) => at + 60_000,
    unavailable: 'not now',
    ...more,
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

test('an answer of more than 45 s is waited for as long as a question may take, a younger one not', async () => {
  const answerAfter = (ms: number) => () =>
    new Promise<{ value: number }>((answer) => setTimeout(answer, ms, { value: 7 }));
  for (const [ageMs, value] of [
    [45_000, 1],
    [45_001, 7],
  ] as const) {
    const { clock, get } = arrange();
    await get();
    clock.pass(ageMs);
    expect(await get('k', answerAfter(700))).toEqual({ value });
  }
});

test('an answer of more than 45 s counts when the question fails, or takes too long', async () => {
  for (const ask of [() => Promise.reject(new Error('away')), () => new Promise<never>(() => {})]) {
    const { clock, get } = arrange(10, { askMs: 20 });
    await get();
    clock.pass(50_000);
    expect(await get('k', ask)).toEqual({ value: 1 });
  }
});

test('answers that are yes and answers that are no do not push each other out', async () => {
  const isYes = ({ value }: { value: number }) => value > 0;
  const { clock, cache, get } = arrange(2, { isYes });
  const answer = (value: number) => async () => ({ value });
  await get('yes', answer(1));
  for (let at = 1; at < 10; at += 1) await get(`no ${at}`, answer(-at));
  expect([cache.last('yes'), cache.last('no 9'), cache.last('no 7')]).toEqual([{ value: 1 }, { value: -9 }, undefined]);
  for (let at = 1; at < 10; at += 1) await get(`yes ${at}`, answer(1));
  expect([cache.last('no 9'), cache.last('yes')]).toEqual([{ value: -9 }, undefined]);
  // What was yes is not remembered beside the no that it has become, nor the other way.
  for (const value of [5, -5]) {
    clock.pass(1_000);
    await get('no 9', answer(value));
    expect(cache.last('no 9')).toEqual({ value });
  }
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
