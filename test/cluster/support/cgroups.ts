import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ProcessRecord, recordProcess, signalProcess } from './process-record.ts';

const root = '/sys/fs/cgroup';
const controllers = ['cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'blkio', 'pids', 'systemd'];

/** Whether the machine has the one hierarchy of cgroup v2. */
function hasUnifiedCgroups(): boolean {
  return existsSync(join(root, 'cgroup.controllers'));
}

/** Makes the cgroup below which the kubelet puts pods: it makes those below, but not this one. */
export async function makeCgroup(name: string): Promise<void> {
  if (hasUnifiedCgroups()) return makeUnifiedCgroup(name);
  for (const controller of controllers) {
    const parent = join(root, controller);
    if (existsSync(parent)) await mkdir(join(parent, name), { recursive: true });
  }
  // A new cpuset has no processor and no memory node, and takes no process until it has both.
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    await writeFile(join(root, 'cpuset', name, file), await readFile(join(root, 'cpuset', file)));
  }
}

async function makeUnifiedCgroup(name: string): Promise<void> {
  const available = (await readFile(join(root, 'cgroup.controllers'), 'utf8')).trim().split(' ');
  const wanted = available.filter((controller) =>
    ['cpu', 'cpuset', 'io', 'memory', 'pids', 'hugetlb'].includes(controller),
  );
  const enable = wanted.map((controller) => `+${controller}`).join(' ');
  await writeFile(join(root, 'cgroup.subtree_control'), enable);
  await mkdir(join(root, name), { recursive: true });
  await writeFile(join(root, name, 'cgroup.subtree_control'), enable);
}

/** Kills all that runs in the cgroup, and removes it with all below it. */
export async function removeCgroup(name: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    for (const record of findCgroupProcesses(name)) signalProcess(record, 'SIGKILL');
    const left = await Promise.all(listCgroups(name).map(removeTree));
    if (left.every((isGone) => isGone)) return;
    await delay(50);
  }
}

/** Paths of the cgroup in all hierarchies that have it. */
export function listCgroups(name: string): string[] {
  const parents = hasUnifiedCgroups()
    ? [root]
    : existsSync(root)
      ? readdirSync(root).map((entry) => join(root, entry))
      : [];
  return parents.map((parent) => join(parent, name)).filter((path) => existsSync(path));
}

/** The processes of all pods. */
export function findCgroupProcesses(name: string): ProcessRecord[] {
  const pids = listCgroups(name).flatMap(foldersBelow).flatMap(readPids);
  return [...new Set(pids)].flatMap((pid) => recordProcess(pid) ?? []);
}

async function removeTree(path: string): Promise<boolean> {
  for (const folder of foldersBelow(path)) await rmdir(folder).catch(() => undefined);
  return !existsSync(path);
}

/** Deepest first, `path` last. */
function foldersBelow(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...entries.flatMap((entry) => foldersBelow(join(path, entry.name))), path];
  } catch {
    return [];
  }
}

function readPids(folder: string): number[] {
  try {
    return readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
