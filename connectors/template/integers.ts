/** A whole number of Go by its sign, and its digits with their prefix. */
interface IntegerParts {
  readonly isNegative: boolean;
  /** Without underscores: `0x1f`, `017`, `12`. */
  readonly digits: string;
}

const integer = /^([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?[0-9])*)$/;

/** Reads a whole number as Go's literals and strconv write it, in any base; undefined for what is none. */
export function integerParts(text: string): IntegerParts | undefined {
  const parts = integer.exec(text);
  return parts === null ? undefined : { isNegative: parts[1] === '-', digits: (parts[2] ?? '').replaceAll('_', '') };
}

/** The number itself. It takes long for very many digits: bound them first. */
export function integerOf({ isNegative, digits }: IntegerParts): bigint {
  // A leading zero alone means octal in Go.
  const magnitude = BigInt(/^0[0-7]/.test(digits) ? `0o${digits}` : digits);
  return isNegative ? -magnitude : magnitude;
}
