import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { digestOf, seededBytes } from '../digest.ts';

/** Content that can be read from any position, whether or not it stands in memory. */
export interface BlobContent {
  readonly digest: string;
  readonly size: number;
  /** The bytes from `start` up to, not including, `end`. */
  read(start: number, end: number): Iterable<Uint8Array>;
}

const chunkBytes = 256 * 1024;

/** A blob that stands in memory. */
export function memoryBlob(bytes: Uint8Array, digest = digestOf(bytes)): BlobContent {
  return {
    digest,
    size: bytes.length,
    *read(start, end) {
      for (let at = start; at < end; at += chunkBytes) yield bytes.subarray(at, Math.min(at + chunkBytes, end));
    },
  };
}

/** A blob of `size` bytes whose chunks are made while they are read, so that a gibibyte costs no memory. */
export async function syntheticBlob(size: number, seed = 'synthetic'): Promise<BlobContent> {
  const base = seededBytes(seed, chunkBytes);
  const read = (start: number, end: number) => syntheticChunks(base, start, end);
  const hash = createHash('sha256');
  let chunks = 0;
  for (const chunk of read(0, size)) {
    hash.update(chunk);
    // Hashing a gibibyte takes about a second: other answers of this process get their turn meanwhile.
    if (++chunks % 32 === 0) await turn();
  }
  return { digest: `sha256:${hash.digest('hex')}`, size, read };
}

function* syntheticChunks(base: Buffer, start: number, end: number): Generator<Uint8Array> {
  for (let at = start; at < end; ) {
    const index = Math.floor(at / chunkBytes);
    const chunk = Buffer.from(base);
    // The index makes every chunk different, so that a chunk lost, doubled or swapped changes the digest.
    chunk.writeDoubleLE(index, 0);
    const offset = at - index * chunkBytes;
    const length = Math.min(chunkBytes - offset, end - at);
    yield chunk.subarray(offset, offset + length);
    at += length;
  }
}
