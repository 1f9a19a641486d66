export interface ByteRange {
  readonly start: number;
  /** Not included. */
  readonly end: number;
}

/**
 * The part that a Range header asks for: undefined when the whole is to be sent (no header, another unit, several
 * ranges, bad syntax), `unsatisfiable` when it begins behind the end (RFC 9110, section 14).
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === '' ? size : Math.min(Number(last) + 1, size);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= size ? 'unsatisfiable' : { start, end };
}
