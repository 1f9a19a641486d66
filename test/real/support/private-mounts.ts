import { partPath } from './find-part.ts';

/** A file or folder by the path in whose place it is seen. */
export type PrivateMounts = Readonly<Record<string, string>>;

const script = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 125; shift 2; done; shift; exec "$@"';

/**
 * The command line that runs `command` in a mount namespace of its own, where `mounts` lie over what this machine has;
 * the machine itself sees nothing of them, and they end with the command. Needs the parts `unshare` and `mount`.
 */
export function withPrivateMounts(mounts: PrivateMounts, command: readonly string[]): readonly string[] {
  const binds = Object.entries(mounts).flatMap(([target, source]) => [source, target]);
  if (binds.length === 0) return command;
  return [
    partPath('unshare'),
    ...mountNamespaceFlags(),
    '--',
    '/bin/sh',
    '-c',
    script,
    'sh',
    ...binds,
    '--',
    ...command,
  ];
}

/** Without root, a user namespace in which we are. */
export function mountNamespaceFlags(): string[] {
  return process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user'];
}
