import { writeFileAtomic } from '../platform/atomic-file.ts';
import { createFile, readIfExists } from './file.ts';

/** Where one text, secret as a rule, is kept and shared by the processes that use it. */
export interface TextStore {
  /** What error messages call this place: a path, or `ca.pem in Secret namespace/name`. */
  readonly location: string;
  /** The text, or undefined where nothing was stored yet. Throws where that cannot be told. */
  read(): Promise<string | undefined>;
  /** Replaces `previous` (as read) by `text`. Does nothing where another process has stored something else meanwhile. */
  write(text: string, previous: string | undefined): Promise<void>;
}

/** A text in a file of mode 0600. */
export function textFile(path: string): TextStore {
  const read = () => readIfExists(path);
  return {
    location: path,
    read,
    async write(text, previous) {
      if (previous === undefined) return createFile(path, text);
      // Files have no compare-and-swap. Of two who follow the same text one is overwritten, and reads that next.
      if ((await read()) === previous) await writeFileAtomic(path, text);
    },
  };
}

/**
 * The stored text as `next` wants it: what comes back is what the store holds, so processes that start together agree.
 * @param next what is to be stored instead of `text`; `text` itself where nothing is due
 */
export async function settle<T>(
  store: TextStore,
  next: (text: string | undefined) => Promise<{ readonly text: string; readonly value: T }>,
): Promise<T> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const stored = await store.read().catch((cause: Error) => {
      throw new Error(`${store.location} cannot be read (${cause.message}): repair its access rights`, { cause });
    });
    const { text, value } = await next(stored);
    if (text === stored) return value;
    await store.write(text, stored);
  }
  throw new Error(`${store.location} does not keep what is written to it`);
}

/** Writes back what was deleted by mistake: what would be made in its place is known to nobody. */
export async function restoreText(store: TextStore, known: string): Promise<void> {
  // What cannot be read is reported, with what to do, by whoever loads it next.
  const text = await store.read().catch(() => '');
  if (text === undefined) await store.write(known, undefined);
}
