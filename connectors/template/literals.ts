import { integerOf, integerParts } from './integers.ts';
import type { NumberNode } from './nodes.ts';
import { Refusal } from './template-error.ts';

/** Characters by the letter behind the backslash. */
export const simpleEscapes: ReadonlyMap<string, string> = new Map([
  ...([['a', '\x07'] as const, ['b', '\b'] as const, ['f', '\f'] as const, ['n', '\n'] as const] as const),
  ...([['r', '\r'] as const, ['t', '\t'] as const, ['v', '\v'] as const, ['\\', '\\'] as const] as const),
]);
const escapeSequence = /\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)?/gs;

/** The text of a Go string or character literal with its quotes. Throws a Refusal for an escape that Go has not. */
export function unquote(literal: string): string {
  const quote = literal.charAt(0);
  const inside = literal.slice(1, -1);
  if (quote === '`') return inside.replaceAll('\r', '');
  return inside.replace(escapeSequence, (found) => characterOf(found, quote));
}

function characterOf(found: string, quote: string): string {
  const kind = found.charAt(1);
  if (kind === quote) return kind;
  const simple = simpleEscapes.get(kind);
  if (simple !== undefined) return simple;
  if (found.length < 4) throw new Refusal(`${found} is no escape of Go: write \\\\ for a backslash`);
  const code = /[0-7]/.test(kind) ? Number.parseInt(found.slice(1), 8) : Number.parseInt(found.slice(2), 16);
  if ((kind === 'x' || /[0-7]/.test(kind)) && code > 0x7f) {
    throw new Refusal(`${found} is a byte and no character: write \\u00${code.toString(16)} or the character itself`);
  }
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) throw new Refusal(`${found} is no character of Unicode`);
  return String.fromCodePoint(code);
}

/** The number that a character literal stands for. */
export function characterNode(literal: string, at: number): NumberNode {
  const text = unquote(literal);
  const code = text.codePointAt(0);
  if (code === undefined || String.fromCodePoint(code) !== text) {
    throw new Refusal(`${literal} is not one character: write a text in double quotes`);
  }
  return { kind: 'number', at, text: literal, value: BigInt(code), int: BigInt(code), float: code };
}

/** More digits than any number has, and few enough to be read at once. */
const maxNumberLength = 1024;

const decimal =
  /^[+-]?(?:[0-9](?:_?[0-9])*(?:\.(?:[0-9](?:_?[0-9])*)?)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9](?:_?[0-9])*)?$/;

/** Reads a number literal of Go. Throws a Refusal for what is none, or has no room in 64 bits. */
export function numberNode(text: string, at: number): NumberNode {
  if (text.length > maxNumberLength) throw new Refusal(`a number has more than ${maxNumberLength} characters`);
  const parts = integerParts(text);
  if (parts !== undefined) {
    const value = integerOf(parts);
    const isInt = BigInt.asIntN(64, value) === value;
    if (!isInt && BigInt.asUintN(64, value) !== value) throw new Refusal(`${text} has no room in 64 bits`);
    return {
      kind: 'number',
      at,
      text,
      value: isInt ? value : undefined,
      int: isInt ? value : undefined,
      float: Number(value),
    };
  }
  if (/^[+-]?0[xX]/.test(text) && /[.pP]/.test(text)) throw new Refusal('hexadecimal fractions are not supported');
  const float = decimal.test(text) ? Number(text.replaceAll('_', '')) : Number.NaN;
  if (!Number.isFinite(float) || !/[.eE]/.test(text)) throw new Refusal(`${text} is no number`);
  const int = Number.isInteger(float) && Math.abs(float) < 2 ** 63 ? BigInt(float) : undefined;
  return { kind: 'number', at, text, value: float, int, float };
}
