import { mkdir, rmdir, statfs } from 'node:fs/promises';
import { status } from '@grpc/grpc-js';
import type { Files } from './atomic-folder.ts';
import { CsiError } from './errors.ts';
import { type Mounts, mountSource, type TmpfsLimits } from './mounts.ts';

const pageBytes = 4_096;
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

const isOurs = ({ type, source }: { readonly type: string; readonly source: string }): boolean =>
  type === 'tmpfs' && source === mountSource;

/** Makes the folder and mounts an empty tmpfs with room for the files. */
export async function mountVolume(mounts: Mounts, target: string, limits: TmpfsLimits): Promise<void> {
  await mkdir(target, { mode: 0o750 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
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
  await rmdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/** Room for two generations of files and what belongs to them: each file takes whole pages, each name an inode. */
export function limitsFor(files: Files): TmpfsLimits {
  const pages = [...files.values()].reduce(
    (sum, content) => sum + 1 + Math.ceil(Buffer.byteLength(content) / pageBytes),
    0,
  );
  return { bytes: 2 * (pages + 4) * pageBytes, inodes: 3 * files.size + 16 };
}
