import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadAuthority } from '../../certs/authority-store.ts';
import { defaultLifetimes } from '../../certs/rotation.ts';
import { type TextStore, textFile } from '../../certs/text-store.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { textMemory } from './text-memory.ts';

const DAY_MS = 24 * 60 * 60_000;
const now = Date.UTC(2026, 0, 1);
const options = { ...defaultLifetimes, name: 'serving' };

const stores: { kind: string; open: () => Promise<TextStore> }[] = [
  { kind: 'a file', open: async () => textFile(join(await temporaryDirectory(), 'certs', 'ca.pem')) },
  { kind: 'memory', open: async () => textMemory() },
];

describe.each(stores)('an authority store: $kind', ({ open }) => {
  it('is empty at first and then holds what was written last', async () => {
    const store = await open();
    expect(await store.read()).toBeUndefined();
    await store.write('first', undefined);
    expect(await store.read()).toBe('first');
    await store.write('second', 'first');
    expect(await store.read()).toBe('second');
  });

  it.each([undefined, 'zeroth'])('keeps what another process has stored since %s was read', async (previous) => {
    const store = await open();
    await store.write('first', undefined);
    await store.write('second', previous);
    expect(await store.read()).toBe('first');
  });

  it('gives all that start at once the same authority', async () => {
    const store = await open();
    const [first, ...others] = await Promise.all(Array.from({ length: 8 }, () => loadAuthority(store, now, options)));
    expect(first).toHaveLength(1);
    for (const other of others) expect(other).toEqual(first);
  });

  it('keeps the successor of a CA', async () => {
    const store = await open();
    const [ca] = await loadAuthority(store, now, options);
    const rotated = await loadAuthority(store, now + 3000 * DAY_MS, options);
    expect(rotated).toEqual([ca, expect.anything()]);
    expect(await loadAuthority(store, now + 3000 * DAY_MS, options)).toEqual(rotated);
  });
});

describe('an authority in a file', () => {
  it('is for its owner only, and nothing else is left beside it', async () => {
    const directory = await temporaryDirectory();
    await loadAuthority(textFile(join(directory, 'ca.pem')), now, options);
    expect(await readdir(directory)).toEqual(['ca.pem']);
    expect((await stat(join(directory, 'ca.pem'))).mode & 0o777).toBe(0o600);
  });

  it.each(['', 'not PEM', '-----BEGIN PRIVATE KEY-----\nMIGH'])(
    'is never replaced when it is corrupt: %j',
    async (text) => {
      const path = join(await temporaryDirectory(), 'ca.pem');
      await writeFile(path, text);
      await expect(loadAuthority(textFile(path), now, options)).rejects.toThrow(
        `${path} holds no certificate authority (it is not a sequence of PEM blocks): restore it from a copy, or delete it`,
      );
      expect(await readFile(path, 'utf8')).toBe(text);
    },
  );

  it('names the file that cannot be read', async () => {
    const path = join(await temporaryDirectory(), 'ca.pem');
    await mkdir(path);
    await expect(loadAuthority(textFile(path), now, options)).rejects.toThrow(`${path} cannot be read (EISDIR`);
  });
});

it('gives up on a store that does not keep what is written to it', async () => {
  const forgetful = { location: 'nowhere', read: async () => undefined, write: async () => {} };
  await expect(loadAuthority(forgetful, now, options)).rejects.toThrow('nowhere does not keep what is written to it');
});
