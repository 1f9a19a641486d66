import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { defaultCache, toolNames, toolPath } from '../../tools/cache.ts';
import { type PartName, partSources } from './part-names.ts';

/** Debian keeps nginx, runc and the CNI plugins where the PATH of an ordinary user does not look. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/lib/cni'];

/** The part's program, or undefined where this machine has none. */
export function findPart(name: PartName): string | undefined {
  if (toolNames().includes(name)) return toolPath(name, process.env['OCI_CONNECTOR_TOOLS'] ?? defaultCache);
  const folders = [...(process.env['PATH'] ?? '').split(':'), ...systemFolders];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** The part's program; throws with the way to get it where this machine has none. */
export function partPath(name: PartName): string {
  const path = findPart(name);
  if (path === undefined) throw new Error(`the real part ${name} is missing: ${partSources[name]}`);
  return path;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
