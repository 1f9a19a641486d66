import { getEventListeners } from 'node:events';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Slots } from '../../platform/slots.ts';

/** Work that lasts until it is told to end, and what has begun so far. */
function arrange(perKey = 2, waitingPerKey = 2) {
  const slots = new Slots({ perKey, waitingPerKey });
  const begun: string[] = [];
  const works = new Map<string, PromiseWithResolvers<string>>();
  const run = (name: string, key = 'k', signal = new AbortController().signal) =>
    slots.run(key, signal, () => {
      const work = Promise.withResolvers<string>();
      begun.push(name);
      works.set(name, work);
      return work.promise;
    });
  const end = (name: string) => works.get(name)?.resolve(name);
  const fail = (name: string) => works.get(name)?.reject(new Error(name));
  return { run, begun, end, fail };
}

test('a key has so many at a time; the others wait, first come first served, and the rest is turned away', async () => {
  const { run, begun, end } = arrange();
  const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map((name) => run(name));
  expect([begun, e]).toEqual([['a', 'b'], undefined]);
  end('b');
  expect(await b).toBe('b');
  expect(begun).toEqual(['a', 'b', 'c']);
  // There is room to wait again, and nobody is faster than who waits.
  const f = run('f');
  end('a');
  expect(await a).toBe('a');
  for (const name of ['c', 'd', 'f']) {
    await expect.poll(() => begun).toContain(name);
    end(name);
  }
  expect(await Promise.all([c, d, f])).toEqual(['c', 'd', 'f']);
  expect(begun).toEqual(['a', 'b', 'c', 'd', 'f']);
});

test('keys cost each other nothing', async () => {
  const { run, begun } = arrange(1, 0);
  for (const key of ['x', 'y', 'z']) expect(run(key, key)).toBeDefined();
  expect(run('more', 'x')).toBeUndefined();
  expect(begun).toEqual(['x', 'y', 'z']);
});

test('who leaves while he waits gives up his place at once, and never begins', async () => {
  const { run, begun, end } = arrange(1, 2);
  const a = run('a');
  const leaving = new AbortController();
  const gone = run('gone', 'k', leaving.signal);
  const c = run('c');
  expect(run('no room')).toBeUndefined();
  leaving.abort(new Error('gone'));
  await expect(gone).rejects.toThrow('gone');
  expect(run('d')).toBeDefined();
  end('a');
  await a;
  end('c');
  expect(await c).toBe('c');
  expect(begun).toEqual(['a', 'c', 'd']);
});

test('who has left already does not wait', async () => {
  const { run, begun } = arrange(1, 1);
  run('a');
  await expect(run('gone', 'k', AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  expect(run('c')).toBeDefined();
  expect(begun).toEqual(['a']);
});

test('work that fails gives its slot back, whether it had begun or threw at once', async () => {
  const { run, begun, end, fail } = arrange(1, 1);
  const [a, b] = [run('a'), run('b')];
  fail('a');
  await expect(a).rejects.toThrow('a');
  expect(begun).toEqual(['a', 'b']);
  end('b');
  await b;
  const slots = new Slots({ perKey: 1, waitingPerKey: 0 });
  const { signal } = new AbortController();
  for (let time = 0; time < 3; time += 1) {
    const thrown = slots.run('k', signal, () => {
      throw new Error('at once');
    });
    await expect(thrown).rejects.toThrow('at once');
  }
});

test('work that ends because of its signal gives its slot back', async () => {
  const slots = new Slots({ perKey: 1, waitingPerKey: 1 });
  const leaving = new AbortController();
  const a = slots.run(
    'k',
    leaving.signal,
    () =>
      new Promise((_resolve, reject) =>
        leaving.signal.addEventListener('abort', () => reject(leaving.signal.reason), { once: true }),
      ),
  );
  const b = slots.run('k', new AbortController().signal, async () => 'b');
  leaving.abort(new Error('gone'));
  await expect(a).rejects.toThrow('gone');
  expect(await b).toBe('b');
});

test('nothing is left of keys that were used: neither slots, nor waiting room, nor listeners', async () => {
  const { run, end } = arrange(1, 1);
  const { signal } = new AbortController();
  for (let time = 0; time < 3; time += 1) {
    const [a, b] = [run('a', 'k', signal), run('b', 'k', signal)];
    expect(run('c', 'k', signal)).toBeUndefined();
    end('a');
    await a;
    end('b');
    await b;
  }
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('who waits for too long gets an error, and gives up his place', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const slots = new Slots({ perKey: 1, waitingPerKey: 1, patience: { ms: 1_000, error: () => new Error('late') } });
  const { signal } = new AbortController();
  const first = Promise.withResolvers<string>();
  const a = slots.run('k', signal, () => first.promise);
  const b = slots.run('k', signal, async () => 'b')?.catch((error: Error) => error.message);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await b).toBe('late');
  const c = slots.run('k', signal, async () => 'c');
  first.resolve('a');
  expect(await Promise.all([a, c])).toEqual(['a', 'c']);
  expect(vi.getTimerCount()).toBe(0);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('slots that are added are first for who waits, and slots that are taken away go as they are given back', async () => {
  const slots = new Slots({ perKey: 1, waitingPerKey: 10 });
  const { signal } = new AbortController();
  const begun: string[] = [];
  const works = new Map<string, PromiseWithResolvers<void>>();
  const run = (name: string, perKey: number) =>
    slots.run(
      'k',
      signal,
      () => {
        const work = Promise.withResolvers<void>();
        works.set(name, work);
        begun.push(name);
        return work.promise;
      },
      perKey,
    );
  const end = async (name: string) => {
    works.get(name)?.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  };
  for (const name of ['a', 'b', 'c']) run(name, 1);
  run('newcomer', 2);
  await Promise.resolve();
  expect(begun).toEqual(['a', 'b']);
  run('last', 1);
  await end('a');
  expect(begun).toEqual(['a', 'b']);
  for (const name of ['b', 'c', 'newcomer']) await end(name);
  expect(begun).toEqual(['a', 'b', 'c', 'newcomer', 'last']);
  await end('last');
});
