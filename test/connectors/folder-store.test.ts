import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { formatProblem } from '../../connectors/field-problem.ts';
import { type FolderStoreOptions, openFolderStore, type ReloadReport } from '../../connectors/folder-store.ts';

const manifest = (name: string, address = 'https://harbor.example.com') =>
  JSON.stringify({
    apiVersion: 'connectors.alauda.io/v1alpha1',
    kind: 'Connector',
    metadata: { namespace: 'demo', name },
    spec: { connectorClassName: 'oci', address },
  });

async function folderOf(files: Readonly<Record<string, string>>) {
  const path = await mkdtemp(join(tmpdir(), 'manifests-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  const write = async (name: string, text: string) => {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), text);
  };
  for (const [name, text] of Object.entries(files)) await write(name, text);
  return { path, write, remove: (name: string) => rm(join(path, name), { recursive: true }) };
}

/** Polls once an hour: only the tests of polling want it sooner. */
async function open(folder: string, options: Partial<FolderStoreOptions> = {}) {
  const store = await openFolderStore({ folder, pollMs: 3_600_000, ...options });
  onTestFinished(() => store.close());
  return Object.assign(store, {
    names: () => store.catalogue.connectors.map(({ key }) => key.name).sort(),
    lines: () => store.problems.map(formatProblem),
  });
}

test('all YAML files are read, those of sub-folders too, and nothing else', async () => {
  const folder = await folderOf({
    'a.yaml': `${manifest('a1')}\n---\n${manifest('a2')}`,
    'sub/sub/b.yml': manifest('b'),
    'C.YAML': manifest('c'),
    'notes.txt': 'neither: [YAML',
    'folder.yaml/d.yaml': manifest('d'),
    '..data/hidden.yaml': manifest('hidden'),
    'empty.yaml': '',
  });
  expect((await open(folder.path)).names()).toEqual(['a1', 'a2', 'b', 'c', 'd']);
});

test.each<[what: string, files: Record<string, string>, message: RegExp]>([
  ['a bad file', { 'a.yaml': manifest('a'), 'b.yaml': 'kind: [' }, /1 problem\(s\)\n {2}b.yaml:1: Flow sequence/],
  ['a bad connector', { 'a.yaml': `\n${manifest('a', 'ftp://x')}` }, /a.yaml:2: spec.address: scheme "ftp:"/],
  [
    'a name twice',
    { 'a.yaml': manifest('a'), 'b.yaml': manifest('a') },
    /b.yaml:1: metadata.name: Connector demo\/a stands already in a.yaml:1/,
  ],
])('%s keeps the store from opening, and all is said', async (_what, files, message) => {
  const folder = await folderOf(files);
  await expect(open(folder.path)).rejects.toThrow(message);
});

test('a folder that is not there keeps the store from opening', async () => {
  const folder = await folderOf({});
  await expect(open(join(folder.path, 'none'))).rejects.toThrow(/none:1: cannot be read: ENOENT/);
});

test('files that change, come and go are followed', async () => {
  const folder = await folderOf({ 'a.yaml': manifest('a'), 'b.yaml': manifest('b') });
  const store = await open(folder.path);
  const before = store.catalogue;
  await store.reload();
  expect(store.catalogue).toBe(before);
  await folder.write('a.yaml', manifest('a0'));
  await folder.write('c.yaml', manifest('c'));
  await folder.remove('b.yaml');
  await store.reload();
  expect(store.names()).toEqual(['a0', 'c']);
  expect(before.connectors).toHaveLength(2);
});

test('a file that goes bad keeps its last good version, while the others go on changing', async () => {
  const folder = await folderOf({ 'a.yaml': manifest('a'), 'b.yaml': manifest('b') });
  const reports: ReloadReport[] = [];
  const store = await open(folder.path, { onReload: (report) => void reports.push(report) });
  await folder.write('a.yaml', 'kind: [');
  await folder.write('b.yaml', manifest('b0'));
  await folder.write('new.yaml', '@');
  await store.reload();
  expect(store.names()).toEqual(['a', 'b0']);
  expect(store.lines()).toEqual([expect.stringMatching(/^a.yaml:1: /), expect.stringMatching(/^new.yaml:1: /)]);
  expect(reports.at(-1)?.problems).toBe(store.problems);
  await folder.write('a.yaml', manifest('a1'));
  await folder.remove('new.yaml');
  await store.reload();
  expect([store.names(), store.problems]).toEqual([['a1', 'b0'], []]);
});

test('a folder that cannot be read keeps all, and is told of once', async () => {
  const folder = await folderOf({ 'sub/a.yaml': manifest('a') });
  const reports: ReloadReport[] = [];
  const store = await open(join(folder.path, 'sub'), { onReload: (report) => void reports.push(report) });
  await rename(join(folder.path, 'sub'), join(folder.path, 'away'));
  await store.reload();
  await store.reload();
  expect([store.names(), store.lines()]).toEqual([['a'], [expect.stringMatching(/sub:1: cannot be read: ENOENT/)]]);
  expect(reports).toHaveLength(2);
  await rename(join(folder.path, 'away'), join(folder.path, 'sub'));
  await store.reload();
  expect([store.names(), store.problems, reports.length]).toEqual([['a'], [], 3]);
});

test('a mounted ConfigMap is followed: symbolic links that are replaced', async () => {
  const folder = await folderOf({ '..1/a.yaml': manifest('one'), '..2/a.yaml': manifest('two') });
  const link = (name: string) => join(folder.path, name);
  await symlink('..1', link('..data'));
  await symlink('..data/a.yaml', link('a.yaml'));
  const store = await open(folder.path);
  expect(store.names()).toEqual(['one']);
  await symlink('..2', link('..tmp'));
  await rename(link('..tmp'), link('..data'));
  await store.reload();
  expect(store.names()).toEqual(['two']);
});

test('a file that is too large, or no file of text, is a problem of its own', async () => {
  const folder = await folderOf({ 'a.yaml': manifest('a') });
  const store = await open(folder.path);
  await truncate(join(folder.path, 'a.yaml'), 17 * 1024 * 1024);
  await folder.write('b.yaml', '\0\u0001');
  await symlink('nowhere', join(folder.path, 'dangling.yaml'));
  await symlink('loop.yaml', join(folder.path, 'loop.yaml'));
  await store.reload();
  expect(store.names()).toEqual(['a']);
  expect(store.lines()).toEqual([
    'a.yaml:1: cannot be read: larger than 16777216 bytes',
    expect.stringMatching(/^b.yaml:1: /),
    expect.stringMatching(/^loop.yaml:1: cannot be read: ELOOP/),
  ]);
  const { catalogue } = store;
  await store.reload();
  expect(store.catalogue).toBe(catalogue);
});

test('the folder is polled, also after a listener threw', async () => {
  const folder = await folderOf({ 'a.yaml': manifest('a') });
  const seen = { b: Promise.withResolvers<void>(), c: Promise.withResolvers<void>() };
  const store = await open(folder.path, {
    pollMs: 1,
    onReload: (_report, { connectors }) => {
      const name = connectors[0]?.key.name;
      if (name === 'c') seen.c.resolve();
      if (name !== 'b') return;
      seen.b.resolve();
      throw new Error('a listener that throws');
    },
  });
  await folder.write('a.yaml', manifest('b'));
  await seen.b.promise;
  await folder.write('a.yaml', manifest('c'));
  await seen.c.promise;
  expect(store.names()).toEqual(['c']);
});

test('a closed store reads no more', async () => {
  const folder = await folderOf({ 'a.yaml': manifest('a') });
  const reports: ReloadReport[] = [];
  const store = await open(folder.path, { pollMs: 1, onReload: (report) => void reports.push(report) });
  await store.close();
  await folder.write('a.yaml', manifest('b'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([store.names(), reports.length]).toEqual([['a'], 1]);
});
