import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { partPath } from './find-part.ts';
import type { PartName } from './part-names.ts';
import { mountNamespaceFlags, type PrivateMounts, withPrivateMounts } from './private-mounts.ts';
import { type ProgramResult, runProgram } from './program.ts';
import { endingWithParent, type ServerProcess, startServer } from './server-process.ts';
import type { Credential } from './token-issuer.ts';

export interface PullOptions {
  readonly credential?: Credential;
  /** Further flags of `ctr images pull`, as `--hosts-dir`. */
  readonly flags?: readonly string[];
}

/** A containerd of its own, with an empty store. */
export interface Containerd {
  /** Path of its socket. */
  readonly address: string;
  /** Runs ctr against it, whatever ctr's exit code. */
  ctr(...args: string[]): Promise<ProgramResult>;
  /** Pulls over plain HTTP and unpacks. */
  pull(reference: string, options?: PullOptions): Promise<ProgramResult>;
  /** Digests of all that is in the content store; containerd lets nothing in whose bytes it has not checked. */
  digests(): Promise<string[]>;
  /** Names of the images that are there whole and unpacked. */
  unpackedImages(): Promise<string[]>;
  stop(): Promise<void>;
}

/** The programs of each release: Debian's 1.6, and the one that is built. */
export const containerdParts = {
  '1.6': ['containerd', 'ctr'],
  '2': ['containerd-2', 'ctr-2'],
} as const satisfies Record<string, readonly [PartName, PartName]>;

export type ContainerdRelease = keyof typeof containerdParts;

export interface ContainerdOptions {
  /** By default 1.6. */
  readonly release?: ContainerdRelease;
  /** What containerd and ctr see instead of this machine's own: which of them resolves names depends on the release. */
  readonly mounts?: PrivateMounts;
}

const snapshotter = 'native';

/** Starts containerd without CRI. It runs in a mount namespace, so that what it mounted ends with it. */
export async function startContainerd({ release = '1.6', mounts = {} }: ContainerdOptions = {}): Promise<Containerd> {
  const [daemonPart, clientPart] = containerdParts[release];
  // Not below TMPDIR, which may be long: the path of a Unix socket has at most 108 bytes.
  const folder = await mkdtemp('/tmp/ctd-');
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  const address = join(folder, 'c.sock');
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: folder };
  const ctr = (...args: string[]) => {
    const [program = '', ...rest] = withPrivateMounts(mounts, [partPath(clientPart), '--address', address, ...args]);
    return runProgram(program, rest, { env });
  };
  let server: ServerProcess | undefined;
  const stop = async () => {
    await server?.stop();
    await removeFolder();
  };
  try {
    const config = join(folder, 'config.toml');
    await writeFile(config, makeConfig(folder, address));
    const containerd = withPrivateMounts(mounts, [partPath(daemonPart), '--config', config]);
    // A change of user namespace undoes what `startServer` asked of the kernel, so it is asked once more within.
    const args = [...mountNamespaceFlags(), '--', ...endingWithParent(containerd)];
    server = await startServer(partPath('unshare'), args, { env });
    await server.waitFor((line) => (line.includes('containerd successfully booted') ? true : undefined));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    address,
    ctr,
    pull: (reference, { credential, flags = [] } = {}) => {
      const user = credential === undefined ? [] : ['--user', `${credential.username}:${credential.password}`];
      return ctr('images', 'pull', '--snapshotter', snapshotter, '--plain-http', ...user, ...flags, reference);
    },
    digests: async () => readWords(await ctr('content', 'ls', '--quiet')),
    unpackedImages: async () => readWords(await ctr('images', 'check', '--quiet', '--snapshotter', snapshotter)),
    stop,
  };
}

function makeConfig(folder: string, address: string): string {
  const disabled = ['grpc.v1.cri', 'snapshotter.v1.aufs', 'snapshotter.v1.btrfs', 'snapshotter.v1.devmapper'];
  const plugins = [...disabled, 'snapshotter.v1.overlayfs', 'snapshotter.v1.zfs'].map(
    (name) => `io.containerd.${name}`,
  );
  // Every path is named: the defaults are the machine's own /run/containerd, /var/lib/containerd and /opt/containerd.
  return `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ${JSON.stringify(plugins)}
[grpc]
  address = "${address}"
[ttrpc]
  address = "${address}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux"
  snapshotter = "${snapshotter}"
`;
}

function readWords({ stdout }: ProgramResult): string[] {
  return stdout.split(/\s+/).filter((word) => word !== '');
}
