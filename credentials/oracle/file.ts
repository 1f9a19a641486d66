import { readFile } from 'node:fs/promises';
import { hasCode } from '../../platform/system-error.ts';
import { misconfigured } from './errors.ts';

/**
 * Reads a file that a principal needs. A file that is a pipe, or on a file system that hangs, ends with the signal.
 * @param what as messages name it
 * @throws OracleError `Misconfigured`, which names the file and what the system says of it
 */
export async function readFileOf(what: string, path: string, signal: AbortSignal): Promise<string> {
  try {
    return await readFile(path, { encoding: 'utf8', signal });
  } catch (error) {
    signal.throwIfAborted();
    const reason = hasCode(error, 'ENOENT', 'ENOTDIR') ? 'does not exist' : 'cannot be read';
    throw misconfigured(`${what}, ${path}, ${reason}`);
  }
}
