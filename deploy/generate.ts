/** Writes the manifests that are made from the sources; with --check compares them, and fails where they differ. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { generatedFiles } from './generated-files.ts';

async function isCurrent(path: string, text: string): Promise<boolean> {
  return (await readFile(path, 'utf8').catch(() => '')) === text;
}

const stale: string[] = [];
for (const [file, text] of generatedFiles()) {
  const path = join(import.meta.dirname, file);
  if (await isCurrent(path, text)) continue;
  stale.push(join('deploy', file));
  if (process.argv.includes('--check')) continue;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

if (process.argv.includes('--check') && stale.length > 0) {
  process.stderr.write(`not what the sources say: ${stale.join(', ')}\nrun: npm run generate\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(stale.length > 0 ? `written: ${stale.join(', ')}\n` : 'generated manifests are current\n');
}
