import { mkdtemp, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ClientHome } from './clients.ts';
import { partPath } from './find-part.ts';
import { withPrivateMounts } from './private-mounts.ts';
import { endingWithParent, startServer } from './server-process.ts';

/** A buildkitd of its own, with an empty store. */
export interface Buildkit {
  /** Builds the Containerfile in `context`; `exports` are further flags of `buildctl build`. Throws what buildctl said. */
  build(context: string, flags: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

export interface BuildkitOptions {
  readonly plainHttpHosts?: readonly string[];
  /** Added to the environment of buildkitd. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts buildkitd, which sees what `home` sees. Needs root. */
export async function startBuildkit(
  home: ClientHome,
  { plainHttpHosts = [], env: further = {} }: BuildkitOptions = {},
): Promise<Buildkit> {
  // Not below TMPDIR, which may be long: the path of a Unix socket has at most 108 bytes.
  const folder = await mkdtemp('/tmp/bk-');
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  const address = `unix://${join(folder, 'b.sock')}`;
  const config = join(folder, 'buildkitd.toml');
  const registries = plainHttpHosts.map((host) => `[registry."${host}"]\n  http = true\n`);
  await writeFile(config, `[worker.oci]\n  defaultCgroupParent = "${basename(folder)}"\n${registries.join('')}`);
  const flags = ['--root', join(folder, 'root'), '--addr', address, '--config', config, '--oci-worker-binary'];
  const worker = [partPath('runc'), '--oci-worker-snapshotter=native', '--oci-worker-net=host'];
  const daemon = withPrivateMounts(home.mounts, [partPath('buildkitd'), ...flags, ...worker]);
  const [program = '', ...args] = endingWithParent(daemon);
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: home.folder, TMPDIR: folder, ...further };
  const server = await startServer(program, args, { env });
  const stop = async () => {
    await server.stop();
    await removeCgroups(basename(folder));
    await removeFolder();
  };
  try {
    await server.waitFor((line) => (line.includes('running server on') ? true : undefined));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    build: (context, exports) => {
      const sources = [`context=${context}`, `dockerfile=${context}`].flatMap((local) => ['--local', local]);
      const frontend = ['--frontend=dockerfile.v0', '--opt=filename=Containerfile', '--progress=plain'];
      return home.mustRun('buildctl', ['--addr', address, 'build', ...frontend, ...sources, ...exports]);
    },
    stop,
  };
}

const cgroups = '/sys/fs/cgroup';

/** Removes the control groups named `name`: below each controller, or, where there is one hierarchy only, at its top. */
async function removeCgroups(name: string): Promise<void> {
  const tops = [cgroups, ...(await foldersIn(cgroups))];
  for (const top of tops) {
    const [own] = (await foldersIn(top)).filter((folder) => basename(folder) === name);
    if (own !== undefined) await removeCgroup(own);
  }
}

/** The files in a control group are the kernel's: only empty folders are removed, those below first. */
async function removeCgroup(folder: string): Promise<void> {
  for (const child of await foldersIn(folder)) await removeCgroup(child);
  await rmdir(folder);
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
}
