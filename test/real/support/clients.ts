import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { partPath } from './find-part.ts';
import type { PartName } from './part-names.ts';
import { type PrivateMounts, withPrivateMounts } from './private-mounts.ts';
import { type ProgramOptions, type ProgramResult, runProgram } from './program.ts';
import type { Credential } from './token-issuer.ts';

export type ClientOptions = Omit<ProgramOptions, 'env'> & {
  /** Added to the environment, which otherwise holds nothing of this machine's but the search path. */
  readonly env?: Readonly<Record<string, string>>;
};

/** A user's home that is empty at first, so that no credential of this machine is ever used. */
export interface ClientHome {
  readonly folder: string;
  /** What the parts see instead of this machine's own. */
  readonly mounts: PrivateMounts;
  /** Runs the part to its end, whatever its exit code. */
  run(part: PartName, args: readonly string[], options?: ClientOptions): Promise<ProgramResult>;
  /** The same, and throws what the part said where its exit code is not 0. Returns its stdout. */
  mustRun(part: PartName, args: readonly string[], options?: ClientOptions): Promise<string>;
  /** Makes `credentials`, by registry host, all that the Docker configuration holds. crane and skopeo read it. */
  logIn(credentials: Readonly<Record<string, Credential>>): Promise<void>;
  close(): Promise<void>;
}

export interface ClientHomeOptions {
  /** Host names that lead to 127.0.0.1 for the parts that run here, and for nobody else. */
  readonly loopbackNames?: readonly string[];
  /** The parts run as root proper and keep their state below the home, wherever they are used to keep it. */
  readonly isRoot?: boolean;
}

export async function makeClientHome(options: ClientHomeOptions = {}): Promise<ClientHome> {
  const folder = await mkdtemp(join(tmpdir(), 'home-'));
  const docker = join(folder, '.docker');
  for (const name of [docker, join(folder, 'tmp'), join(folder, 'run')]) await mkdir(name, { mode: 0o700 });
  await writePolicy(folder);
  const base = clientEnvironment(folder, options);
  const mounts = await makeMounts(folder, options);
  const run: ClientHome['run'] = (part, args, { env, ...programOptions } = {}) => {
    const [command = '', ...commandArgs] = withPrivateMounts(mounts, [partPath(part), ...args]);
    return runProgram(command, commandArgs, { ...programOptions, env: { ...base, ...env } });
  };
  return {
    folder,
    mounts,
    run,
    mustRun: async (part, args, options) => {
      const { code, stdout, stderr } = await run(part, args, options);
      if (code !== 0) throw new Error(`${part} ${args.join(' ')} ended with ${code}:\n${stderr}${stdout}`);
      return stdout;
    },
    logIn: async (credentials) => {
      const auths = Object.entries(credentials).map(([host, { username, password }]) => [
        host,
        { auth: Buffer.from(`${username}:${password}`).toString('base64') },
      ]);
      await writeFile(join(docker, 'config.json'), JSON.stringify({ auths: Object.fromEntries(auths) }));
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Where buildah and podman remember images, containers, locks, and in which registry they saw a blob. */
const stateFolders = { '/var/lib': 'var-lib', '/run': 'run', '/dev/shm': 'shm' };

async function makeMounts(folder: string, { loopbackNames, isRoot }: ClientHomeOptions): Promise<PrivateMounts> {
  const mounts: Record<string, string> = {};
  if (loopbackNames !== undefined) {
    mounts['/etc/hosts'] = join(folder, 'hosts');
    await writeFile(mounts['/etc/hosts'], `127.0.0.1 localhost ${loopbackNames.join(' ')}\n`);
  }
  if (isRoot === true) {
    for (const [path, name] of Object.entries(stateFolders)) {
      mounts[path] = join(folder, name);
      await mkdir(mounts[path], { recursive: true });
    }
  }
  return mounts;
}

function clientEnvironment(folder: string, { isRoot }: ClientHomeOptions): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: folder,
    DOCKER_CONFIG: join(folder, '.docker'),
    TMPDIR: join(folder, 'tmp'),
    XDG_RUNTIME_DIR: join(folder, 'run'),
    XDG_CONFIG_HOME: join(folder, '.config'),
    XDG_DATA_HOME: join(folder, '.local/share'),
    // As root, skopeo would remember in /var/lib/containers where it saw a blob, and mount it from there in a later test.
    ...(isRoot === true ? {} : { _CONTAINERS_ROOTLESS_UID: '1000' }),
  };
}

/** skopeo refuses to copy anything without a policy, and not every package of it brings one. */
async function writePolicy(folder: string): Promise<void> {
  const containers = join(folder, '.config/containers');
  await mkdir(containers, { recursive: true });
  await writeFile(join(containers, 'policy.json'), JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
}
