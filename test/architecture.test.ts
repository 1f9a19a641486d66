import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { describe, expect, test } from 'vitest';

/**
 * What each folder may import beside itself: the arrows of docs/ARCHITECTURE.md. They point down; siblings do not
 * import each other. Folders of later parts stand here from the beginning.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  platform: [],
  connectors: ['platform'],
  credentials: ['connectors', 'platform'],
  certs: ['connectors', 'platform'],
  webhook: ['credentials', 'certs', 'connectors', 'platform'],
  proxy: ['credentials', 'certs', 'connectors', 'platform'],
  controller: ['credentials', 'certs', 'connectors', 'platform'],
  csi: ['connectors', 'platform'],
  kubelet: ['credentials', 'certs', 'connectors', 'platform'],
  cli: ['webhook', 'proxy', 'controller', 'csi', 'kubelet', 'credentials', 'certs', 'connectors', 'platform'],
};

/** Single files with rights of their own, and why. */
const exceptions: Readonly<Record<string, readonly string[]>> = {
  // The demo shows the product against the registry that the tests use.
  'cli/demo.ts': ['test/support'],
};

const root = join(import.meta.dirname, '..');
const importPattern = /\b(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]/g;

interface Import {
  readonly from: string;
  readonly to: string;
}

function sourcesOf(folder: string): string[] {
  const entries = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return entries.filter((entry) => entry.endsWith('.ts')).map((entry) => join(folder, entry));
}

function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(importPattern)]
    .map((match) => match[1] ?? match[2] ?? '')
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => ({ from: file, to: relative(root, normalize(join(root, dirname(file), specifier))) }));
}

function isAllowed({ from, to }: Import): boolean {
  const [folder = ''] = from.split(sep);
  const permitted = [folder, ...(allowed[folder] ?? []), ...(exceptions[from] ?? [])];
  return permitted.some((target) => to.startsWith(`${target}${sep}`));
}

/** Files that import each other in a ring, types included: none of them can be understood alone. */
function ringsOf(imports: readonly Import[]): string[] {
  const next = Map.groupBy(imports, (entry) => entry.from);
  const rings: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) rings.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (done.has(file)) return;
    done.add(file);
    for (const { to } of next.get(file) ?? []) visit(to, [...path, file]);
  };
  for (const file of next.keys()) visit(file, []);
  return rings;
}

const folders = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name in allowed)
  .map((entry) => entry.name);
const sources = folders.flatMap(sourcesOf);
const imports = sources.flatMap((file) => importsOf(file, readFileSync(join(root, file), 'utf8')));

describe('architecture', () => {
  test('imports point down, and siblings do not import each other', () => {
    expect(imports.length).toBeGreaterThan(100);
    expect(imports.filter((entry) => !isAllowed(entry)).map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
  });

  test('no files import each other in a ring', () => {
    expect(ringsOf(imports)).toEqual([]);
  });

  test('the check sees what it is meant to see', () => {
    const upward = importsOf(
      'connectors/store.ts',
      "import type { A } from '../proxy/route.ts';\nawait import('../cli/main.ts');",
    );
    expect(upward.map(({ to }) => to)).toEqual(['proxy/route.ts', 'cli/main.ts']);
    expect(upward.map(isAllowed)).toEqual([false, false]);
    expect(
      ringsOf([
        { from: 'a', to: 'b' },
        { from: 'b', to: 'a' },
      ]),
    ).toEqual(['a → b → a']);
  });

  test('every folder of sources is known here', () => {
    const others = ['test', 'bench', 'deploy', 'node_modules', 'dist', 'coverage'];
    const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const unknown = folders.map((entry) => entry.name).filter((name) => !(name in allowed) && !name.startsWith('.'));
    expect(unknown.filter((name) => !others.includes(name) && sourcesOf(name).length > 0)).toEqual([]);
  });

  test('no import hides what it imports', () => {
    const hidden = /\bimport\(\s*[^'"\s)]|\bcreateRequire\b|\brequire\(/;
    expect(sources.filter((file) => hidden.test(readFileSync(join(root, file), 'utf8')))).toEqual([]);
  });

  test('the environment is read, and the console written, by cli/ alone', () => {
    const offenders = sources
      .filter((file) => !file.startsWith(`cli${sep}`))
      .filter((file) =>
        /\bprocess\.(env|argv|stdout|stderr)\b|from 'node:process'|\bconsole\.\w+\(/.test(
          readFileSync(join(root, file), 'utf8'),
        ),
      );
    expect(offenders).toEqual([]);
  });
});
