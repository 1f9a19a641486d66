import type { BigIntStats } from 'node:fs';

/** A text that changes when a file is written or replaced, from `stat(path, { bigint: true })`. */
export const fileSignature = ({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
