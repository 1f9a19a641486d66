import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Children } from './children.ts';

/** Programs of other people that the benchmark needs, and where to get them. */
const needed: Readonly<Record<string, string>> = {
  nginx: 'apt-get install nginx-light',
  wrk: 'apt-get install wrk',
  go: 'Go 1.25 or later, from https://go.dev/dl/',
};

/** What is missing on PATH, each with how to get it; empty when all is there. */
export function missingPrograms(path: string): string[] {
  const folders = path.split(delimiter);
  return Object.entries(needed)
    .filter(([name]) => !folders.some((folder) => isExecutable(join(folder, name))))
    .map(([name, source]) => `${name} (${source})`);
}

function isExecutable(file: string): boolean {
  if (!existsSync(file)) return false;
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Builds the Go peer and the load generator into `folder`; Go itself knows what is up to date. */
export async function buildPrograms(children: Children, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await children.run('go', [
    'build',
    '-C',
    join(import.meta.dirname, 'peers'),
    '-trimpath',
    '-o',
    `${folder}/`,
    './...',
  ]);
}

/** Bundles the product of a source tree, as it is shipped, into `folder`. @returns its main file */
export async function buildProduct(children: Children, tree: string, folder: string): Promise<string> {
  await children.run(process.execPath, [join(tree, 'deploy/bundle.ts'), folder]);
  return join(folder, 'main.js');
}
