import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../platform/json.ts';
import { secretFolderProblem } from './secret-folder.ts';

export type CacheKind = 'settings' | 'answer' | 'registry-token' | 'vault-secret' | 'failure' | 'worked';

/** What invocations leave for each other. */
export interface Cache {
  /** Undefined where there is nothing, or nothing that is still good. */
  read(kind: CacheKind, key: string): unknown;
  /** Never fails: what cannot be kept is asked for again. */
  write(kind: CacheKind, key: string, value: unknown, expiresAt: number): Promise<void>;
  /** A name that all who share this cache have for what they do one at a time; undefined where nothing is shared. */
  turnOf(kind: CacheKind, key: string): string | undefined;
}

export const noCache: Cache = { read: () => undefined, write: async () => {}, turnOf: () => undefined };

export interface CacheOptions {
  readonly folder: string;
  readonly uid: number;
  /** Everything that answers depend on beside the image: configuration, environment. */
  readonly scope: string;
  readonly now: () => number;
  readonly warn: (message: string) => void;
}

/** Of what is in the files: another version reads none of them. */
const format = 1;
const staleMs = 60_000;
/** Whoever makes pods names images, and each leaves something. */
const filesMax = 1_000;
/** Looked at with each write: the whole would take too long for an answer. */
const sweptAtOnce = 32;

/** Opens a folder of files 0600, one for each thing, named by a digest; does without where the folder is not right. */
export function openCache({ folder, uid, scope, now, warn }: CacheOptions): Cache {
  const problem = secretFolderProblem(folder, uid);
  if (problem !== undefined) {
    warn(`the cache folder ${folder} ${problem}: nothing is kept`);
    return noCache;
  }
  const digestOf = (kind: CacheKind, key: string): string =>
    createHash('sha256')
      .update(JSON.stringify([format, scope, kind, key]))
      .digest('hex');
  const pathOf = (kind: CacheKind, key: string): string => join(folder, `${kind}-${digestOf(kind, key)}`);
  return {
    read: (kind, key) => readEntry(pathOf(kind, key), uid, now()),
    turnOf: (kind, key) => `${statSync(folder).ino}-${digestOf(kind, key)}`,
    write: async (kind, key, value, expiresAt) => {
      if (expiresAt <= now()) return;
      try {
        sweep(folder, uid, now());
        // Who only reads starts sooner without.
        const { writeFileAtomic } = await import('../platform/atomic-file.ts');
        await writeFileAtomic(pathOf(kind, key), JSON.stringify({ storedAt: now(), expiresAt, value }));
      } catch (error) {
        warn(`the cache folder ${folder} cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
      }
    },
  };
}

function readEntry(path: string, uid: number, now: number): unknown {
  const text = readOwn(path, uid);
  if (text === undefined) return undefined;
  const { storedAt, expiresAt, value } = (parseJson(text) ?? {}) as Readonly<Record<string, unknown>>;
  // Stored later than now: the clock was set back, and nobody knows how old it is.
  if (typeof storedAt === 'number' && storedAt <= now && typeof expiresAt === 'number' && expiresAt > now) return value;
  remove(path);
  return undefined;
}

function readOwn(path: string, uid: number): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const status = fstatSync(fd);
    return status.isFile() && status.uid === uid && (status.mode & 0o077) === 0 ? readFileSync(fd, 'utf8') : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * Takes out of some of the files what has expired, and what a process left that was killed while it wrote; all of these
 * where there are too many.
 */
function sweep(folder: string, uid: number, now: number): void {
  const names = readdirSync(folder);
  const from = Math.floor(Math.random() * Math.max(1, names.length - sweptAtOnce + 1));
  for (const name of names.slice(from, from + sweptAtOnce)) {
    const path = join(folder, name);
    if (names.length > filesMax) remove(path);
    else if (!name.startsWith('.')) readEntry(path, uid, now);
    else if ((statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now) < now - staleMs) remove(path);
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else was first.
  }
}
