import type { Budget } from './budget.ts';
import { Refusal } from './template-error.ts';
import { type GoMap, isList, isNil, nilList, sortedKeys, type Value } from './values.ts';

const maxDepth = 200;

export interface JsonStyle {
  /** Whether < > & are escaped, as Go does unless it is told otherwise. */
  readonly isHtmlSafe: boolean;
  /** Spaces for each level; 0 writes everything in a line. */
  readonly indent: number;
}

/** A value as Go's encoding/json writes it: keys sorted. Undefined for what JSON has not (an infinite number). */
export function toJson(value: Value, style: JsonStyle, budget: Budget): string | undefined {
  let isWritable = true;
  const write = (inner: Value, depth: number): string => {
    budget.spend(1);
    if (isNil(inner) || inner === nilList) return 'null';
    if (typeof inner === 'string') return jsonText(inner, style);
    if (typeof inner === 'number') {
      isWritable &&= Number.isFinite(inner);
      return Object.is(inner, -0) ? '-0' : String(inner);
    }
    if (typeof inner !== 'object') return String(inner);
    if (depth >= maxDepth)
      throw new Refusal(`the value for JSON has more than ${maxDepth} levels: does a map hold itself?`);
    const parts = isList(inner)
      ? inner.map((element) => write(element, depth + 1))
      : sortedKeys(inner).map(
          (key) => `${jsonText(key, style)}:${style.indent > 0 ? ' ' : ''}${write(inner.get(key), depth + 1)}`,
        );
    const text = jsonGroup(parts, isList(inner) ? '[]' : '{}', style.indent, depth);
    budget.spendText(text.length);
    return text;
  };
  const text = write(value, 0);
  return isWritable ? text : undefined;
}

function jsonGroup(parts: readonly string[], brackets: '[]' | '{}', indent: number, depth: number): string {
  const [open, close] = brackets;
  if (indent === 0 || parts.length === 0) return `${open}${parts.join(',')}${close}`;
  const inner = `\n${' '.repeat(indent * (depth + 1))}`;
  return `${open}${inner}${parts.join(`,${inner}`)}\n${' '.repeat(indent * depth)}${close}`;
}

const escapeCharacter = (found: string): string => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`;

function jsonText(text: string, { isHtmlSafe }: JsonStyle): string {
  return JSON.stringify(text.toWellFormed()).replace(
    isHtmlSafe ? /[<>&\u2028\u2029]/g : /[\u2028\u2029]/g,
    escapeCharacter,
  );
}

/** What Go reads from JSON: every number is a float64. Undefined where the text is no JSON. */
export function fromJson(text: string, budget: Budget): Value | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  return jsonValue(parsed, budget, 0);
}

function jsonValue(parsed: unknown, budget: Budget, depth: number): Value {
  budget.spend(1);
  if (depth > maxDepth) throw new Refusal(`the JSON has more than ${maxDepth} levels`);
  if (typeof parsed === 'string') return parsed.toWellFormed();
  if (typeof parsed === 'number' || typeof parsed === 'boolean') return parsed;
  if (typeof parsed !== 'object' || parsed === null) return null;
  if (Array.isArray(parsed)) return parsed.map((element) => jsonValue(element, budget, depth + 1));
  const map: GoMap = new Map();
  for (const [key, element] of Object.entries(parsed))
    map.set(key.toWellFormed(), jsonValue(element, budget, depth + 1));
  return map;
}
