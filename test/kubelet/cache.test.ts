import {
  chmodSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openCache } from '../../kubelet/cache.ts';
import { memoryFolder } from './memory-folder.ts';

const uid = process.getuid?.() ?? 0;
function open({ scope = 'scope', folder = memoryFolder() } = {}) {
  const clock = { now: 1_000_000 };
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  return { cache: openCache({ folder, uid, scope, now: () => clock.now, warn }), clock, folder, warnings };
}

test('what one leaves another finds, in a file for us alone, until it expires', async () => {
  const { cache, clock, folder } = open();
  await cache.write('answer', 'key', { a: 1 }, clock.now + 1000);
  const other = open({ folder });
  expect(other.cache.read('answer', 'key')).toEqual({ a: 1 });
  const [name = ''] = readdirSync(folder);
  expect(name).toMatch(/^answer-[0-9a-f]{64}$/);
  expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  other.clock.now += 1000;
  expect(other.cache.read('answer', 'key')).toBeUndefined();
  expect(readdirSync(folder)).toEqual([]);
});

test('another kind, key or configuration finds nothing', async () => {
  const { cache, clock, folder } = open();
  await cache.write('answer', 'key', 1, clock.now + 1000);
  expect(cache.read('settings', 'key')).toBeUndefined();
  expect(cache.read('answer', 'other')).toBeUndefined();
  expect(open({ folder, scope: 'other' }).cache.read('answer', 'key')).toBeUndefined();
});

test('what has expired is taken out when something is written, and what killed writers left', async () => {
  const { cache, clock, folder } = open();
  await cache.write('answer', 'old', 1, clock.now + 10);
  writeFileSync(join(folder, '.answer.0123'), 'half');
  utimesSync(join(folder, '.answer.0123'), 1, 1);
  clock.now += 100_000;
  await cache.write('answer', 'new', 2, clock.now + 10);
  expect(readdirSync(folder)).toHaveLength(1);
  expect(cache.read('answer', 'new')).toBe(2);
});

test('what ends before it begins is not written', async () => {
  const { cache, clock, folder } = open();
  await cache.write('answer', 'key', 1, clock.now);
  expect(readdirSync(folder)).toEqual([]);
});

test('a clock that was set back makes everything old', async () => {
  const { cache, clock } = open();
  await cache.write('answer', 'key', 1, clock.now + 1000);
  clock.now -= 1;
  expect(cache.read('answer', 'key')).toBeUndefined();
});

test.each<[string, (path: string) => void]>([
  ['is half', (path) => writeFileSync(path, '{"storedAt":1')],
  ['is empty', (path) => writeFileSync(path, '')],
  ['is null', (path) => writeFileSync(path, 'null')],
  ['others may read', (path) => chmodSync(path, 0o644)],
  [
    'is a link',
    (path) => {
      const content = readFileSync(path);
      unlinkSync(path);
      writeFileSync(`${path}.elsewhere`, content, { mode: 0o600 });
      symlinkSync(`${path}.elsewhere`, path);
    },
  ],
])('a file that %s counts as none', async (_what, spoil) => {
  const { cache, clock, folder } = open();
  await cache.write('answer', 'key', 1, clock.now + 1000);
  spoil(join(folder, readdirSync(folder)[0] ?? ''));
  expect(cache.read('answer', 'key')).toBeUndefined();
});

test('a folder that is not right is done without, with a warning', async () => {
  const folder = memoryFolder();
  chmodSync(folder, 0o755);
  const { cache, clock, warnings } = open({ folder });
  await cache.write('answer', 'key', 1, clock.now + 1000);
  expect(cache.read('answer', 'key')).toBeUndefined();
  expect(cache.turnOf('answer', 'key')).toBeUndefined();
  expect(warnings).toEqual([expect.stringMatching(/cache folder .* is open to others/)]);
});

test('there is an end to what images leave behind, and a write looks at few files', async () => {
  const { cache, clock, folder } = open();
  const until = clock.now + 86_400_000;
  for (let at = 0; at < 1_100; at += 1) writeFileSync(join(folder, `worked-${at}`), '{}', { mode: 0o600 });
  for (let at = 0; at < 10; at += 1) await cache.write('worked', `image ${at}`, 'x', until);
  expect(readdirSync(folder).length).toBeLessThan(1_000);
  expect(readdirSync(folder).length).toBeGreaterThan(600);
});
