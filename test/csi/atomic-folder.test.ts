import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AtomicFolder } from '../../csi/atomic-folder.ts';
import type { Seen } from './support/read-in-a-loop.ts';

async function openFolder(settle = async (): Promise<void> => {}) {
  const path = await mkdtemp(join(tmpdir(), 'atomic-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  const folder = new AtomicFolder({ path, stateFile: '..state.json', groupId: undefined, now: () => 7, settle });
  const write = (files: Readonly<Record<string, string>>, state = 's') =>
    folder.write(new Map(Object.entries(files)), state);
  /** Names outside and what is in them, and the inner folders. */
  const look = async () => {
    const names = (await readdir(path)).toSorted();
    const files = names.filter((name) => !name.startsWith('..'));
    const read = await Promise.all(files.map(async (name) => [name, await readFile(join(path, name), 'utf8')]));
    return {
      files: Object.fromEntries(read),
      folders: names.filter((name) => name.startsWith('..') && name !== '..data'),
    };
  };
  return { path, folder, write, look };
}

describe('a folder', () => {
  test('holds what was written last, and one inner folder', async () => {
    const { write, look, folder } = await openFolder();
    expect([await folder.hasFiles(), await folder.readState()]).toEqual([false, undefined]);
    await write({ a: '1', b: '1' }, 'one');
    const before = await look();
    expect(before).toEqual({ files: { a: '1', b: '1' }, folders: [expect.stringMatching(/^\.\.7\.[0-9a-f]{8}$/)] });
    await write({ b: '2', c: '2' }, 'two');
    const after = await look();
    expect(after).toEqual({ files: { b: '2', c: '2' }, folders: [expect.stringMatching(/^\.\.7\.[0-9a-f]{8}$/)] });
    expect(after.folders).not.toEqual(before.folders);
    expect([await folder.hasFiles(), await folder.readState()]).toEqual([true, 'two']);
  });

  test('does not write again what is there already, but the state', async () => {
    const { write, path, folder } = await openFolder();
    await write({ a: '1' }, 'one');
    const current = await readlink(join(path, '..data'));
    await write({ a: '1' }, 'two');
    expect(await readlink(join(path, '..data'))).toBe(current);
    expect(await folder.readState()).toBe('two');
  });

  test.each(['..7.0123abcd', '../elsewhere'])('is led nowhere else by a link, %s', async (name) => {
    const { write, path, look } = await openFolder();
    const elsewhere = await mkdtemp(join(tmpdir(), 'elsewhere-'));
    onTestFinished(() => rm(elsewhere, { recursive: true, force: true }));
    await writeFile(join(elsewhere, 'a'), '1');
    if (!name.includes('/')) await symlink(elsewhere, join(path, name));
    await symlink(name.includes('/') ? elsewhere : name, join(path, '..data'));
    await write({ a: '1' });
    expect(await readdir(elsewhere)).toEqual(['a']);
    expect(await look()).toEqual({ files: { a: '1' }, folders: [expect.stringMatching(/^\.\.7\.[0-9a-f]{8}$/)] });
  });

  test('keeps the files that were there until readers have had the time to open them', async () => {
    const held = Promise.withResolvers<void>();
    const settling = Promise.withResolvers<void>();
    const { write, look } = await openFolder(async () => {
      settling.resolve();
      await held.promise;
    });
    await write({ a: '1' });
    const writing = write({ a: '2' });
    await settling.promise;
    expect(await look()).toMatchObject({ files: { a: '2' }, folders: { length: 2 } });
    held.resolve();
    await writing;
    expect(await look()).toMatchObject({ files: { a: '2' }, folders: { length: 1 } });
  });

  test.each<[string, (path: string) => Promise<void>]>([
    ['a folder that was not finished', (path) => mkdir(join(path, '..6.half'))],
    ['a link that was not renamed', (path) => symlink('..6.half', join(path, '..data_tmp'))],
    ['a state that was not renamed', (path) => writeFile(join(path, '..data/..state_tmp'), 'x')],
    ['a link to a file that is no more', (path) => symlink('..data/z', join(path, 'z'))],
    ['a link that was not made yet', (path) => rm(join(path, 'a'))],
  ])('is put right where a writer was killed over %s', async (_, breakIt) => {
    for (const files of [{ a: '1' }, { a: '2' }]) {
      const { path, write, look } = await openFolder();
      await write({ a: '1' });
      await breakIt(path);
      await write(files);
      expect(await look()).toMatchObject({ files, folders: { length: 1 } });
      expect(await readdir(join(path, '..data'))).toHaveLength(2);
    }
  });

  test('takes the name from what goes before it removes the files', async () => {
    const { path, write } = await openFolder();
    await write({ a: '1' });
    const before = await readlink(join(path, '..data'));
    const seen: (string | null)[] = [];
    const watcher = watch(path, (_, name) => void seen.push(name));
    onTestFinished(() => watcher.close());
    await write({ a: '2' });
    await expect.poll(() => seen).toContain(`${before}.removed`);
  });

  test('shows whoever reads it in a loop whole files of one time, over 500 replacements', async () => {
    const { path, write } = await openFolder(() => delay(2));
    const generation = (number: number) => `${number}\n${'x'.repeat(10_000 + number)}\n${number}`;
    const names = ['a', 'b', 'c', 'd'];
    const writeAll = (number: number) => write(Object.fromEntries(names.map((name) => [name, generation(number)])));
    await writeAll(0);
    const end = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(join(import.meta.dirname, 'support/read-in-a-loop.ts'), {
      workerData: { path, files: names.length, end },
    });
    await once(worker, 'message');
    for (let number = 1; number <= 500; number += 1) await writeAll(number);
    Atomics.store(end, 0, 1);
    const [seen] = (await once(worker, 'message')) as [Seen];
    expect(seen.bad).toEqual([]);
    expect(seen.rounds).toBeGreaterThan(seen.lost);
    expect(seen.generations).toBeGreaterThan(10);
  });
});
