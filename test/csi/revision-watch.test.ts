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
