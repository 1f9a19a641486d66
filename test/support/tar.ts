const blockBytes = 512;

/** One regular file in a tar archive. */
export interface TarFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Permission bits, by default 0o644. */
  readonly mode?: number;
}

/** An uncompressed ustar archive owned by root and dated 1970, so that equal files give equal bytes. */
export function makeTar(files: readonly TarFile[]): Buffer {
  const parts = files.flatMap((file) => [header(file), file.bytes, padding(file.bytes.length)]);
  return Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)]);
}

function header(file: TarFile): Buffer {
  const block = Buffer.alloc(blockBytes);
  if (Buffer.byteLength(file.path) > 100) throw new RangeError(`a ustar name has at most 100 bytes: ${file.path}`);
  block.write(file.path, 0);
  block.write(octal(file.mode ?? 0o644, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(file.bytes.length, 12), 124);
  block.write(octal(0, 12), 136);
  block.write('0', 156);
  block.write('ustar\x0000', 257);
  // The checksum counts its own field as eight spaces.
  block.fill(' ', 148, 156);
  const checksum = block.reduce((sum, byte) => sum + byte, 0);
  block.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`;
}

function padding(size: number): Buffer {
  return Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes);
}
