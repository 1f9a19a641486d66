import { mkdir, rmdir, statfs } from 'node:fs/promises';
import { status } from '@grpc/grpc-js';
import { driverName } from '../connectors/configurations/protocol.ts';
import { hasCode } from '../platform/system-error.ts';
import type { Files } from './atomic-folder.ts';
import { CsiError } from './errors.ts';
import type { Mounts, TmpfsLimits } from './mounts.ts';

const pageBytes = 4_096;
/** What the kernel keeps for each name of a tmpfs, and for each tmpfs, rounded up. */
const kernelBytes = { inode: 1_024, mount: 8_192 };
/** Nobody mounts so many over each other; a kernel that answers otherwise must not keep us for ever. */
const layersMax = 64;

/**
 * Whether a tmpfs of ours is at the target.
 * @throws CsiError where something else is mounted there
 */
export async function isVolumeMounted(mounts: Mounts, target: string): Promise<boolean> {
  const top = (await mounts.at(target)).at(-1);
  if (top === undefined) return false;
  if (isOurs(top)) return true;
  throw new CsiError(
    status.FAILED_PRECONDITION,
    `at target path ${target} a file system is mounted that is not this driver's (${top.type})`,
  );
}

export const isOurs = ({ type, source }: { readonly type: string; readonly source: string }): boolean =>
  type === 'tmpfs' && source === driverName;

/** Makes the folder and mounts an empty tmpfs with room for the files. */
export async function mountVolume(mounts: Mounts, target: string, limits: TmpfsLimits): Promise<void> {
  await mkdir(target, { mode: 0o750 }).catch((error) => {
    if (!hasCode(error, 'EEXIST')) throw error;
  });
  await mounts.mount(target, limits);
}

/** Gives a mounted volume room for further files beside those that it has, where it has too little. */
export async function growVolume(mounts: Mounts, target: string, limits: TmpfsLimits): Promise<void> {
  const { bsize, blocks, bfree, files, ffree } = await statfs(target);
  if (bfree * bsize >= limits.bytes && ffree >= limits.inodes) return;
  await mounts.resize(target, { bytes: blocks * bsize + limits.bytes, inodes: files + limits.inodes });
}

/** Takes away whatever of ours is at the target, and the folder; nothing to do is success. */
export async function removeVolume(mounts: Mounts, target: string): Promise<void> {
  for (let layer = 0; await isVolumeMounted(mounts, target); layer += 1) {
    if (layer === layersMax) throw new Error(`${target} is still mounted after ${layersMax} times umount`);
    await mounts.unmount(target);
  }
  await rmdir(target).catch((error) => {
    if (!hasCode(error, 'ENOENT')) throw error;
  });
}

/** Room for two generations of files and what belongs to them: each file takes whole pages, each name an inode. */
export function limitsFor(files: Files): TmpfsLimits {
  return { bytes: 2 * (pagesOf(files) + files.size + 4) * pageBytes, inodes: 3 * files.size + 16 };
}

/** Memory that a volume of these files takes once they are written, in bytes. */
export function memoryFor(files: Files): number {
  // Each file and its link; the state, `..data`, and two folders.
  const inodes = 2 * files.size + 4;
  return (pagesOf(files) + 1) * pageBytes + inodes * kernelBytes.inode + kernelBytes.mount;
}

/** The same of a volume that is mounted. */
export async function memoryOf(target: string): Promise<number> {
  const { bsize, blocks, bfree, files, ffree } = await statfs(target);
  return (blocks - bfree) * bsize + (files - ffree) * kernelBytes.inode + kernelBytes.mount;
}

const pagesOf = (files: Files): number =>
  [...files.values()].reduce((sum, content) => sum + Math.ceil(Buffer.byteLength(content) / pageBytes), 0);
