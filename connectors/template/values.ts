import { Refusal } from './template-error.ts';

/**
 * What a template works with: Go's values, in the JavaScript types that tell them apart. A bigint is an int (int64 is
 * the same type here), a number is a float64, an array is a []any, a Map is a map[string]any. `null` is a nil that is
 * there (a key of a map with the value null), `undefined` one that is not (a key that is missing).
 */
export type Value = undefined | null | string | boolean | bigint | number | readonly Value[] | GoMap;

/** A map that the template may change with `set`: the data that a template is given is copied first. */
export type GoMap = Map<string, Value>;

/** Counts steps of work that is about to be done, and throws a Refusal when they are too many. */
export type Spend = (steps: number) => void;

/** A []any that is nil in Go, as `rest` of an empty list: an empty list, but `null` in JSON. */
export const nilList: readonly Value[] = Object.freeze([]);

/** Levels of lists and maps within each other. */
export const depthMax = 200;

/** The lists that are no []any, by the type of their elements: they equal no list of another type. */
const elementTypes = new WeakMap<readonly Value[], 'string' | 'int'>();

/** Makes a list a []string or a []int. */
export function typedList<T extends readonly Value[]>(list: T, type: 'string' | 'int'): T {
  elementTypes.set(list, type);
  return list;
}

/** A part of a list, of the same type. */
export function sliced(list: readonly Value[], start: number, end: number): readonly Value[] {
  const type = elementTypes.get(list);
  const part = list.slice(start, end);
  return type === undefined ? part : typedList(part, type);
}

export const isList = (value: Value): value is readonly Value[] => Array.isArray(value);
export const isNil = (value: Value): value is null | undefined => value === null || value === undefined;
export const int = (value: number): bigint => BigInt(Math.trunc(value));

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
  if (typeof value === 'object') {
    return isList(value) ? `[]${elementTypes.get(value) ?? 'interface {}'}` : 'map[string]interface {}';
  }
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
export const compareText = (a: string, b: string): number => orderAt(a, b, firstDifference(a, b));

function firstDifference(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}

function orderAt(a: string, b: string, at: number): number {
  if (at === a.length || at === b.length) return a.length - b.length;
  return rank(a.charCodeAt(at)) - rank(b.charCodeAt(at));
}

const rank = (unit: number): number => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit);

/** Sorts in place. */
export function sortTexts(texts: string[], spend: Spend): string[] {
  spend(texts.length);
  return texts.sort((a, b) => {
    const at = firstDifference(a, b);
    spend((at + 8) / 64);
    return orderAt(a, b, at);
  });
}

export function sortedKeys(map: GoMap, spend: Spend): string[] {
  spend(map.size);
  return sortTexts([...map.keys()], spend);
}

/** Go's reflect.DeepEqual. */
export function isDeepEqual(a: Value, b: Value, spend: Spend, depth = 0): boolean {
  spend(1);
  if (isNil(a) || isNil(b)) return isNil(a) && isNil(b);
  // Texts of different lengths are not compared.
  if (typeof a === 'string' && typeof b === 'string' && a.length === b.length) spend(a.length / 64);
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  if (a === b) return true;
  if (depth > depthMax) throw new Refusal(`the values have more than ${depthMax} levels`);
  if (isList(a) || isList(b)) {
    if (!isList(a) || !isList(b) || a.length !== b.length || (a === nilList) !== (b === nilList)) return false;
    if (elementTypes.get(a) !== elementTypes.get(b)) return false;
    return a.every((element, at) => isDeepEqual(element, b[at], spend, depth + 1));
  }
  if (a.size !== b.size) return false;
  spend(a.size);
  return [...a].every(([key, element]) => b.has(key) && isDeepEqual(element, b.get(key), spend, depth + 1));
}
