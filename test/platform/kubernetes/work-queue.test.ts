import { describe, expect, test } from 'vitest';
import { WorkQueue } from '../../../platform/kubernetes/work-queue.ts';
import { ManualTimers, settle } from './support/manual-timers.ts';

/** Work that is under way until the test ends it. */
function heldWork() {
  const runs: { key: string; signal: AbortSignal; done: () => void; fail: (error: unknown) => void }[] = [];
  const work = (key: string, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => runs.push({ key, signal, done: resolve, fail: reject }));
  return { runs, work, keys: () => runs.map(({ key }) => key) };
}

describe('the work queue', () => {
  test('runs a key once, however often it was added before its turn', async () => {
    const { runs, work, keys } = heldWork();
    const queue = new WorkQueue({ work, concurrency: 1 });
    queue.add('a');
    queue.add('b');
    queue.add('b');
    await settle();
    runs[0]?.done();
    await settle();
    expect(keys()).toEqual(['a', 'b']);
    runs[1]?.done();
    await queue.idle();
    expect(queue.size).toBe(0);
  });

  test('runs a key once more that is added while it runs, and never twice at once', async () => {
    const { runs, work, keys } = heldWork();
    const queue = new WorkQueue({ work, concurrency: 4 });
    queue.add('a');
    await settle();
    queue.add('a');
    queue.add('a');
    await settle();
    expect(keys()).toEqual(['a']);
    runs[0]?.done();
    await settle();
    expect(keys()).toEqual(['a', 'a']);
    runs[1]?.done();
    await queue.idle();
    expect(keys()).toEqual(['a', 'a']);
  });

  test('runs as many keys at once as it may', async () => {
    const { runs, work, keys } = heldWork();
    const queue = new WorkQueue({ work, concurrency: 2 });
    for (const key of ['a', 'b', 'c']) queue.add(key);
    await settle();
    expect(keys()).toEqual(['a', 'b']);
    runs[1]?.done();
    await settle();
    expect(keys()).toEqual(['a', 'b', 'c']);
  });

  test('repeats failures after growing waits, and begins again with the first after a success', async () => {
    const timers = new ManualTimers();
    const failures: number[] = [];
    let runs = 0;
    const work = async (): Promise<void> => {
      runs += 1;
      if (runs !== 4) throw new Error('no');
    };
    const queue = new WorkQueue({
      ...{ work, timers, random: () => 1, firstRetryMs: 100, mostRetryMs: 350 },
      onError: (_error, _key, count) => failures.push(count),
    });
    queue.add('a');
    const waits = [await timers.skip(), await timers.skip(), await timers.skip()];
    expect(waits).toEqual([100, 200, 350]);
    await queue.idle();
    expect(timers.waits).toEqual([]);
    queue.add('a');
    expect(await timers.nextWait()).toBe(100);
    expect(failures).toEqual([1, 2, 3, 1]);
    await queue.close();
  });

  test('jitters the waits', async () => {
    const timers = new ManualTimers();
    const work = async (): Promise<void> => {
      throw new Error('no');
    };
    await using queue = new WorkQueue({ work, timers, random: () => 0, firstRetryMs: 100 });
    queue.add('a');
    expect(await timers.nextWait()).toBe(50);
  });

  test('does not make a key wait that is added after a failure', async () => {
    const timers = new ManualTimers();
    const { runs, work, keys } = heldWork();
    await using queue = new WorkQueue({ work, timers });
    queue.add('a');
    await settle();
    runs[0]?.fail(new Error('no'));
    await timers.nextWait();
    queue.add('a');
    await settle();
    expect(keys()).toEqual(['a', 'a']);
    expect(timers.waits).toEqual([]);
    runs[1]?.done();
  });

  test('takes the earliest of several times', async () => {
    const timers = new ManualTimers();
    const { runs, work, keys } = heldWork();
    await using queue = new WorkQueue({ work, timers });
    queue.add('a', 500);
    queue.add('a', 900);
    queue.add('a', 200);
    expect(timers.waits).toEqual([200]);
    await timers.advance(199);
    expect(keys()).toEqual([]);
    await timers.advance(1);
    expect(keys()).toEqual(['a']);
    runs[0]?.done();
  });

  test('forgets a key and its failures', async () => {
    const timers = new ManualTimers();
    const { work, keys } = heldWork();
    await using queue = new WorkQueue({ work, timers });
    queue.add('a', 500);
    queue.forget('a');
    expect(timers.waits).toEqual([]);
    expect(keys()).toEqual([]);
  });

  test('aborts what runs when it is closed, waits for its end, and takes nothing more', async () => {
    const timers = new ManualTimers();
    const { runs, work, keys } = heldWork();
    const queue = new WorkQueue({ work, timers, concurrency: 1 });
    for (const key of ['a', 'b']) queue.add(key);
    queue.add('c', 1000);
    await settle();
    let isClosed = false;
    const closing = queue.close().then(() => {
      isClosed = true;
    });
    await settle();
    expect([isClosed, runs[0]?.signal.aborted, timers.waits]).toEqual([false, true, []]);
    runs[0]?.fail(new Error('aborted'));
    await closing;
    queue.add('d');
    await settle();
    expect([keys(), queue.size]).toEqual([['a'], 0]);
  });
});
