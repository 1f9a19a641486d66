import type { Budget } from './budget.ts';
import { toInt, toTexts } from './convert.ts';
import { formatValue } from './format-value.ts';
import { type FunctionTable, fixed, type TemplateFunction, variadic } from './signature.ts';
import { Refusal } from './template-error.ts';
import {
  described,
  type GoMap,
  isDeepEqual,
  isList,
  isNil,
  isTrue,
  nilList,
  sliced,
  sortedKeys,
  sortTexts,
  typedList,
  type Value,
} from './values.ts';

function listOf(value: Value, name: string, budget: Budget): readonly Value[] {
  if (!isList(value)) throw new Refusal(`${name} wants a list, and has ${described(value)}`);
  budget.spend(value.length / 8);
  return value;
}

const isAmong = (value: Value, list: readonly Value[], budget: Budget): boolean =>
  list.some((other) => isDeepEqual(value, other, budget.spend));

function uniq(list: readonly Value[], budget: Budget): Value[] {
  const found: Value[] = [];
  for (const value of list) if (!isAmong(value, found, budget)) found.push(value);
  return found;
}

/** A function and its form with `must`, which differs in how it fails; here both fail with an error. */
const withMust = (name: string, work: TemplateFunction): FunctionTable => ({
  [name]: work,
  [`must${name.charAt(0).toUpperCase()}${name.slice(1)}`]: work,
});

const onList = (name: string, work: (list: readonly Value[], budget: Budget) => Value): FunctionTable =>
  withMust(
    name,
    fixed(['any'], ([value], budget) => work(listOf(value, name, budget), budget)),
  );

const onListWith = (name: string, work: (list: readonly Value[], value: Value) => Value): FunctionTable =>
  withMust(
    name,
    fixed(['any', 'any'], ([list, value], budget) => work(listOf(list, name, budget), value)),
  );

function sliceList(list: readonly Value[], bounds: readonly Value[]): Value {
  if (list.length === 0) return null;
  const start = bounds.length > 0 ? Number(toInt(bounds[0])) : 0;
  const end = bounds.length > 1 ? Number(toInt(bounds[1])) : list.length;
  if (start < 0 || start > end || end > list.length)
    throw new Refusal(`there is no slice ${start} to ${end} of ${list.length} elements`);
  return sliced(list, start, end);
}

function dict(values: readonly Value[], budget: Budget): GoMap {
  budget.spend(2);
  const map: GoMap = new Map();
  for (let at = 0; at < values.length; at += 2) {
    map.set(formatValue(values[at], budget), at + 1 < values.length ? values[at + 1] : '');
  }
  return map;
}

function changeable(map: GoMap | undefined, name: string): GoMap {
  if (map === undefined) throw new Refusal(`${name} wants a map, and has nothing: make one with dict`);
  return map;
}

const append = onListWith('append', (list, value) => [...list, value]);

/** sprig's functions of lists. */
export const listFunctions: FunctionTable = {
  list: variadic([], 'any', (_none, values) => values),
  tuple: variadic([], 'any', (_none, values) => values),
  ...onList('first', (list) => list[0] ?? null),
  ...onList('last', (list) => list.at(-1) ?? null),
  ...onList('rest', (list) => (list.length === 0 ? nilList : list.slice(1))),
  ...onList('initial', (list) => (list.length === 0 ? nilList : list.slice(0, -1))),
  ...onList('reverse', (list) => list.toReversed()),
  ...onList('compact', (list) => list.filter(isTrue)),
  ...onList('uniq', uniq),
  ...append,
  push: append['append'] as TemplateFunction,
  mustPush: append['append'] as TemplateFunction,
  ...onListWith('prepend', (list, value) => [value, ...list]),
  ...withMust(
    'without',
    variadic(['any'], 'any', ([list], others, budget) =>
      listOf(list, 'without', budget).filter((value) => !isAmong(value, others, budget)),
    ),
  ),
  ...withMust(
    'has',
    fixed(['any', 'any'], ([needle, list], budget) =>
      isNil(list) ? false : isAmong(needle, listOf(list, 'has', budget), budget),
    ),
  ),
  ...withMust(
    'slice',
    variadic(['any'], 'any', ([list], bounds, budget) => sliceList(listOf(list, 'slice', budget), bounds)),
  ),
  concat: variadic([], 'any', (_none, lists, budget) => {
    // Each is paid for before any is copied.
    const all = lists.flatMap((list) => listOf(list, 'concat', budget));
    return all.length === 0 ? nilList : all;
  }),
  sortAlpha: fixed(['any'], ([list], budget) => {
    const texts = toTexts(list, budget);
    return typedList(isList(list) ? sortTexts(texts, budget.spend) : [formatValue(list, budget)], 'string');
  }),
};

const keys = variadic([], 'map', (_none, maps, budget) => {
  // Go's order is any; ours is always the same.
  const all = maps.flatMap((map) => (map === undefined ? [] : sortedKeys(map, budget.spend)));
  return typedList(all, 'string');
});

/** sprig's functions of maps. */
export const mapFunctions: FunctionTable = {
  dict: variadic([], 'any', (_none, values, budget) => dict(values, budget)),
  get: fixed(['map', 'string'], ([map, key]) => (map?.has(key) ? map.get(key) : '')),
  set: fixed(['map', 'string', 'any'], ([map, key, value]) => changeable(map, 'set').set(key, value)),
  unset: fixed(['map', 'string'], ([map, key]) => {
    map?.delete(key);
    return map ?? new Map();
  }),
  hasKey: fixed(['map', 'string'], ([map, key]) => map?.has(key) === true),
  keys,
  values: fixed(['map'], ([map], budget) => {
    return map === undefined ? [] : sortedKeys(map, budget.spend).map((key) => map.get(key));
  }),
  pick: variadic(
    ['map'],
    'string',
    ([map], names) => new Map(names.filter((name) => map?.has(name)).map((name) => [name, map?.get(name)])),
  ),
  omit: variadic(['map'], 'string', ([map], names, budget) => {
    budget.spend((map?.size ?? 0) + names.length);
    const omitted = new Set(names);
    return new Map([...(map ?? [])].filter(([key]) => !omitted.has(key)));
  }),
  pluck: variadic(['string'], 'map', ([key], maps) => maps.filter((map) => map?.has(key)).map((map) => map?.get(key))),
  dig: variadic(['any', 'any', 'any'], 'any', (start, others) => dig([...start, ...others])),
};

function dig(values: readonly Value[]): Value {
  const names = values.slice(0, -2);
  let found = values.at(-1);
  for (const name of names) {
    if (typeof name !== 'string') throw new Refusal(`dig wants keys that are strings, and has ${described(name)}`);
    if (!(found instanceof Map))
      throw new Refusal(`dig wants a map to look for ${JSON.stringify(name)} in, and has ${described(found)}`);
    if (!found.has(name)) return values.at(-2);
    found = found.get(name);
  }
  return found;
}
