import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { writeFileAtomic } from '../../platform/atomic-file.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atomic-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
});
const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

test('a file is written for its owner only, with the folders above it', async () => {
  const path = join(folder, 'a/b/file');
  await writeFileAtomic(path, 'täxt');
  expect(await readFile(path, 'utf8')).toBe('täxt');
  expect([await modeOf(path), await modeOf(join(folder, 'a'))]).toEqual(['600', '700']);
  await writeFileAtomic(path, Buffer.from([0, 255]), 0o644);
  expect([...(await readFile(path))]).toEqual([0, 255]);
  expect(await modeOf(path)).toBe('644');
});

test('a reader sees the old content or the new', async () => {
  const path = join(folder, 'file');
  const contents = ['a', 'b'].map((letter) => letter.repeat(100_000));
  await writeFileAtomic(path, contents[0] ?? '');
  let isDone = false;
  const writing = (async () => {
    for (let at = 0; at < 30; at += 1) await writeFileAtomic(path, contents[at % 2] ?? '');
    isDone = true;
  })();
  while (!isDone) expect(contents).toContain(await readFile(path, 'utf8'));
  await writing;
  expect(await readdir(folder)).toEqual(['file']);
});

test('concurrent writers leave the content of one of them', async () => {
  const path = join(folder, 'file');
  await Promise.all(['a', 'b', 'c'].map((letter) => writeFileAtomic(path, letter.repeat(1000))));
  expect(await readFile(path, 'utf8')).toMatch(/^(a{1000}|b{1000}|c{1000})$/);
  expect(await readdir(folder)).toEqual(['file']);
});

test('a symbolic link is replaced, and what it led to stays', async () => {
  await writeFile(join(folder, 'target'), 'old');
  await symlink('target', join(folder, 'link'));
  await writeFileAtomic(join(folder, 'link'), 'new');
  expect(await readFile(join(folder, 'target'), 'utf8')).toBe('old');
});

test('a failure leaves what was there, and nothing beside it', async () => {
  await mkdir(join(folder, 'path'));
  await expect(writeFileAtomic(join(folder, 'path'), 'x')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  await writeFile(join(folder, 'file'), 'x');
  await expect(writeFileAtomic(join(folder, 'file/below'), 'x')).rejects.toThrow(/ENOTDIR|EEXIST/);
  expect((await readdir(folder)).sort()).toEqual(['file', 'path']);
});
