import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { checkPeriodically } from '../../platform/periodic-check.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a check is made every so often, until it is closed', async () => {
  const check = vi.fn(async () => {});
  const periodic = checkPeriodically(check, { everyMs: 1_000, onError: () => {} });
  await vi.advanceTimersByTimeAsync(3_500);
  expect(check).toHaveBeenCalledTimes(3);
  await periodic.close();
  await vi.advanceTimersByTimeAsync(3_500);
  expect(check).toHaveBeenCalledTimes(3);
});

test('checks at the same time are one, and close waits for it', async () => {
  const ended = Promise.withResolvers<void>();
  const check = vi.fn(() => ended.promise);
  const periodic = checkPeriodically(check, { everyMs: 1_000, onError: () => {} });
  const runs = Promise.all([periodic.run(), periodic.run()]);
  await vi.advanceTimersByTimeAsync(1_500);
  expect(check).toHaveBeenCalledTimes(1);
  expect(periodic.isRunning).toBe(true);
  let isClosed = false;
  const closed = periodic.close().then(() => {
    isClosed = true;
  });
  await vi.advanceTimersByTimeAsync(0);
  expect(isClosed).toBe(false);
  ended.resolve();
  await Promise.all([runs, closed]);
  expect(periodic.isRunning).toBe(false);
});

test('a failure goes to whoever asked, or to onError where that was the timer; the next check is made', async () => {
  const failure = new Error('no');
  const errors: unknown[] = [];
  const check = vi.fn(() => Promise.reject(failure));
  const periodic = checkPeriodically(check, { everyMs: 1_000, onError: (error) => errors.push(error) });
  await expect(periodic.run()).rejects.toBe(failure);
  expect(errors).toEqual([]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(errors).toEqual([failure, failure]);
  await periodic.close();
});
