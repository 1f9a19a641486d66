import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import { printable } from '../platform/printable.ts';
import { unlessMissing } from '../platform/system-error.ts';
import { invalidArgument } from './errors.ts';

/** What the kernel takes for a path. */
const pathMax = 4_095;

/**
 * The target path as the kernel's mount table names it, below the kubelet's root; undefined where its parent does not
 * exist, so that nothing can be mounted there.
 * @throws CsiError INVALID_ARGUMENT for what is, or leads by symbolic links, outside of the root
 */
export async function resolveTargetPath(path: string, kubeletRoot: string): Promise<string | undefined> {
  const shown = printable(path, 512);
  if (!isAbsolute(path) || Buffer.byteLength(path) > pathMax || path.includes('\0')) {
    throw invalidArgument(`target path "${shown}" is no absolute path`);
  }
  if (path.split('/').some((part) => part === '..' || part === '.')) {
    throw invalidArgument(`target path "${shown}" has "." or ".." in it`);
  }
  const plain = normalize(path).replace(/\/+$/, '');
  if (!isBelow(plain, normalize(kubeletRoot).replace(/\/+$/, ''))) throw outside(shown, kubeletRoot);
  const [root, parent] = await Promise.all([realpath(kubeletRoot), unlessMissing(realpath(dirname(plain)))]);
  if (parent === undefined) return undefined;
  const target = join(parent, basename(plain));
  if (!isBelow(target, root)) throw outside(shown, kubeletRoot);
  if ((await unlessMissing(lstat(target)))?.isSymbolicLink())
    throw invalidArgument(`target path "${shown}" is a symbolic link`);
  return target;
}

const outside = (path: string, root: string): Error =>
  invalidArgument(`target path "${path}" is not below the kubelet's folder ${root}`);

const isBelow = (path: string, folder: string): boolean =>
  path.startsWith(`${folder}/`) && path.length > folder.length + 1;
