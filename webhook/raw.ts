import { isJsonObject, type JsonObject } from '../platform/json.ts';

/**
 * Reading of raw JSON. The pod is never decoded into a type: what we do not know has to come out as it went in, and
 * nothing odd in it may throw.
 */

export type RawObject = JsonObject;

export const isObject = isJsonObject;

/** A field that is absent or null, as the Kubernetes API reads it. */
const isUnset = (value: unknown): boolean => value === undefined || value === null;

/** An object field, empty when it is unset; undefined for anything that is no object. */
export function objectOf(value: unknown): RawObject | undefined {
  if (isUnset(value)) return {};
  return isObject(value) ? value : undefined;
}

/** A list field, empty when it is unset; undefined for anything that is no list. */
export function listOf(value: unknown): readonly unknown[] | undefined {
  if (isUnset(value)) return [];
  return Array.isArray(value) ? value : undefined;
}

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** The names of a list's objects; what has no name is passed over. */
export const namesOf = (list: readonly unknown[]): readonly string[] =>
  list.map((item) => (isObject(item) ? textOf(item['name']) : undefined)).filter((name) => name !== undefined);
