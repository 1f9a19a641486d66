import { writeFileAtomic } from '../platform/atomic-file.ts';
import { type Authority, parseAuthority, serializeAuthority } from './authority.ts';
import { createFile, readIfExists } from './file.ts';
import { type Lifetimes, rotate } from './rotation.ts';

/** Where the text of an authority, keys included, is kept and shared by the processes that sign with it. */
export interface AuthorityStore {
  /** What error messages call this place: a path, or `Secret namespace/name`. */
  readonly location: string;
  /** The text, or undefined where nothing was stored yet. Throws where that cannot be told. */
  read(): Promise<string | undefined>;
  /** Replaces `previous` (as read) by `text`. Does nothing where another process has stored something else meanwhile. */
  write(text: string, previous: string | undefined): Promise<void>;
}

/** An authority in a file of mode 0600. */
export function authorityFile(path: string): AuthorityStore {
  const read = () => readIfExists(path);
  return {
    location: path,
    read,
    async write(text, previous) {
      if (previous === undefined) return createFile(path, text);
      // Files have no compare-and-swap. A successor that is overwritten here has not signed anything yet.
      if ((await read()) === previous) await writeFileAtomic(path, text);
    },
  };
}

/**
 * The stored authority, made or rotated where that is due at `now`. What comes back is what the store holds, so
 * processes that start together agree. A text that cannot be read is an error and is left alone: a new CA in its
 * place would be trusted by nobody.
 */
export async function loadAuthority(
  store: AuthorityStore,
  now: number,
  options: Lifetimes & { readonly name: string },
): Promise<Authority> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const text = await store.read().catch((cause: Error) => {
      throw new Error(`${store.location} cannot be read (${cause.message}): repair its access rights`, { cause });
    });
    const authority = text === undefined ? [] : parseStored(text, store.location);
    const rotated = await rotate(authority, now, options);
    if (rotated === authority) return authority;
    await store.write(serializeAuthority(rotated), text);
  }
  throw new Error(`${store.location} does not keep what is written to it`);
}

function parseStored(text: string, location: string): Authority {
  const parsed = parseAuthority(text);
  if ('authority' in parsed) return parsed.authority;
  throw new Error(
    `${location} holds no certificate authority (${parsed.reason}): restore it from a copy, or delete it to start ` +
      'with a new authority, whose certificate every client has to be given again',
  );
}
