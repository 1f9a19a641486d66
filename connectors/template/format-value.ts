import type { Budget } from './budget.ts';
import { shortestFloat } from './format-float.ts';
import { Refusal } from './template-error.ts';
import { isList, isNil, sortedKeys, type Value } from './values.ts';

const maxDepth = 200;

/** A value as Go's `%v` writes it. */
export function formatValue(value: Value, budget: Budget): string {
  return formatNested(value, budget, (scalar) => formatScalar(scalar));
}

/** A scalar as Go's `%v` writes it. */
export function formatScalar(value: Value): string {
  if (isNil(value)) return '<nil>';
  return typeof value === 'number' ? shortestFloat(value) : String(value);
}

/** Lists as `[a b]` and maps as `map[k:v]`, with the keys sorted; everything in them by `formatLeaf`. */
export function formatNested(value: Value, budget: Budget, formatLeaf: (value: Value) => string, depth = 0): string {
  if (isNil(value) || typeof value !== 'object') return formatLeaf(value);
  if (depth > maxDepth) throw new Refusal(`a value has more than ${maxDepth} levels: does a map hold itself?`);
  const format = (inner: Value): string => formatNested(inner, budget, formatLeaf, depth + 1);
  const parts: string[] = [];
  let length = 5;
  const add = (part: string): void => {
    length += part.length + 1;
    budget.spend(1);
    if (length > budget.limits.maxLength) budget.spendText(length);
    parts.push(part);
  };
  if (isList(value)) for (const element of value) add(format(element));
  else for (const key of sortedKeys(value)) add(`${formatLeaf(key)}:${format(value.get(key))}`);
  return isList(value) ? `[${parts.join(' ')}]` : `map[${parts.join(' ')}]`;
}
