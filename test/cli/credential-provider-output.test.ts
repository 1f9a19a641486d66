import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeWhole } from '../../cli/credential-provider-output.ts';
import { memoryFolder } from '../kubelet/memory-folder.ts';

/** More than a pipe holds. */
const long = 'x'.repeat(300_000);

function openPipe(): { path: string; fd: number } {
  const path = join(memoryFolder(), 'pipe');
  execFileSync('/bin/sh', ['-c', 'mkfifo "$0"', path]);
  return { path, fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK) };
}

test('a pipe that does not block takes all of it, as fast as it is read', async () => {
  const { path, fd } = openPipe();
  const copy = `${path}.copy`;
  const reader = spawn('/bin/sh', ['-c', 'exec cat "$0" >"$1"', path, copy], { stdio: 'ignore' });
  const ended = once(reader, 'close');
  writeWhole(fd, long, Date.now() + 20_000);
  closeSync(fd);
  await ended;
  expect(readFileSync(copy, 'utf8')).toBe(long);
});

test('one that nobody reads is given up at the deadline', () => {
  const { fd } = openPipe();
  expect(() => writeWhole(fd, long, Date.now() - 1)).toThrow('EAGAIN');
  closeSync(fd);
});
