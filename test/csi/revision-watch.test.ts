import { expect, test } from 'vitest';
import type { ConfigurationWant } from '../../connectors/configurations/protocol.ts';
import { RevisionWatch } from '../../csi/revision-watch.ts';
import { ManualTimers } from '../platform/kubernetes/support/manual-timers.ts';

const wantOf = (name: string): ConfigurationWant => ({
  connectors: [{ namespace: 'demo', name }],
  names: [],
  excluded: [],
  params: {},
});

type Revisions = (wants: readonly ConfigurationWant[], signal: AbortSignal) => Promise<readonly string[]>;

function open({ random = 0.5 } = {}) {
  const timers = new ManualTimers();
  const asked: number[] = [];
  const outcomes: unknown[] = [];
  const centre: { revisions: Revisions } = { revisions: async (wants) => wants.map(() => '2') };
  const watch = new RevisionWatch({
    source: {
      revisions: async (wants, signal) => {
        asked.push(wants.length);
        return await centre.revisions(wants, signal);
      },
    },
    everyMs: 150_000,
    timers,
    random: () => random,
    onAsked: (error) => outcomes.push(error),
  });
  return { watch, timers, asked, outcomes, centre };
}

test.each([
  [0, 135_000],
  [0.5, 150_000],
  [1, 165_000],
])('nodes ask at times of their own: %d is after %d ms', async (random, ms) => {
  const { watch, timers, asked } = open({ random });
  watch.follow('a', 'A', wantOf('a'), '1');
  watch.start();
  await timers.advance(ms - 1);
  expect(asked).toEqual([]);
  await timers.advance(1);
  expect(asked).toEqual([1]);
  expect(watch.isCurrent('A', '1')).toBe(false);
  await timers.advance(ms);
  expect(asked).toEqual([1, 1]);
  await watch.close();
  await timers.advance(10 * ms);
  expect(asked).toHaveLength(2);
});

test('more wants than fit into one question are asked for in several', async () => {
  const { watch, asked } = open();
  for (let at = 0; at < 1_100; at += 1) watch.follow(`v${at}`, `w${at}`, wantOf(`c${at}`), '1');
  await watch.ask();
  expect(asked).toEqual([512, 512, 76]);
  expect(watch.isCurrent('w1099', '2')).toBe(true);
});

test('a question has at most 128 KiB, unless one want alone has more', async () => {
  const { watch, centre, asked } = open();
  const sizes: number[] = [];
  centre.revisions = async (wants) => {
    sizes.push(Buffer.byteLength(JSON.stringify({ wants })));
    return wants.map(() => '2');
  };
  const long = (at: number, bytes: number) => ({ ...wantOf(`c${at}`), names: ['x'.repeat(bytes)] });
  for (let at = 0; at < 5; at += 1) watch.follow(`v${at}`, `w${at}`, long(at, 60_000), '1');
  watch.follow('v5', 'w5', long(5, 200_000), '1');
  watch.follow('v6', 'w6', wantOf('c6'), '1');
  await watch.ask();
  expect(asked).toEqual([2, 2, 1, 1, 1]);
  expect(sizes.filter((size) => size > 131_072 + 16)).toHaveLength(1);
  for (const at of [0, 4, 5, 6]) expect(watch.isCurrent(`w${at}`, '2')).toBe(true);
});

test('a question that is refused keeps nobody from the answers to the others', async () => {
  const { watch, centre, outcomes } = open();
  for (let at = 0; at < 1_100; at += 1) watch.follow(`v${at}`, `w${at}`, wantOf(`c${at}`), '1');
  const refusal = new Error('too large');
  centre.revisions = async (wants) => {
    if (wants[0]?.connectors[0]?.name === 'c0') throw refusal;
    return wants.map(() => '2');
  };
  await watch.ask();
  expect(['w0', 'w512', 'w1099'].map((want) => watch.isCurrent(want, '2'))).toEqual([false, true, true]);
  expect(outcomes).toEqual([refusal]);
});

test.each([
  [0, [135, 10, 20, 40, 80, 135, 135], 135],
  [1, [165, 20, 40, 80, 160, 165, 165], 165],
])('a question that failed is asked again soon, and after each failure later (%d)', async (random, pauses, usual) => {
  const { watch, timers, asked, centre } = open({ random });
  watch.follow('a', 'A', wantOf('a'), '1');
  const { revisions } = centre;
  centre.revisions = async () => {
    throw new Error('503');
  };
  watch.start();
  for (const [at, seconds] of pauses.entries()) {
    await timers.advance(seconds * 1_000 - 1);
    expect(asked).toHaveLength(at);
    await timers.advance(1);
    expect(asked).toHaveLength(at + 1);
  }
  centre.revisions = revisions;
  await timers.advance(usual * 1_000);
  expect(watch.isCurrent('A', '1')).toBe(false);
  expect(timers.waits).toEqual([usual * 1_000]);
  await watch.close();
});

test('what was learnt while a question was under way is newer than its answer', async () => {
  const { watch, centre } = open();
  watch.follow('a', 'A', wantOf('a'), '1');
  watch.follow('b', 'B', wantOf('b'), '1');
  centre.revisions = async (wants) => {
    watch.learn('A', '3');
    return wants.map(() => '2');
  };
  await watch.ask();
  expect([watch.isCurrent('A', '3'), watch.isCurrent('B', '2')]).toEqual([true, true]);
});

test('a want is forgotten with its last volume, and a volume that wants something else is counted there', async () => {
  const { watch, asked } = open();
  watch.follow('a', 'A', wantOf('a'), '1');
  watch.follow('b', 'A', wantOf('a'), '1');
  watch.forget('a');
  watch.follow('b', 'B', wantOf('b'), '1');
  await watch.ask();
  expect(asked).toEqual([1]);
  watch.forget('b');
  watch.forget('b');
  await watch.ask();
  expect(asked).toEqual([1]);
});

test('a centre that does not answer is waited for half a minute, and what was told stays', async () => {
  const { watch, timers, centre, outcomes } = open();
  watch.follow('a', 'A', wantOf('a'), '1');
  centre.revisions = (_, signal) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const asking = watch.ask();
  await timers.advance(30_000);
  await asking;
  expect(outcomes).toMatchObject([{ message: 'the centre did not answer within 30 s' }]);
  expect(watch.isCurrent('A', '1')).toBe(true);
});

test('one that ends breaks its question off', async () => {
  const { watch, centre, outcomes } = open();
  watch.follow('a', 'A', wantOf('a'), '1');
  centre.revisions = (_, signal) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const asking = watch.ask();
  await watch.close();
  await asking;
  expect(outcomes).toHaveLength(1);
});
