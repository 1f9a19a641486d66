/** As Kubernetes writes them. */
export type Architecture = 'amd64' | 'arm64';

const machines: ReadonlyMap<number, Architecture> = new Map([
  [62, 'amd64'],
  [183, 'arm64'],
]);

/** Offsets and sizes of ELF64's header and program headers (elf(5)). */
const header = { bytes: 64, machine: 18, programs: 32, sections: 40, programBytes: 54, sectionBytes: 58 } as const;
const program = { offset: 8, fileBytes: 32 } as const;

/** What a Linux program runs on. @throws Error where `file` is none, or is for something else */
export function architectureOf(file: Buffer): Architecture {
  const isElf64 = file.length >= header.bytes && file.subarray(0, 6).equals(Buffer.from('\x7fELF\x02\x01', 'latin1'));
  if (!isElf64) throw new Error('it is not a Linux program of 64 bits');
  const found = machines.get(file.readUInt16LE(header.machine));
  if (found === undefined) throw new Error('it is for another architecture than amd64 and arm64');
  return found;
}

/**
 * A copy without symbols and debug information, a fifth of Node's size, as `strip` makes it, but for any architecture and
 * always with the same bytes: nothing of what stands behind the last segment is ever loaded.
 */
export function withoutSymbols(file: Buffer): Buffer {
  const stripped = Buffer.from(file.subarray(0, endOfSegments(file)));
  stripped.writeBigUInt64LE(0n, header.sections);
  stripped.fill(0, header.sectionBytes, header.bytes);
  return stripped;
}

function endOfSegments(file: Buffer): number {
  const at = Number(file.readBigUInt64LE(header.programs));
  const bytes = file.readUInt16LE(header.programBytes);
  const number = file.readUInt16LE(header.programBytes + 2);
  const ends = Array.from({ length: number }, (_, index) => {
    const start = at + index * bytes;
    return Number(file.readBigUInt64LE(start + program.offset) + file.readBigUInt64LE(start + program.fileBytes));
  });
  return Math.max(at + number * bytes, ...ends);
}
