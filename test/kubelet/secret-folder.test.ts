import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { secretFolderProblem } from '../../kubelet/secret-folder.ts';
import { memoryFolder } from './memory-folder.ts';

const uid = process.getuid?.() ?? 0;

test('a folder in memory is made, for us alone', () => {
  const folder = join(memoryFolder(), 'a', 'b');
  expect(secretFolderProblem(folder, uid)).toBeUndefined();
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(secretFolderProblem(folder, uid)).toBeUndefined();
});

function makeWithMode(folder: string, mode: number): void {
  mkdirSync(folder);
  chmodSync(folder, mode);
}

test.each<[string, (folder: string) => void, RegExp]>([
  ['a link', (folder) => symlinkSync('/dev/shm', folder), /is no folder/],
  ['a file', (folder) => writeFileSync(folder, ''), /cannot be used \(EEXIST\)/],
  ['open to its group', (folder) => makeWithMode(folder, 0o770), /open to others/],
  ['readable by others', (folder) => makeWithMode(folder, 0o704), /open to others/],
  ['in a folder that others may change', (folder) => chmodSync(join(folder, '..'), 0o777), /others may change/],
])('one that is %s is not used', (_what, spoil, expected) => {
  const folder = join(memoryFolder(), 'cache');
  spoil(folder);
  expect(secretFolderProblem(folder, uid)).toMatch(expected);
});

test("somebody else's is not used", () => {
  expect(secretFolderProblem(memoryFolder(), uid + 1)).toMatch(/belongs to user/);
});

test.runIf(uid === 0)('one in a folder of somebody else is not used', () => {
  const folder = join(memoryFolder(), 'cache');
  chownSync(join(folder, '..'), 12_345, 12_345);
  expect(secretFolderProblem(folder, uid)).toMatch(/in a folder that others may change/);
});

test('one on a disk is not used: no credential reaches it', () => {
  const onDisk = mkdtempSync('/var/tmp/oci-connector-test-');
  onTestFinished(() => rmSync(onDisk, { recursive: true }));
  expect(secretFolderProblem(onDisk, uid)).toMatch(/is on a disk/);
});
