import type { Budget } from './budget.ts';
import { formatValue } from './format-value.ts';
import { integerOf, integerParts } from './integers.ts';
import { isList, type Value } from './values.ts';

/** sprig's strslice: the elements of a list as texts without the nils, or the one value. */
export function toTexts(value: Value, budget: Budget): string[] {
  if (value === null || value === undefined) return [];
  if (!isList(value)) return [formatValue(value, budget)];
  budget.spend(value.length);
  return value
    .filter((element) => element !== null && element !== undefined)
    .map((element) => formatValue(element, budget));
}

/** spf13/cast's ToInt64: what is no whole number is 0. */
export function toInt(value: Value): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'number') return Number.isFinite(value) ? BigInt.asIntN(64, clamped(value)) : -(2n ** 63n);
  if (typeof value !== 'string') return 0n;
  const parts = integerParts(value.replace(/\.0*$/, ''));
  if (parts === undefined) return 0n;
  // No int64 has more digits, and to read a million of them takes long.
  if (parts.digits.replace(/^0[xXbBoO]?0*/, '').length > 64) return 0n;
  const signed = integerOf(parts);
  return BigInt.asIntN(64, signed) === signed ? signed : 0n;
}

const clamped = (value: number): bigint => (Math.abs(value) < 2 ** 63 ? BigInt(Math.trunc(value)) : -(2n ** 63n));

// One possible end for each part, so that no text takes long.
const float = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

/** spf13/cast's ToFloat64: what is no number is 0. */
export function toFloat(value: Value): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'string' && float.test(value) ? Number(value) : 0;
}

/** Go's strconv.Atoi without its error: what has no room is the nearest that has, and what is no number is 0. */
export function atoi(text: string): bigint {
  const parts = /^([+-]?)0*([0-9]*)$/.exec(text);
  const [, sign = '', digits = ''] = parts ?? [];
  if (parts === null || text.length === sign.length) return 0n;
  const magnitude = digits.length > 19 ? 2n ** 64n : BigInt(digits);
  const largest = 2n ** 63n;
  if (sign === '-') return magnitude > largest ? -largest : -magnitude;
  return magnitude >= largest ? largest - 1n : magnitude;
}
