import { Refusal } from './template-error.ts';

/**
 * What a template works with: Go's values, in the JavaScript types that tell them apart. A bigint is an int (int64 is
 * the same type here), a number is a float64, an array is a []any, a Map is a map[string]any. `null` is a nil that is
 * there (a key of a map with the value null), `undefined` one that is not (a key that is missing).
 */
export type Value = undefined | null | string | boolean | bigint | number | readonly Value[] | GoMap;

/** A map that the template may change with `set`: the data that a template is given is copied first. */
export type GoMap = Map<string, Value>;

/** A []any that is nil in Go, as `rest` of an empty list: an empty list, but `null` in JSON. */
export const nilList: readonly Value[] = Object.freeze([]);

const maxDataDepth = 200;

export const isList = (value: Value): value is readonly Value[] => Array.isArray(value);
export const isNil = (value: Value): value is null | undefined => value === null || value === undefined;
export const int = (value: number): bigint => BigInt(Math.trunc(value));

/**
 * The data of a template as Go would see it after reading the same JSON: own enumerable properties of plain objects and
 * arrays. Whole numbers are ints. Functions, symbols and instances of classes are missing.
 */
export function fromData(data: unknown): Value {
  return convert(data, new Map(), 0);
}

type Known = Map<object, Value>;

function convert(data: unknown, known: Known, depth: number): Value {
  switch (typeof data) {
    case 'string':
    case 'boolean':
      return data;
    case 'number':
      return Number.isSafeInteger(data) && !Object.is(data, -0) ? BigInt(data) : data;
    case 'bigint':
      return BigInt.asIntN(64, data);
    case 'object':
      return data === null ? null : convertObject(data, known, depth);
    default:
      return undefined;
  }
}

function convertObject(data: object, known: Known, depth: number): Value {
  const before = known.get(data);
  if (before !== undefined) return before;
  if (depth > maxDataDepth) throw new Refusal(`the data has more than ${maxDataDepth} levels`);
  if (Array.isArray(data)) {
    const list: Value[] = [];
    known.set(data, list);
    for (const element of data) list.push(convert(element, known, depth + 1) ?? null);
    return list;
  }
  const prototype = Object.getPrototypeOf(data);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  const map: GoMap = new Map();
  known.set(data, map);
  for (const [key, element] of Object.entries(data)) {
    const value = convert(element, known, depth + 1);
    if (value !== undefined) map.set(key, value);
  }
  return map;
}

/** Whether `if` takes a value for true. */
export function isTrue(value: Value): boolean {
  if (isNil(value)) return false;
  if (typeof value === 'object') return isList(value) ? value.length > 0 : value.size > 0;
  // Not a number is not zero, so it is true in Go.
  return typeof value === 'number' ? value !== 0 : Boolean(value);
}

/** The name of a value's type in Go. */
export function typeName(value: Value): string {
  if (isNil(value)) return '<nil>';
  if (typeof value === 'object') return isList(value) ? '[]interface {}' : 'map[string]interface {}';
  const names = { string: 'string', boolean: 'bool', bigint: 'int', number: 'float64' };
  return names[typeof value as keyof typeof names];
}

/** A value's type in the words of messages. */
export function described(value: Value): string {
  if (isNil(value)) return 'nothing';
  if (typeof value === 'object') return isList(value) ? 'a list' : 'a map';
  const words = { string: 'a string', boolean: 'a bool', bigint: 'an int', number: 'a float64' };
  return words[typeof value as keyof typeof words];
}

/** The name of a value's kind in Go's reflect. */
export function kindName(value: Value): string {
  if (isNil(value)) return 'invalid';
  if (typeof value === 'object') return isList(value) ? 'slice' : 'map';
  return typeName(value);
}

/** The order of Go's strings, which is that of their bytes: UTF-16 puts U+10000 and above before U+E000. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

const rank = (unit: number): number => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit);

export const sortedKeys = (map: GoMap): string[] => [...map.keys()].sort(compareText);

/** Go's reflect.DeepEqual. */
export function isDeepEqual(a: Value, b: Value, spend: (steps: number) => void, depth = 0): boolean {
  spend(1);
  if (isNil(a) || isNil(b)) return isNil(a) && isNil(b);
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  if (a === b) return true;
  if (depth > maxDataDepth) throw new Refusal(`the values have more than ${maxDataDepth} levels`);
  if (isList(a) || isList(b)) {
    if (!isList(a) || !isList(b) || a.length !== b.length || (a === nilList) !== (b === nilList)) return false;
    return a.every((element, at) => isDeepEqual(element, b[at], spend, depth + 1));
  }
  if (a.size !== b.size) return false;
  return [...a].every(([key, element]) => b.has(key) && isDeepEqual(element, b.get(key), spend, depth + 1));
}
