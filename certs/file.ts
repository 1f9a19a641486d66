import { randomUUID } from 'node:crypto';
import { link, readFile, unlink } from 'node:fs/promises';
import { writeFileAtomic } from '../platform/atomic-file.ts';

/** The text of a file, or undefined where there is none. */
export async function readIfExists(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Creates a file of mode 0600 at once and complete, and does nothing where there is one already. */
export async function createFile(path: string, text: string): Promise<void> {
  const candidate = `${path}.${randomUUID()}`;
  await writeFileAtomic(candidate, text);
  try {
    // A link, unlike a rename, never replaces a file that another process was faster to create.
    await link(candidate, path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    await unlink(candidate);
  }
}

/** Whether `error` is a system error of this code, as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
