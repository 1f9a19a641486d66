import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ResolvedConnector } from '../../connectors/connector.ts';
import type { ProxyError } from '../../platform/errors.ts';
import { type LimitedKind, limitedKind, UpstreamLimits } from '../../proxy/upstream-limits.ts';
import { resolvedConnector } from './support/resolved-connector.ts';

const connector = resolvedConnector('https://registry.example.com');
const other = { ...connector, uid: 'other' };
const { signal } = new AbortController();

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

interface Asking {
  readonly to?: ResolvedConnector;
  readonly kind?: LimitedKind;
  readonly caller?: string;
  readonly signal?: AbortSignal;
}

function arrange() {
  const limits = new UpstreamLimits({ random: () => 0.5 });
  /** The callers whose requests have gone, in this order. */
  const gone: string[] = [];
  const ask = ({ to = connector, kind = 'pull manifests', caller = 'pod', ...more }: Asking = {}) =>
    limits
      .run({ connector: to, caller: { name: caller }, kind }, more.signal ?? signal, async () => void gone.push(caller))
      .then(
        () => 'asked',
        (error: ProxyError) => error.headers?.['retry-after'] ?? error,
      );
  const refuse = (retryAfter?: string, kind: LimitedKind = 'pull manifests') =>
    limits.learn(connector, kind, 429, { 'retry-after': retryAfter });
  const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);
  /** How many go within this time, of more than can. */
  const gonePerSecond = async (seconds: number, asking: Asking = {}) => {
    const before = gone.length;
    const leaving = new AbortController();
    const asked = Array.from({ length: 2_000 }, () => ask({ ...asking, signal: leaving.signal }));
    await pass(seconds);
    const count = gone.length - before;
    leaving.abort(new Error('gone'));
    await Promise.all(asked);
    return count / seconds;
  };
  return { limits, ask, refuse, pass, gone, gonePerSecond };
}

/** Asks so often a second, for two seconds. */
async function askAtRate(perSecond: number, { ask, pass }: ReturnType<typeof arrange>) {
  for (let count = 0; count < 2 * perSecond; count += 1) {
    void ask();
    await pass(1 / perSecond);
  }
}

describe('after a 429 that names no time', () => {
  test('it goes on at half of the rate at which it went, and faster by and by', async () => {
    const arranged = arrange();
    await askAtRate(100, arranged);
    arranged.refuse();
    expect(await arranged.gonePerSecond(1)).toBeCloseTo(50, -1);
    await arranged.pass(4);
    expect(await arranged.gonePerSecond(1)).toBeGreaterThan(90);
    await arranged.pass(24);
    expect(await arranged.gonePerSecond(0.001)).toBe(2_000 / 0.001);
  });

  test('many of them within a second make it slower once, those that go on coming again', async () => {
    const arranged = arrange();
    await askAtRate(100, arranged);
    for (let count = 0; count < 20; count += 1) arranged.refuse();
    expect(await arranged.gonePerSecond(1.1)).toBeCloseTo(52, -1);
    arranged.refuse();
    expect(await arranged.gonePerSecond(1)).toBeCloseTo(26, -1);
  });

  test('it never goes slower than two a second', async () => {
    const { refuse, ask, pass, gonePerSecond } = arrange();
    await ask();
    for (let count = 0; count < 5; count += 1) {
      refuse();
      await pass(1);
    }
    refuse();
    expect(await gonePerSecond(4)).toBeGreaterThanOrEqual(2);
  });
});

describe('after a 429 that names a time', () => {
  test('nobody asks before it; who would wait longer than half a minute is told when to come again', async () => {
    const { refuse, ask, pass, gone } = arrange();
    refuse('60');
    // 60 s, and a quarter more: who is told so is spread.
    expect(await ask()).toBe('75');
    await pass(31);
    const waiting = ask();
    await pass(28.9);
    expect(gone).toEqual([]);
    await pass(0.1);
    expect(await waiting).toBe('asked');
  });

  test('pushes under way wait for all of it', async () => {
    const { refuse, ask, pass, gone } = arrange();
    refuse('60', 'push upload');
    const waiting = ask({ kind: 'push upload' });
    await pass(59.9);
    expect(gone).toEqual([]);
    await pass(0.1);
    expect(await waiting).toBe('asked');
  });

  test('who waits already, and would now wait too long, is told so at once', async () => {
    const { refuse, ask, pass } = arrange();
    refuse('20');
    const waiting = ask();
    await pass(5);
    refuse('60');
    expect(await waiting).toBe('75');
  });

  test('other connectors, and other kinds of requests, are asked as before', async () => {
    const { refuse, ask } = arrange();
    refuse('60');
    expect(await ask({ to: other })).toBe('asked');
    for (const kind of ['pull blobs', 'HEAD manifests', 'push manifests', 'push upload'] as const) {
      expect(await ask({ kind })).toBe('asked');
    }
  });

  test.each([
    ['a time of years', '999999999', 60],
    ['a date', new Date(Date.now() + 45_000).toUTCString(), 45],
    ['a date that has passed', 'Thu, 01 Jan 1970 00:00:00 GMT', 1],
    ['nothing', '0', 1],
    ['two times, of which the first counts', ['40', '50'], 40],
  ])('that is %s the pause is neither nothing nor without end', async (_what, value, seconds) => {
    vi.setSystemTime(Date.now());
    const { limits, ask, pass, gone } = arrange();
    limits.learn(connector, 'push upload', 429, { 'retry-after': value as string });
    const asked = ask({ kind: 'push upload' });
    await pass(Math.max(0, seconds - 2));
    expect(gone).toEqual([]);
    await pass(2);
    expect(await asked).toBe('asked');
  });

  test('other answers change nothing', async () => {
    const { limits, ask } = arrange();
    for (const status of [200, 401, 404, 500, 503])
      limits.learn(connector, 'pull manifests', status, { 'retry-after': '60' });
    expect(await ask()).toBe('asked');
  });
});

describe('those who wait for their turn', () => {
  test('take turns with those of other callers', async () => {
    const { refuse, ask, pass, gone } = arrange();
    refuse('1');
    for (let count = 0; count < 20; count += 1) void ask({ caller: 'greedy' });
    void ask({ caller: 'a' });
    void ask({ caller: 'b' });
    void ask({ caller: 'a' });
    await pass(20);
    expect(gone.slice(0, 6)).toEqual(['greedy', 'a', 'b', 'greedy', 'a', 'greedy']);
    expect(gone).toHaveLength(23);
  });

  test('are not turned away because one caller has taken all turns', async () => {
    const { refuse, ask, pass } = arrange();
    refuse('1');
    const greedy = Array.from({ length: 500 }, () => ask({ caller: 'greedy' }));
    const late = ask({ caller: 'late' });
    await pass(3);
    expect(await late).toBe('asked');
    await pass(120);
    const refused = (await Promise.all(greedy)).filter((answer) => answer !== 'asked');
    expect(refused.length).toBeGreaterThan(300);
    expect(refused).not.toContain(expect.any(Error));
  });

  test('give their turn back when they leave', async () => {
    const { refuse, ask, pass, gone } = arrange();
    refuse('1');
    const leaving = new AbortController();
    const left = Array.from({ length: 40 }, () => ask({ caller: 'gone', signal: leaving.signal }));
    const stays = ask();
    leaving.abort(new Error('gone'));
    expect(await Promise.all(left)).toEqual(left.map(() => new Error('gone')));
    await pass(1);
    expect(await stays).toBe('asked');
    expect(gone).toEqual(['pod']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test.each([
  ['GET', 'pull', 'manifests', 'pull manifests'],
  ['HEAD', 'pull', 'manifests', 'HEAD manifests'],
  ['PUT', 'push', 'manifests', 'push manifests'],
  ['DELETE', 'delete', 'blobs', 'delete blobs'],
  ['POST', 'push', 'uploads', 'push upload'],
  ['PATCH', 'push', 'upload', 'push upload'],
  ['PUT', 'push', 'upload', 'push upload'],
] as const)('%s, a %s of %s, is limited as «%s»', (method, action, endpoint, kind) => {
  expect(limitedKind(method, action, endpoint)).toBe(kind);
});

describe('requests at the same time', () => {
  test('of one caller leave an eighth to the others', async () => {
    const limits = new UpstreamLimits();
    const eight: ResolvedConnector = { ...connector, maxConcurrentRequests: 8 };
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const hold = (name: string) =>
      limits.run({ connector: eight, caller: { name }, kind: 'pull blobs' }, signal, () => {
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
      limits.run({ connector: to, caller: { name }, kind: 'pull blobs' }, signal, () => {
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

  test('that wait for half a minute for others to end are told to come again', async () => {
    const limits = new UpstreamLimits();
    const one: ResolvedConnector = { ...connector, maxConcurrentRequests: 1 };
    const want = { connector: one, caller: { name: 'pod' }, kind: 'pull blobs' } as const;
    const leaving = new AbortController();
    const held = limits.run(
      want,
      signal,
      () => new Promise((resolve) => leaving.signal.addEventListener('abort', resolve)),
    );
    const waiting = limits.run(want, signal, async () => 'late').catch((error: ProxyError) => error);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await waiting).toMatchObject({ code: 'UPSTREAM_LIMITED', headers: { 'retry-after': '2' } });
    leaving.abort();
    await held;
  });
});
