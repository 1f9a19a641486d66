import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { partPath } from './find-part.ts';
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

const snapshotter = 'native';

/** Starts containerd without CRI. It runs in a mount namespace, so that what it mounted ends with it. */
export async function startContainerd(): Promise<Containerd> {
  // Not below TMPDIR, which may be long: the path of a Unix socket has at most 108 bytes.
  const folder = await mkdtemp('/tmp/ctd-');
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  const address = join(folder, 'c.sock');
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: folder };
  const ctr = (...args: string[]) => runProgram(partPath('ctr'), ['--address', address, ...args], { env });
  let server: ServerProcess | undefined;
  const stop = async () => {
    await server?.stop();
    await removeFolder();
  };
  try {
    const config = join(folder, 'config.toml');
    await writeFile(config, makeConfig(folder, address));
    const containerd = [partPath('containerd'), '--config', config];
    // A change of user namespace undoes what `startServer` asked of the kernel, so it is asked once more within.
    const args = [...namespaceFlags(), '--', ...endingWithParent(containerd)];
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

/** Without root, a user namespace in which we are: enough for images whose files are root's. */
function namespaceFlags(): string[] {
  return process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user'];
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
`;
}

function readWords({ stdout }: ProgramResult): string[] {
  return stdout.split(/\s+/).filter((word) => word !== '');
}
