import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { openWatchedFile } from '../../platform/watched-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'watched-'));
  const path = folder;
  onTestFinished(() => rm(path, { recursive: true, force: true }));
});

async function open(path: string) {
  const errors: unknown[] = [];
  const file = await openWatchedFile(path, { pollMs: 5, onError: (error) => errors.push(error) });
  onTestFinished(() => file.close());
  return { file, errors };
}

test('the text is what the file holds, as soon as it is another', async () => {
  const path = join(folder, 'token');
  await writeFile(path, 'one');
  const { file } = await open(path);
  expect(file.text).toBe('one');
  await writeFile(path, 'two');
  await expect.poll(() => file.text).toBe('two');
});

test('a file that is replaced as Kubernetes does it is read anew', async () => {
  for (const [name, text] of [
    ['v1', 'one'],
    ['v2', 'two'],
  ] as const) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'ca.crt'), text);
  }
  await symlink('v1', join(folder, '..data'));
  await symlink(join('..data', 'ca.crt'), join(folder, 'ca.crt'));
  const { file } = await open(join(folder, 'ca.crt'));
  expect(file.text).toBe('one');
  await symlink('v2', join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  await expect.poll(() => file.text).toBe('two');
});

test('a file that is empty is being written, and one that is gone may come back', async () => {
  const path = join(folder, 'token');
  await writeFile(path, 'one');
  const { file, errors } = await open(path);
  await writeFile(path, '');
  await rm(path);
  await expect.poll(() => errors.length).toBeGreaterThan(0);
  expect(file.text).toBe('one');
  await writeFile(path, 'two');
  await expect.poll(() => file.text).toBe('two');
});

test('a file that cannot be read at first is an error', async () => {
  await expect(openWatchedFile(join(folder, 'absent'), { onError: () => {} })).rejects.toMatchObject({
    code: 'ENOENT',
  });
  await expect(openWatchedFile(folder, { onError: () => {} })).rejects.toMatchObject({ code: 'EISDIR' });
});

test('nobody looks any more once it is closed', async () => {
  const path = join(folder, 'token');
  await writeFile(path, 'one');
  const { file, errors } = await open(path);
  file.close();
  await rm(path);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(errors.length).toBeLessThanOrEqual(1);
});
