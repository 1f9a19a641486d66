import { join } from 'node:path/posix';

/** Below it each connector has a folder with the files. */
export const mountRoot = '/etc/connectors';

/** A mount path as the kubelet reads it: absolute, cleaned, without a slash at its end. */
export function cleanPath(path: string): string {
  const clean = join('/', path);
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean;
}

const isBelow = (path: string, folder: string): boolean => path.startsWith(folder === '/' ? folder : `${folder}/`);

/** Whether one of two clean paths is, or stands in, the other. */
export const overlap = (a: string, b: string): boolean => a === b || isBelow(a, b) || isBelow(b, a);

/** What a system consists of (FHS 3.0): a folder of ours in its place, or within, would break programs or trust. */
const systemFolders = [
  ...['/boot', '/dev', '/proc', '/sys', '/run/secrets', '/var/run/secrets', '/run/containerd', '/var/run/containerd'],
  ...['cron.d', 'ld.so.conf.d', 'pam.d', 'profile.d', 'ssh', 'sudoers.d'].map((name) => `/etc/${name}`),
  '/root/.ssh',
  ...['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'],
  ...['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'libexec'].map((name) => `/usr/${name}`),
  ...['bin', 'sbin', 'lib'].map((name) => `/usr/local/${name}`),
];
/** What holds other things: one of ours may stand within, and in place of none of them. */
const sharedFolders = [
  ...['/etc', '/home', '/media', '/mnt', '/opt', '/root', '/run', '/srv', '/tmp', '/usr', '/var'],
  ...['/etc/pki', '/etc/pki/tls/certs', '/etc/ssl', '/etc/ssl/certs', '/usr/local', '/usr/share', '/usr/local/share'],
  ...['/var/cache', '/var/lib', '/var/log', '/var/run', '/var/spool', '/var/tmp'],
];

/** Why no client configuration is mounted at a clean path that a class names; undefined where it may be. */
export function refusalOf(path: string): string | undefined {
  if (overlap(path, mountRoot)) return `it overlaps ${mountRoot}`;
  const system = systemFolders.find((folder) => overlap(path, folder));
  if (system !== undefined) return `it would shadow ${system}, or a part of it`;
  const shared = sharedFolders.find((folder) => path === folder || isBelow(folder, path));
  return shared === undefined ? undefined : `it would shadow ${shared}`;
}
