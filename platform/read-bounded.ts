export interface BoundedBody {
  readonly bytes: Buffer;
  /** Whether that was all of it. */
  readonly isWhole: boolean;
}

/** Reads a body into memory up to `bytesMax`: of what is longer whole chunks from its beginning, and the rest is given up. */
export async function readBounded(body: AsyncIterable<Buffer>, bytesMax: number): Promise<BoundedBody> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > bytesMax) return { bytes: Buffer.concat(chunks), isWhole: false };
    chunks.push(chunk);
  }
  return { bytes: Buffer.concat(chunks), isWhole: true };
}
