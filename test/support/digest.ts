import { createHash, hash } from 'node:crypto';

/** The OCI digest of `bytes`: `sha256:<hex>`. */
export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}

/** `length` bytes that look random, do not compress, and are the same for the same seed. */
export function seededBytes(seed: string, length: number): Buffer {
  return length === 0 ? Buffer.alloc(0) : createHash('shake256', { outputLength: length }).update(seed).digest();
}
