import { randomUUID } from 'node:crypto';
import { link, readFile, unlink } from 'node:fs/promises';
import { writeFileAtomic } from '../platform/atomic-file.ts';
import { hasCode, unlessMissing } from '../platform/system-error.ts';

/** The text of a file, or undefined where there is none. */
export async function readIfExists(path: string): Promise<string | undefined> {
  return await unlessMissing(readFile(path, 'utf8'));
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
