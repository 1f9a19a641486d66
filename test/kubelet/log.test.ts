import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { createLog, putAside } from '../../kubelet/log.ts';
import type { LogSettings } from '../../kubelet/settings.ts';
import { memoryFolder } from './memory-folder.ts';

function open(settings: Partial<LogSettings> = {}, folder = memoryFolder()) {
  const file = join(folder, 'log', 'provider.log');
  const notes: string[] = [];
  const note = (line: string): void => void notes.push(line);
  const all = { file, maxBytes: 4096, level: 'info', ...settings } as const;
  return { log: createLog({ settings: all, note, now: () => 0, pid: 7 }), folder, file, notes };
}
const linesOf = (file: string) =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('lines of JSON go to a file that only we read, in a folder that is made', () => {
  const { log, file, notes } = open();
  log.write('info', 'answered', { image: 'a.io/b' });
  log.write('debug', 'not this one');
  expect(linesOf(file)).toEqual([
    { level: 'info', time: '1970-01-01T00:00:00.000Z', pid: 7, msg: 'answered', image: 'a.io/b' },
  ]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(notes).toEqual([]);
});

test('no line holds what is concealed, in any spelling', () => {
  const { log, file } = open();
  const secret = 'p"ss/w+rd';
  log.conceal(secret, 'user');
  const spellings = [
    secret,
    JSON.stringify(secret),
    Buffer.from(secret).toString('base64'),
    Buffer.from(`user:${secret}`).toString('base64'),
    encodeURIComponent(secret),
  ];
  log.write('error', `said ${spellings.join(' ')}`, { reason: spellings });
  const text = readFileSync(file, 'utf8');
  for (const spelling of [...spellings, 'w+rd']) expect(text).not.toContain(spelling);
  expect(log.redacted(`x ${secret}`)).toBe('x [redacted]');
});

test('a file that is full is put aside, and the one before it goes', () => {
  const folder = memoryFolder();
  for (let run = 0; run < 40; run += 1) {
    const { log } = open({}, folder);
    log.write('info', `${run}`, { text: 'x'.repeat(400) });
  }
  const logs = join(folder, 'log');
  expect(readdirSync(logs).sort()).toEqual(['provider.log', 'provider.log.1']);
  const runs = ['provider.log.1', 'provider.log'].flatMap((name) => linesOf(join(logs, name)).map(({ msg }) => +msg));
  expect(runs.at(-1)).toBe(39);
  expect(runs).toEqual(Array.from({ length: runs.length }, (_, at) => 40 - runs.length + at));
  for (const name of readdirSync(logs)) expect(statSync(join(logs, name)).size).toBeLessThan(4096 + 500);
});

test('one that somebody else has put aside in the meantime is not put aside again', () => {
  const { log, file } = open();
  log.write('info', 'first');
  const { ino } = statSync(file);
  putAside(file, ino);
  // While the old one is there, no other file has its number.
  writeFileSync(file, 'second');
  putAside(file, ino);
  expect(readFileSync(file, 'utf8')).toBe('second');
  expect(readFileSync(`${file}.1`, 'utf8')).toContain('first');
});

function linkToNull(file: string): void {
  mkdirSync(dirname(file));
  symlinkSync('/dev/null', file);
}

test.each<[string, (file: string) => void, string]>([
  ['is a folder', (file) => mkdirSync(file, { recursive: true }), 'EISDIR'],
  ['is a link', linkToNull, 'ELOOP'],
  ['is in no folder', (file) => writeFileSync(dirname(file), ''), 'ENOTDIR'],
])('a log that %s costs nothing but a note, and the line', (_what, spoil, code) => {
  const { log, file, notes } = open();
  spoil(file);
  log.write('error', 'first');
  log.write('error', 'second');
  expect(notes[0]).toMatch(new RegExp(`the log .* cannot be written \\((?:${code}|EEXIST)\\)`));
  expect(notes.slice(1).map((line) => JSON.parse(line).msg)).toEqual(['first', 'second']);
});

test('a full disk is one of them', () => {
  expect(existsSync('/dev/full')).toBe(true);
  const { log, notes } = open({ file: '/dev/full' });
  log.write('error', 'line');
  expect(notes[0]).toContain('cannot be written (ENOSPC)');
});

test('without a file, lines are notes', () => {
  const { log, notes } = open({ file: undefined });
  log.write('warn', 'line');
  expect(notes).toHaveLength(1);
  expect(JSON.parse(notes[0] ?? '')).toMatchObject({ level: 'warn', msg: 'line' });
});

test('a log that others could read is ours alone from then on', () => {
  const folder = memoryFolder();
  const first = open({}, folder);
  first.log.write('info', 'a');
  chmodSync(first.file, 0o644);
  open({}, folder).log.write('info', 'b');
  expect(statSync(first.file).mode & 0o777).toBe(0o600);
  expect(linesOf(first.file)).toHaveLength(2);
});
