import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { partPath } from './find-part.ts';
import { runProgram } from './program.ts';

const root = join(import.meta.dirname, '../../..');

/** Clients under their own names; what this machine has on its search path already is not among them. */
const linked = ['crane', 'ko', 'helm', 'buildctl'] as const;

/** What containers on a machine that is a container itself cannot do: stack file systems, and make networks. */
const flags = {
  buildkitd: '--oci-worker-snapshotter=native --oci-worker-net=host',
  dockerd: '--storage-driver=vfs --iptables=false --bridge=none',
} as const;

/** The same for clients, which take it from the environment. */
export const sandboxEnv: Readonly<Record<string, string>> = {
  BUILDAH_ISOLATION: 'chroot',
  STORAGE_DRIVER: 'vfs',
  // Debian's docker has the builder that needs no plugin.
  DOCKER_BUILDKIT: '0',
  GOCACHE: process.env['GOCACHE'] ?? join(homedir(), '.cache/go-build'),
  GOTOOLCHAIN: 'local',
  GOFLAGS: '-mod=mod',
};

/** Writes the folder of programs that stands before the search path in containers. */
export async function writeTools(folder: string): Promise<void> {
  await mkdir(folder);
  for (const name of linked) await symlink(partPath(name), join(folder, name));
  for (const [name, further] of Object.entries(flags)) {
    await writeProgram(join(folder, name), `exec ${partPath(name as keyof typeof flags)} ${further} "$@"`);
  }
  const main = join(root, 'cli/main.ts');
  await writeProgram(join(folder, 'oci-connector'), `exec ${process.execPath} ${main} "$@"`);
  await writeProgram(join(folder, 'buildctl-daemonless.sh'), await daemonlessScript());
}

async function writeProgram(path: string, script: string): Promise<void> {
  await writeFile(path, script.startsWith('#!') ? script : `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

/** It comes with buildkit's sources, and its image has it. */
async function daemonlessScript(): Promise<string> {
  const module = ['-C', join(root, 'test/tools/buildkit'), '-json', 'github.com/moby/buildkit'];
  // Go finds the sources, or gets them, by the environment that built the parts.
  const env = process.env as Record<string, string>;
  const { code, stdout, stderr } = await runProgram(partPath('go'), ['mod', 'download', ...module], { env });
  if (code !== 0) throw new Error(`the sources of buildkit are not to be had: ${stderr}${stdout}`);
  return readFile(join(JSON.parse(stdout).Dir, 'examples/buildctl-daemonless/buildctl-daemonless.sh'), 'utf8');
}
