import { readdir, stat } from 'node:fs/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { sealingKeyFile } from '../../certs/certificate-directory.ts';
import { type OpenSealingKeys, openSealingKeys, type SealingKeysOptions } from '../../certs/sealing-keys.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { textMemory } from './text-memory.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const start = Date.UTC(2026, 0, 1);

async function open(options: Partial<SealingKeysOptions> = {}): Promise<OpenSealingKeys> {
  const onError = (error: unknown) => expect.unreachable(String(error));
  const keys = await openSealingKeys({ store: textMemory(), now: () => start, onError, ...options });
  onTestFinished(() => keys.close());
  return keys;
}

describe('sealing keys', () => {
  it('are 32 random bytes with a name, and the first seals at once', async () => {
    const [one, two] = [await open(), await open()];
    expect(one.current.key).toHaveLength(32);
    expect(one.find(one.current.id)).toEqual(one.current);
    expect(one.find('other')).toBeUndefined();
    expect(two.current).not.toEqual(one.current);
  });

  it('are the same for all that share a store, also when they start at once', async () => {
    const store = textMemory();
    const replicas = await Promise.all([1, 2, 3, 4].map(() => open({ store })));
    expect(new Set(replicas.map(({ current }) => current.id)).size).toBe(1);
    expect(new Set(replicas.map(({ current }) => current.key.toString('hex'))).size).toBe(1);
  });

  it('change every 7 days, seal after 10 minutes, and open for 7 days more', async () => {
    let now = start;
    const keys = await open({ now: () => now });
    const at = async (time: number) => {
      now = start + time;
      await keys.check();
      return keys.current.id;
    };
    const first = keys.current.id;
    expect(await at(7 * DAY_MS - 1)).toBe(first);
    expect(await at(7 * DAY_MS)).toBe(first);
    expect(await at(7 * DAY_MS + 10 * MINUTE_MS - 1)).toBe(first);
    const second = await at(7 * DAY_MS + 10 * MINUTE_MS);
    expect(second).not.toBe(first);
    expect(await at(14 * DAY_MS - 1)).toBe(second);
    expect(keys.find(first)).toBeDefined();
    await at(14 * DAY_MS);
    expect(keys.find(first)).toBeUndefined();
    expect(keys.find(second)).toBeDefined();
  });

  it('seal with one that every process has, after all have been away for a month', async () => {
    let now = start;
    const store = textMemory();
    const before = (await open({ store })).current.id;
    now = start + 30 * DAY_MS;
    const [one, two] = [await open({ store, now: () => now }), await open({ store, now: () => now })];
    expect([one.current.id, two.current.id]).toEqual([before, before]);
    now += 10 * MINUTE_MS;
    expect(one.current.id).not.toBe(before);
    expect(two.find(one.current.id)).toEqual(one.current);
  });

  it('never seal with what another process that looks every minute cannot open', async () => {
    let now = start;
    const store = textMemory();
    const replicas = [await open({ store, now: () => now }), await open({ store, now: () => now })];
    for (let minute = 0; minute < 22 * 24 * 60; minute += 7) {
      now = start + minute * MINUTE_MS;
      const [looks, waits] = minute % 2 === 0 ? replicas : replicas.toReversed();
      await looks?.check();
      const { id } = looks?.current ?? { id: '' };
      if (waits?.find(id) === undefined) expect.unreachable(`minute ${minute}`);
    }
  });

  it('are given back to a store that has lost them', async () => {
    const store = textMemory();
    const keys = await open({ store });
    const { text } = store;
    store.text = undefined;
    await keys.check();
    expect(store.text).toBe(text);
  });

  it.each(['', 'x', '{}', '{"keys":[]}', '{"keys":[{"id":"a","key":"YQ==","madeAt":0}]}', '{"keys":[{"id":"a.b"}]}'])(
    'are not read from %j, and the error says what to do',
    async (text) => {
      const store = textMemory();
      const keys = await open({ store });
      const { current } = keys;
      store.text = text;
      await expect(keys.check()).rejects.toThrow(/memory holds no keys .* delete it to start with a new key/);
      expect(keys.current).toBe(current);
      await expect(open({ store })).rejects.toThrow('delete it');
      expect(store.text).toBe(text);
    },
  );

  it('never stand in an error', async () => {
    const store = textMemory();
    const keys = await open({ store });
    store.text = store.text?.replace('"madeAt"', '"made"');
    const message = await keys.check().catch(String);
    expect(message).not.toContain(keys.current.key.toString('base64'));
  });
});

describe('a look for a key that is not known', () => {
  it('finds what another process has made, but looks once in 5 seconds at most', async () => {
    let now = start;
    const store = textMemory();
    const one = await open({ store, now: () => now });
    now += 7 * DAY_MS;
    const two = await open({ store, now: () => now });
    now += 10 * MINUTE_MS;
    expect(one.find(two.current.id)).toBeUndefined();
    const before = store.reads;
    await Promise.all([one.refresh(), one.refresh(), one.refresh()]);
    expect(one.find(two.current.id)).toEqual(two.current);
    const once = store.reads - before;
    now += 4_999;
    await one.refresh();
    expect(store.reads - before).toBe(once);
    now += 1;
    await one.refresh();
    expect(store.reads - before).toBe(2 * once);
  });

  it('costs nobody anything that cannot be done', async () => {
    let now = start;
    const store = textMemory();
    const onError = vi.fn();
    const keys = await open({ store, now: () => now, onError });
    store.failure = new Error('the API server is away');
    now += 5_000;
    await keys.refresh();
    expect(String(onError.mock.calls[0]?.[0])).toContain('the API server is away');
    expect(keys.find(keys.current.id)).toBeDefined();
  });
});

it('sealing keys in a file are for its owner only, and outlive the process', async () => {
  const directory = `${await temporaryDirectory()}/certs`;
  const keys = await open({ store: sealingKeyFile(directory) });
  expect(await readdir(directory)).toEqual(['sealing-keys.json']);
  expect((await stat(`${directory}/sealing-keys.json`)).mode & 0o777).toBe(0o600);
  await keys.close();
  const again = await open({ store: sealingKeyFile(directory) });
  expect(again.current).toEqual(keys.current);
});
