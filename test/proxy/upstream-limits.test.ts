import { describe, expect, test } from 'vitest';
import type { ResolvedConnector } from '../../connectors/connector.ts';
import type { ProxyError } from '../../platform/errors.ts';
import { UpstreamLimits } from '../../proxy/upstream-limits.ts';
import { resolvedConnector } from './support/resolved-connector.ts';

const connector = resolvedConnector('https://registry.example.com');
const other = { ...connector, uid: 'other' };
const { signal } = new AbortController();

function arrange() {
  const clock = { now: 1000 };
  const limits = new UpstreamLimits({ now: () => clock.now, random: () => 0.5 });
  const ask = (to = connector, kind = 'manifests') =>
    limits
      .run({ connector: to, caller: { name: 'pod' }, kind }, signal, async () => 'asked')
      .catch((error: ProxyError) => error.headers['retry-after'] ?? error);
  return { clock, limits, ask };
}

describe('after a 429', () => {
  test('nobody asks before the time that the registry named, and all are told when', async () => {
    const { clock, limits, ask } = arrange();
    limits.learn(connector, 'manifests', 429, { 'retry-after': '10' });
    // 10 s, and a quarter more: who is told so is spread.
    expect(await ask()).toBe('13');
    clock.now += 10_000;
    expect(await ask()).toBe('asked');
  });

  test('few ask at first, and more as time goes by', async () => {
    const { clock, limits, ask } = arrange();
    limits.learn(connector, 'manifests', 429, { 'retry-after': '1' });
    const answered = async (seconds: number) => {
      clock.now += seconds * 1000;
      const answers = await Promise.all(Array.from({ length: 40 }, () => ask()));
      return answers.filter((answer) => answer === 'asked').length;
    };
    const early = await answered(1);
    expect(early).toBeLessThanOrEqual(5);
    expect(early).toBeGreaterThan(0);
    expect(await answered(60)).toBe(40);
  });

  test('other connectors, and other kinds of requests, are asked as before', async () => {
    const { limits, ask } = arrange();
    limits.learn(connector, 'manifests', 429, { 'retry-after': '10' });
    expect(await ask(other)).toBe('asked');
    expect(await ask(connector, 'blobs')).toBe('asked');
    expect(await ask(connector, 'HEAD manifests')).toBe('asked');
  });

  test.each([
    ['no time', undefined, '2'],
    ['no number', 'soon', '2'],
    ['nothing', '0', '2'],
    ['a time of years', '999999999', '75'],
    ['a date that has passed', 'Thu, 01 Jan 1970 00:00:00 GMT', '2'],
  ])('that names %s the pause is neither nothing nor without end', async (_what, value, expected) => {
    const { limits, ask } = arrange();
    limits.learn(connector, 'manifests', 429, { 'retry-after': value });
    limits.learn(connector, 'manifests', 429, { 'retry-after': value });
    // A pause of a second is waited for by the first; the others come after it, two a second.
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask()));
    expect(answers.at(-1)).toBe(expected === '2' ? '4' : expected);
  });

  test('other answers change nothing', async () => {
    const { limits, ask } = arrange();
    for (const status of [200, 401, 404, 500, 503])
      limits.learn(connector, 'manifests', status, { 'retry-after': '60' });
    expect(await ask()).toBe('asked');
  });
});

describe('requests at the same time', () => {
  test('of one caller leave an eighth to the others', async () => {
    const limits = new UpstreamLimits();
    const eight: ResolvedConnector = { ...connector, maxConcurrentRequests: 8 };
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const hold = (name: string) =>
      limits.run({ connector: eight, caller: { name }, kind: 'blobs' }, signal, () => {
        begun.push(name);
        return new Promise<void>((resolve) => ends.push(resolve));
      });
    const running = [...Array.from({ length: 8 }, () => hold('greedy')), hold('other')];
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toEqual([...Array.from({ length: 7 }, () => 'greedy'), 'other']);
    while (begun.length < 9) {
      ends.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const end of ends) end();
    await Promise.all(running);
  });

  test('are as many as the connector says; the next waits, and the others’ do not', async () => {
    const limits = new UpstreamLimits();
    const two: ResolvedConnector = { ...connector, maxConcurrentRequests: 2 };
    const ends: (() => void)[] = [];
    const begun: string[] = [];
    const hold = (name: string, to = two) =>
      limits.run({ connector: to, caller: { name }, kind: 'blobs' }, signal, () => {
        begun.push(name);
        return new Promise<void>((resolve) => ends.push(resolve));
      });
    const running = [hold('a'), hold('b'), hold('c'), hold('d', other)];
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toEqual(['a', 'b', 'd']);
    ends[0]?.();
    await running[0];
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toEqual(['a', 'b', 'd', 'c']);
    for (const end of ends) end();
    ends.at(-1)?.();
    await Promise.all(running);
  });
});
