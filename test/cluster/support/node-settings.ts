import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mustRun } from './machine.ts';

/** What pods' traffic needs of the kernel: packets between interfaces, and kube-proxy's rules for those within the bridge. */
const wantedSysctls = ['net/ipv4/ip_forward', 'net/bridge/bridge-nf-call-iptables'] as const;

/** What the kubelet changes of its own accord. */
const kubeletSysctls = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
] as const;

/** Changes the machine's settings, and remembers in `folder` what they were. */
export async function changeNodeSettings(folder: string): Promise<void> {
  const before: Record<string, string> = {};
  for (const name of [...wantedSysctls, ...kubeletSysctls].filter((name) => existsSync(sysctlPath(name)))) {
    before[name] = await readFile(sysctlPath(name), 'utf8');
  }
  await writeFile(rememberedPath(folder), JSON.stringify(before));
  for (const name of wantedSysctls.filter((name) => name in before)) await writeFile(sysctlPath(name), '1');
  await nameLoopback(folder);
}

/** Puts back what `changeNodeSettings` found. The file over /etc/hosts is a mount below the cluster's folder, and goes with those. */
export async function restoreNodeSettings(folder: string): Promise<void> {
  if (!existsSync(rememberedPath(folder))) return;
  const before: Record<string, string> = JSON.parse(await readFile(rememberedPath(folder), 'utf8'));
  for (const [name, value] of Object.entries(before)) await writeFile(sysctlPath(name), value);
}

/** A node's `localhost` is ::1 too. Where this machine's is not, a copy of /etc/hosts that says so is mounted over it. */
async function nameLoopback(folder: string): Promise<void> {
  const hosts = await readFile('/etc/hosts', 'utf8').catch(() => '127.0.0.1 localhost\n');
  if (/^::1\s(?:.*\s)?localhost(?:\s|$)/m.test(hosts)) return;
  const etc = join(folder, 'etc');
  await mkdir(etc, { recursive: true });
  await writeFile(join(etc, 'hosts'), `${hosts.trimEnd()}\n::1 localhost\n`);
  await mustRun('mount', ['--bind', join(etc, 'hosts'), '/etc/hosts']);
}

function rememberedPath(folder: string): string {
  return join(folder, 'node-settings.json');
}

function sysctlPath(name: string): string {
  return `/proc/sys/${name}`;
}
