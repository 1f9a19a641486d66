import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { findCgroupProcesses, listCgroups, removeCgroup } from './cgroups.ts';
import { markerVariable } from './component-process.ts';
import { tryRun } from './machine.ts';
import { networkName } from './node-files.ts';
import { hasBridge, listServiceRules, removeBridge, removeServiceRules } from './node-network.ts';
import { restoreNodeSettings } from './node-settings.ts';
import { endProcess, findProcesses } from './process-record.ts';
import type { ClusterSettings } from './settings.ts';

/** Folders outside the cluster's own in which containerd, CNI and the kubelet leave files, whatever they are told. */
const outside = {
  shimSockets: '/run/containerd/s',
  cniResults: '/var/lib/cni/results',
  containerLogs: '/var/log/containers',
};

/**
 * Ends and removes whatever there is of the cluster, whole or in parts, running or left by a crash: processes, shims,
 * containers, mounts, network namespaces, the bridge, cgroups, kube-proxy's rules, files.
 */
export async function removeRemains(settings: ClusterSettings): Promise<void> {
  const { folder } = settings;
  // What is stored goes as well, so that nothing needs an orderly end. What a dying process starts yet is found again.
  for (
    let found = findProcesses(markerVariable, folder);
    found.length > 0;
    found = findProcesses(markerVariable, folder)
  ) {
    await Promise.all(found.map((record) => endProcess(record, 'SIGKILL', 0)));
  }
  await removeCgroup(settings.cgroup);
  await removeMounts(folder);
  await removeBridge(settings);
  if (existsSync(folder)) await removeServiceRules();
  await restoreNodeSettings(folder);
  for (const path of listFilesOutside(settings)) await rm(path, { force: true });
  await rm(folder, { recursive: true, force: true });
}

/** What there is of the cluster on this machine, one thing a line; empty after `removeRemains`. */
export async function listRemains(settings: ClusterSettings): Promise<string[]> {
  const { folder, bridge, cgroup } = settings;
  const processes = [...findProcesses(markerVariable, folder), ...findCgroupProcesses(cgroup)];
  return [
    ...processes.map(({ pid }) => `process ${pid}`),
    ...listMounts(folder).map((path) => `mount ${path}`),
    ...((await hasBridge(bridge)) ? [`bridge ${bridge}`] : []),
    ...listCgroups(cgroup).map((path) => `cgroup ${path}`),
    ...(await listServiceRules()).map((rule) => `iptables ${rule}`),
    ...listFilesOutside(settings).map((path) => `file ${path}`),
    ...(existsSync(folder) ? [`folder ${folder}`] : []),
  ];
}

async function removeMounts(folder: string): Promise<void> {
  // Mounts may lie over each other, and a mount may hold others.
  for (let tries = 0; tries < 5 && listMounts(folder).length > 0; tries++) {
    for (const path of listMounts(folder)) await tryRun('umount', ['--lazy', path]);
  }
}

/** Mount points below the folder, and /etc/hosts where the folder's lies over it; deepest first. */
function listMounts(folder: string): string[] {
  // The source is named from the root of its own file system.
  const hosts = `/${basename(folder)}/etc/hosts`;
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , , root = '', target = '']) => target.startsWith(`${folder}/`) || root.endsWith(hosts))
    .map(([, , , , target = '']) => target.replaceAll('\\040', ' '))
    .reverse();
}

function listFilesOutside({ folder }: ClusterSettings): string[] {
  const heard = readFileSync('/proc/net/unix', 'utf8');
  const deadSockets = listFolder(outside.shimSockets).filter((path) => !heard.includes(path));
  const results = listFolder(outside.cniResults).filter((path) =>
    path.startsWith(`${outside.cniResults}/${networkName}-`),
  );
  const logs = listFolder(outside.containerLogs).filter((path) => readLink(path).startsWith(`${folder}/`));
  return [...deadSockets, ...results, ...logs];
}

function listFolder(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
