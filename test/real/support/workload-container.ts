import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { partPath } from './find-part.ts';
import { addresses, proxyHost } from './workload-site.ts';

/** What a container of a pod is given: as the webhook and the CSI driver make it. */
export interface Workload {
  readonly env: Readonly<Record<string, string>>;
  /** Folders by the path where they are mounted, read-only; their files by name. */
  readonly mounts: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface ContainerOptions {
  readonly workload: Workload;
  /** Files of the working folder, by path. */
  readonly files: Readonly<Record<string, string>>;
  /** Nothing answers at the proxy's port 80. */
  readonly isHttpsOnly: boolean;
  /** A folder of the container's own, as the site sees it. */
  readonly folder: string;
  /** The site's first process, in whose namespaces the container is. */
  readonly sitePid: number;
}

/** Binds each folder where it belongs, read-only, has empty folders for state, and becomes the command. */
const script = `cd "$1"
shift
while [ "$1" != -- ]; do
  mkdir -p "$(dirname "$2")"
  [ -e "$2" ] || mkdir "$2"
  mount --bind "$1" "$2"
  mount -o remount,bind,ro "$2"
  shift 2
done
shift
exec "$@"`;
const emptyFolders = ['/run', '/var/lib', '/dev/shm'].map((path) => `mount -t tmpfs tmpfs ${path}\n`).join('');

/** Writes a container's files; returns the command line that runs `command` in it. */
export async function makeContainer(options: ContainerOptions, command: readonly string[]): Promise<readonly string[]> {
  const { workload, files, isHttpsOnly, folder, sitePid } = options;
  const write = async (path: string, content: string) => {
    const file = join(`/proc/${sitePid}/root`, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  };
  const work = join(folder, 'work');
  for (const [name, content] of Object.entries({ ...files, '.keep': '' })) await write(join(work, name), content);
  const hosts = join(folder, 'hosts');
  const address = isHttpsOnly ? addresses.httpsOnly : addresses.httpAndHttps;
  await write(hosts, `127.0.0.1 localhost\n${address} ${proxyHost}\n`);
  const binds = [hosts, '/etc/hosts'];
  for (const [at, [path, content]] of Object.entries(workload.mounts).entries()) {
    const source = join(folder, `mount-${at}`);
    for (const [name, text] of Object.entries(content)) await write(join(source, name), text);
    binds.push(source, path);
  }
  const enter = [partPath('nsenter'), `--target=${sitePid}`, '--net', '--mount', '--'];
  const own = [partPath('unshare'), '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--'];
  const shell = ['/bin/sh', '-euc', `${emptyFolders}${script}`, 'sh', work];
  return [...enter, ...own, ...shell, ...binds, '--', ...command];
}
