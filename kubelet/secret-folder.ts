import { lstatSync, mkdirSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';

/** linux/magic.h: what these file systems keep is in memory, and gone with the machine. */
const memoryFileSystems: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);
const othersMayWrite = 0o022;
const isSticky = 0o1000;

/**
 * Makes a folder for credentials, or looks at the one that is there: in memory, because no credential reaches a node's
 * disk; a folder and no link; ours alone (0700); and none that somebody could put another one in the place of.
 * @returns what is wrong with it; undefined where nothing is
 */
export function secretFolderProblem(folder: string, uid: number): string | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const own = lstatSync(folder);
    if (!own.isDirectory()) return 'is no folder';
    if (own.uid !== uid) return `belongs to user ${own.uid} and not to ${uid}`;
    if ((own.mode & 0o077) !== 0) return 'is open to others: its mode has to be 0700';
    const parent = lstatSync(dirname(folder));
    const isOpen = (parent.mode & othersMayWrite) !== 0 && (parent.mode & isSticky) === 0;
    if (isOpen || (parent.uid !== uid && parent.uid !== 0)) return 'is in a folder that others may change';
    if (!memoryFileSystems.has(statfsSync(folder).type)) return 'is on a disk: credentials are kept on a tmpfs only';
    return undefined;
  } catch (error) {
    return `cannot be used (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`;
  }
}
