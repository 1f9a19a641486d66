/**
 * Bundles the program into one folder that needs nothing but Node: `node deploy/bundle.ts [folder]`. Each command is a
 * chunk of its own, loaded when it is called, so that a node's agent never reads the Kubernetes client.
 */
import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { licencesOf } from './licences.ts';

const root = join(import.meta.dirname, '..');
const defaultFolder = join(root, 'dist');

const commands = { 'oci-connector': 'main.js', 'oci-connector-probe': 'probe.js' };

// What is CommonJS asks for Node's own modules by `require`, which an ES module has to make for itself.
const commonJs = "import{createRequire as $require}from'node:module';const require=$require(import.meta.url);";

/** Of all that is shipped. */
export const bundleOptions = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node26',
  minify: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
} as const;

export interface Bundle {
  /** Absolute path of the folder: bin/, main.js, probe.js, chunks/, package.json, LICENSES.txt. */
  readonly folder: string;
  /** Of all code together. */
  readonly bytes: number;
  readonly metafile: Metafile;
}

/** Writes the bundle to `folder`, which it empties first. */
export async function bundle(folder: string = defaultFolder): Promise<Bundle> {
  await rm(folder, { recursive: true, force: true });
  const program = await build({
    ...bundleOptions,
    entryPoints: { main: 'cli/main.ts' },
    outdir: folder,
    chunkNames: 'chunks/[name]-[hash]',
    splitting: true,
    banner: { js: commonJs },
  });
  // Apart, whole in one file: the kubelet starts it every few seconds, and a chunk that is shared is never `import.meta.main`.
  const probe = await build({ ...bundleOptions, entryPoints: { probe: 'cli/probe.ts' }, outdir: folder });
  const metafile = {
    inputs: { ...program.metafile.inputs, ...probe.metafile.inputs },
    outputs: { ...program.metafile.outputs, ...probe.metafile.outputs },
  };
  await writePackageFile(folder);
  await writeFile(join(folder, 'LICENSES.txt'), await licencesOf(metafile.inputs));
  await mkdir(join(folder, 'bin'));
  for (const [name, file] of Object.entries(commands)) {
    await makeExecutable(join(folder, file));
    await symlink(join('..', file), join(folder, 'bin', name));
  }
  const bytes = Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
  return { folder, bytes, metafile };
}

/** Node takes `.js` for an ES module because of this file. */
async function writePackageFile(folder: string): Promise<void> {
  const { name, version, license } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const content = { name, version, license, type: 'module', private: true };
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(content, null, 2)}\n`);
}

/** An image without a shell starts its programs by their first line. */
async function makeExecutable(file: string): Promise<void> {
  const code = await readFile(file, 'utf8');
  await writeFile(file, `#!/usr/local/bin/node\n${code.replace(/^#!.*\n/, '')}`);
  await chmod(file, 0o755);
}

if (import.meta.main) {
  const { folder, bytes } = await bundle(resolve(process.argv[2] ?? defaultFolder));
  process.stdout.write(`${folder}: ${Math.round(bytes / 1024)} KiB of code\n`);
}
