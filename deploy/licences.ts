import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

const root = join(import.meta.dirname, '..');

/** What the licences of bundled packages ask for: that their text goes wherever their code goes. */
export async function licencesOf(inputs: Metafile['inputs']): Promise<string> {
  const texts = await Promise.all(packagesOf(inputs).map((folder) => licenceOf(join(root, folder))));
  return `${texts.join(`\n${'-'.repeat(80)}\n`)}\n`;
}

/** Folders of the packages whose code is in the bundle, relative to the root, sorted. */
function packagesOf(inputs: Metafile['inputs']): readonly string[] {
  const folders = Object.keys(inputs).map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  return [...new Set(folders.filter((folder) => folder !== undefined))].sort();
}

async function licenceOf(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file)).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return [`${name} ${version} (${license ?? 'see below'})`, ...texts.map((text) => text.trim())].join('\n\n');
}
