import { readFile, stat } from 'node:fs/promises';
import { fileSignature } from './file-signature.ts';

/** The text of a file that others replace: a projected token, a bundle of certificates. */
export interface WatchedFile {
  readonly text: string;
  close(): void;
}

export interface WatchedFileOptions {
  readonly pollMs?: number;
  /** Told when it cannot be read any more; its last text goes on. */
  readonly onError: (error: unknown) => void;
}

/** Reads a file now, and again whenever it has changed. Rejects where it cannot be read now. */
export async function openWatchedFile(
  path: string,
  { pollMs = 5_000, onError }: WatchedFileOptions,
): Promise<WatchedFile> {
  const signatureNow = async () => fileSignature(await stat(path, { bigint: true }));
  let signature = await signatureNow();
  let text = await readFile(path, 'utf8');
  const look = async (): Promise<void> => {
    const now = await signatureNow();
    if (now === signature) return;
    const read = await readFile(path, 'utf8');
    // Replaced by an empty file it is being written.
    if (read !== '') [text, signature] = [read, now];
  };
  let isLooking = false;
  const timer = setInterval(async () => {
    // On a slow file system an older look must not end after a newer one.
    if (isLooking) return;
    isLooking = true;
    await look().catch(onError);
    isLooking = false;
  }, pollMs).unref();
  return {
    get text() {
      return text;
    },
    close: () => clearInterval(timer),
  };
}
