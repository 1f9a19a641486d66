import { expect, test } from 'vitest';
import { inTime } from '../../platform/in-time.ts';

test('what comes in time is what comes', async () => {
  expect(await inTime(Promise.resolve(1), 10_000)).toBe(1);
  await expect(inTime(Promise.reject(new Error('no')), 10_000)).rejects.toThrow('no');
});

test('what is late is undefined, and may fail later without harm', async () => {
  const late = Promise.withResolvers<number>();
  expect(await inTime(late.promise, 1)).toBeUndefined();
  late.reject(new Error('nobody hears of it'));
  await expect(late.promise).rejects.toThrow();
});
