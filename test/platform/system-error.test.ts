import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unlessMissing } from '../../platform/system-error.ts';

test('what is there is found', async () => {
  expect((await unlessMissing(lstat(import.meta.filename)))?.isFile()).toBe(true);
});

test.each(['no-such-file', 'no-such-folder/file', 'system-error.test.ts/file'])('%s is missing', async (name) => {
  expect(await unlessMissing(lstat(join(import.meta.dirname, name)))).toBeUndefined();
});

test('a folder that is read as a file is another error', async () => {
  await expect(unlessMissing(readFile(import.meta.dirname))).rejects.toThrow('EISDIR');
});
