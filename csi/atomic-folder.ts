import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { unlessMissing } from '../platform/system-error.ts';

/** Name and content. */
export type Files = ReadonlyMap<string, string>;

export interface AtomicFolderOptions {
  /** The folder; it exists. */
  readonly path: string;
  /** A file for the owner alone, beside the files, that is no file of the folder. */
  readonly stateFile: string;
  /** Files are readable for this group only; for everybody where it is undefined. */
  readonly groupId: number | undefined;
  /** In epoch milliseconds, for names. */
  readonly now: () => number;
  /** Waits until whoever has just found the files that were there before has opened them. */
  readonly settle: () => Promise<void>;
}

const data = '..data';
/** What `#writeNew` calls the folder of the files. */
const generation = /^\.\.\d+\.[0-9a-f]{8}$/;
const newData = '..data_tmp';
const newState = '..state_tmp';
const removed = '.removed';

/**
 * Replaces all files of a folder at once, in the layout of the kubelet's AtomicWriter: `name` → `..data/name`, and
 * `..data` → `..<time>.<random>`, which holds the files. A reader who resolves `..data` once sees files of one time; a
 * reader of a single file sees it whole. Whatever a writer that was killed has left is put right by the next one.
 */
export class AtomicFolder {
  readonly #options: AtomicFolderOptions;

  constructor(options: AtomicFolderOptions) {
    this.#options = options;
  }

  /** What was written last; undefined where nothing was ever written to the end. */
  async readState(): Promise<string | undefined> {
    return await unlessMissing(readFile(this.#at(data, this.#options.stateFile), 'utf8'));
  }

  async hasFiles(): Promise<boolean> {
    return (await this.#current()) !== undefined;
  }

  /** Makes `files` the files of the folder. Where they are so already, only `state` is written. */
  async write(files: Files, state: string): Promise<void> {
    await this.#own(this.#options.path, this.#folderMode);
    const current = await this.#current();
    if (current !== undefined && (await this.#holds(current, files))) {
      await this.#replaceState(current, state);
      return await this.repair();
    }
    await this.#removeAllBut(current);
    await this.#swap(await this.#writeNew(files, state));
    await this.#link();
    if (current !== undefined) await this.#options.settle();
    await this.#removeAllBut(await this.#current());
  }

  /** Does what a writer that was killed has left to be done. */
  async repair(): Promise<void> {
    await this.#link();
    await this.#removeAllBut(await this.#current());
  }

  /** Makes the links that are missing, and removes those to files that are no more. */
  async #link(): Promise<void> {
    const current = await this.#current();
    if (current === undefined) return;
    const names = new Set((await readdir(this.#at(current))).filter(isFile));
    const links = new Set((await readdir(this.#options.path)).filter(isFile));
    for (const name of names) {
      if (!links.has(name)) await symlink(join(data, name), this.#at(name));
    }
    for (const name of links) {
      if (!names.has(name)) await rm(this.#at(name), { recursive: true, force: true });
    }
  }

  async #writeNew(files: Files, state: string): Promise<string> {
    const name = `..${this.#options.now()}.${randomBytes(4).toString('hex')}`;
    await mkdir(this.#at(name), { mode: 0o700 });
    for (const [file, content] of files) {
      const path = this.#at(name, file);
      await writeFile(path, content, { mode: 0o400, flag: 'wx' });
      await this.#own(path, this.#fileMode);
    }
    await writeFile(this.#at(name, this.#options.stateFile), state, { mode: 0o400, flag: 'wx' });
    await this.#own(this.#at(name), this.#folderMode);
    return name;
  }

  async #swap(name: string): Promise<void> {
    await rm(this.#at(newData), { recursive: true, force: true });
    await symlink(name, this.#at(newData));
    await rename(this.#at(newData), this.#at(data));
  }

  async #replaceState(current: string, state: string): Promise<void> {
    const temporary = this.#at(current, newState);
    await rm(temporary, { force: true });
    await writeFile(temporary, state, { mode: 0o400, flag: 'wx' });
    await rename(temporary, this.#at(current, this.#options.stateFile));
  }

  async #holds(current: string, files: Files): Promise<boolean> {
    const names = (await readdir(this.#at(current))).filter(isFile);
    if (names.length !== files.size || !names.every((name) => files.has(name))) return false;
    for (const [name, content] of files) {
      const path = this.#at(current, name);
      const { mode, gid } = await lstat(path);
      if ((mode & 0o7777) !== this.#fileMode || gid !== (this.#options.groupId ?? 0)) return false;
      if ((await readFile(path, 'utf8')) !== content) return false;
    }
    return true;
  }

  /** The folder that `..data` leads to. */
  async #current(): Promise<string | undefined> {
    const name = await unlessMissing(readlink(this.#at(data)));
    if (name === undefined || !generation.test(name)) return undefined;
    // Not through another link: whoever came to write here must not lead root elsewhere.
    const found = await unlessMissing(lstat(this.#at(name)));
    return found?.isDirectory() ? name : undefined;
  }

  async #removeAllBut(current: string | undefined): Promise<void> {
    const kept = new Set([data, current]);
    const others = (await readdir(this.#options.path)).filter((name) => !isFile(name) && !kept.has(name));
    for (const name of others) {
      // A reader who comes late finds no folder, rather than one with half of its files.
      const going = name.endsWith(removed) ? name : `${name}${removed}`;
      if (going !== name) await rename(this.#at(name), this.#at(going));
      await rm(this.#at(going), { recursive: true, force: true });
    }
  }

  async #own(path: string, mode: number): Promise<void> {
    const { groupId } = this.#options;
    if (groupId !== undefined) await chown(path, 0, groupId);
    // After chown, which takes setgid away.
    await chmod(path, mode);
  }

  get #fileMode(): number {
    return this.#options.groupId === undefined ? 0o444 : 0o440;
  }

  /** Without execution for others, nobody but the group comes to the files at all. */
  get #folderMode(): number {
    return this.#options.groupId === undefined ? 0o755 : 0o2750;
  }

  #at(...parts: readonly string[]): string {
    return join(this.#options.path, ...parts);
  }
}

const isFile = (name: string): boolean => !name.startsWith('..');
