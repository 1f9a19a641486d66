import { describe, expect, test } from 'vitest';
import { ProbeLanes } from '../../controller/probe-lanes.ts';

/** Lanes whose jobs are ended by hand, and the jobs that run. */
function lanesOf(options: { concurrency: number; perLane: number }) {
  const lanes = new ProbeLanes(options);
  const running = new Map<string, (isWell: boolean) => void>();
  const add = (lane: string, job: string) =>
    lanes.run(lane, () => {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      running.set(job, resolve);
      return promise;
    });
  const end = async (job: string, isWell = true) => {
    running.get(job)?.(isWell);
    running.delete(job);
    await new Promise(setImmediate);
  };
  return { lanes, add, end, names: () => [...running.keys()] };
}

describe('jobs', () => {
  test('of one lane have a bound, and those of all lanes', async () => {
    const { add, end, names } = lanesOf({ concurrency: 3, perLane: 2 });
    for (const job of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) add(job.charAt(0), job);
    expect(names()).toEqual(['a1', 'a2', 'b1']);
    await end('a1');
    expect(names()).toEqual(['a2', 'b1', 'a3']);
  });

  test('of lanes take turns', async () => {
    const { add, end, names } = lanesOf({ concurrency: 1, perLane: 1 });
    for (const job of ['a1', 'a2', 'a3', 'b1', 'c1']) add(job.charAt(0), job);
    const order: string[] = [];
    for (let job = names()[0]; job !== undefined; job = names()[0]) {
      order.push(job);
      await end(job);
    }
    expect(order).toEqual(['a1', 'a2', 'b1', 'c1', 'a3']);
  });

  test('of a lane that failed leave the places of the others free', async () => {
    const { add, end, names } = lanesOf({ concurrency: 2, perLane: 2 });
    add('dead', 'd1');
    await end('d1', false);
    for (const job of ['d2', 'd3', 'd4']) add('dead', job);
    for (const job of ['a1', 'a2', 'a3']) add('alive', job);
    expect(names()).toEqual(['d2', 'd3', 'a1', 'a2']);
    await end('a1');
    expect(names()).toEqual(['d2', 'd3', 'a2', 'a3']);
  });

  test('of a lane that is well again come back', async () => {
    const { add, end, names } = lanesOf({ concurrency: 1, perLane: 1 });
    add('a', 'a1');
    await end('a1', false);
    add('a', 'a2');
    add('b', 'b1');
    expect(names()).toEqual(['a2', 'b1']);
    add('a', 'a3');
    await end('a2');
    expect(names()).toEqual(['b1']);
    await end('b1');
    expect(names()).toEqual(['a3']);
  });

  test('that wait are forgotten when the lanes are cleared', async () => {
    const { lanes, add, end, names } = lanesOf({ concurrency: 1, perLane: 1 });
    add('a', 'a1');
    add('a', 'a2');
    add('b', 'b1');
    lanes.clear();
    await end('a1');
    expect(names()).toEqual([]);
  });
});
