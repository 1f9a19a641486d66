import type { Budget } from './budget.ts';
import { formatValue } from './format-value.ts';
import { sprintf } from './printf.ts';
import { type FunctionTable, fixed, variadic } from './signature.ts';
import { Refusal } from './template-error.ts';
import { joinedTexts, TextBuilder } from './text-builder.ts';
import { queryEscape } from './url.ts';
import { compareText, described, int, isList, isNil, isTrue, nilList, type Value } from './values.ts';

const kindOf = (value: Value): string => (isNil(value) || typeof value === 'object' ? 'none' : typeof value);

/** Go's `eq` of two values. Throws a Refusal for types that cannot be compared. */
function isEqual(a: Value, b: Value): boolean {
  if (isNil(a) || isNil(b)) return (isNil(a) || a === nilList) && (isNil(b) || b === nilList);
  if (isList(a) && isList(b) && (a === nilList || b === nilList)) return a === b;
  if (kindOf(a) !== kindOf(b)) throw new Refusal(`${described(a)} cannot be compared with ${described(b)}`);
  if (typeof a === 'object') throw new Refusal(`${described(a)} cannot be compared: compare toJson of it`);
  return a === b;
}

function isLess(a: Value, b: Value): boolean {
  if (kindOf(a) === 'none' || kindOf(b) === 'none' || typeof a !== typeof b || typeof a === 'boolean') {
    throw new Refusal(`${described(a)} has no order with ${described(b)}`);
  }
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b) < 0;
  return (a as number) < (b as number);
}

const isLessOrEqual = (a: Value, b: Value): boolean => isLess(a, b) || isEqual(a, b);

function length(value: Value): bigint {
  if (typeof value === 'string') return int(Buffer.byteLength(value));
  if (isNil(value)) throw new Refusal('len of nothing: test with if, or give a value with default');
  if (typeof value !== 'object') throw new Refusal(`${described(value)} has no length`);
  return int(isList(value) ? value.length : value.size);
}

function index(item: Value, keys: readonly Value[]): Value {
  if (isNil(item)) throw new Refusal('index of nothing: test with if, or give a value with default');
  let found: Value = item;
  for (const key of keys) {
    if (isNil(found)) throw new Refusal('index of nothing: test with if, or give a value with default');
    found = found instanceof Map ? elementOf(found, key) : at(found, key);
  }
  return found;
}

function elementOf(map: ReadonlyMap<string, Value>, key: Value): Value {
  if (typeof key !== 'string') throw new Refusal(`the key of a map is a string, and this is ${described(key)}`);
  return map.get(key) ?? null;
}

function at(item: Value, key: Value): Value {
  if (typeof item !== 'string' && !isList(item)) throw new Refusal(`${described(item)} has no elements`);
  if (typeof key !== 'bigint')
    throw new Refusal(`the index of ${described(item)} is an int, and this is ${described(key)}`);
  const elements = typeof item === 'string' ? Buffer.from(item) : item;
  if (key < 0n || key >= elements.length)
    throw new Refusal(`index ${key} is out of range: there are ${elements.length}`);
  const element = elements[Number(key)];
  return typeof element === 'number' && typeof item === 'string' ? int(element) : element;
}

/** Go's fmt.Sprint: a space between two values of which neither is a text. */
function print(values: readonly Value[], budget: Budget): string {
  const builder = new TextBuilder(budget);
  for (const [position, value] of values.entries()) {
    const isSpaced = position > 0 && typeof value !== 'string' && typeof values[position - 1] !== 'string';
    if (isSpaced) builder.add(' ');
    builder.add(formatValue(value, budget));
  }
  return builder.text;
}

/** What urlquery and html make a text of: as an action would write it. */
const shown = (values: readonly Value[], budget: Budget): string =>
  print(
    values.map((value) => (isNil(value) ? '<no value>' : value)),
    budget,
  );

const htmlEscapes: Readonly<Record<string, string>> = {
  ...{ '\0': '\ufffd', '"': '&#34;', "'": '&#39;', '&': '&amp;', '<': '&lt;', '>': '&gt;' },
};

/** The functions of text/template itself. */
export const builtinFunctions: FunctionTable = {
  // The evaluator does not call these two: they stop at the first argument that decides.
  and: variadic(['value'], 'value', ([first]) => first),
  or: variadic(['value'], 'value', ([first]) => first),
  not: fixed(['value'], ([value]) => !isTrue(value)),
  eq: variadic(['value'], 'value', ([first], others) => {
    if (others.length === 0) throw new Refusal('eq wants something to compare with');
    return others.some((other) => isEqual(first, other));
  }),
  ne: fixed(['value', 'value'], ([a, b]) => !isEqual(a, b)),
  lt: fixed(['value', 'value'], ([a, b]) => isLess(a, b)),
  le: fixed(['value', 'value'], ([a, b]) => isLessOrEqual(a, b)),
  gt: fixed(['value', 'value'], ([a, b]) => !isLessOrEqual(a, b)),
  ge: fixed(['value', 'value'], ([a, b]) => !isLess(a, b)),
  len: fixed(['value'], ([value]) => length(value)),
  index: variadic(['value'], 'value', ([item], keys) => index(item, keys)),
  print: variadic([], 'any', (_none, values, budget) => print(values, budget)),
  println: variadic(
    [],
    'any',
    (_none, values, budget) => `${joinedTexts(values, ' ', budget, (value) => formatValue(value, budget))}\n`,
  ),
  printf: variadic(['string'], 'any', ([format], values, budget) => sprintf(format, values, budget)),
  urlquery: variadic([], 'any', (_none, values, budget) => queryEscape(shown(values, budget), budget)),
  html: variadic([], 'any', (_none, values, budget) => {
    const text = shown(values, budget);
    budget.spendSlowReading(text.length);
    return text.replace(/[\0"'&<>]/g, (found) => htmlEscapes[found] ?? found);
  }),
};
