import type { z } from 'zod';
import { isJsonObject } from '../platform/json.ts';
import { type FieldPath, formatField } from './field-problem.ts';
import {
  type Connector,
  type ConnectorClass,
  connectorClassSchema,
  connectorSchema,
  type Namespace,
  namespaceSchema,
  type Secret,
  secretSchema,
} from './schema.ts';

/** Why an object of the cluster is no document of ours: for the condition, as a ConnectorProblem is. */
export interface DocumentProblem {
  readonly reason: 'SpecInvalid';
  /** Names each wrong field; holds no value of a field. */
  readonly message: string;
  /** The first wrong field. */
  readonly field: FieldPath;
}

export type ReadDocument<T> =
  | {
      readonly ok: true;
      readonly document: T;
      /** Fields that the schema does not know; the document comes without them. */
      readonly unknownFields: readonly FieldPath[];
    }
  | { readonly ok: false; readonly problem: DocumentProblem };

/** More wrong fields than these help nobody. */
const fieldsMax = 5;

/*
 * Readers of what the API server answers with. A file with an unknown field is refused, because it may be a typing
 * error; an object of the cluster may come from a newer version of Kubernetes or of a CRD, and goes on being used.
 */
export const readConnector = (object: unknown): ReadDocument<Connector> => read(connectorSchema, 'Connector', object);
export const readConnectorClass = (object: unknown): ReadDocument<ConnectorClass> =>
  read(connectorClassSchema, 'ConnectorClass', object);
export const readSecret = (object: unknown): ReadDocument<Secret> => read(secretSchema, 'Secret', object);
export const readNamespace = (object: unknown): ReadDocument<Namespace> => read(namespaceSchema, 'Namespace', object);

interface DocumentSchema<T> {
  safeParse(value: unknown): z.ZodSafeParseResult<T>;
  readonly shape: { readonly apiVersion: { readonly value: string } };
}

function read<T>(schema: DocumentSchema<T>, kind: string, object: unknown): ReadDocument<T> {
  if (!isJsonObject(object)) return refuse([], 'not an object');
  // Items of a list come without them from the API server where their kind is built in.
  const typed = { apiVersion: schema.shape.apiVersion.value, kind, ...object };
  const first = schema.safeParse(typed);
  if (first.success) return { ok: true, document: first.data, unknownFields: [] };
  const unknownFields = first.error.issues.flatMap(unknownFieldsOf);
  const wrong = first.error.issues.filter((issue) => issue.code !== 'unrecognized_keys');
  if (wrong.length > 0) return refuseIssues(wrong);
  const second = schema.safeParse(without(typed, unknownFields));
  if (second.success) return { ok: true, document: second.data, unknownFields };
  return refuseIssues(second.error.issues);
}

function unknownFieldsOf(issue: z.core.$ZodIssue): FieldPath[] {
  return issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...fieldOf(issue), key]) : [];
}

const fieldOf = (issue: z.core.$ZodIssue): FieldPath => issue.path.filter((part) => typeof part !== 'symbol');

/** A copy of the parts that `fields` stand in, without these fields. */
function without(object: unknown, fields: readonly FieldPath[]): unknown {
  const [here, deeper] = [fields.filter((field) => field.length === 1), fields.filter((field) => field.length > 1)];
  const drop = new Set(here.map(([key]) => String(key)));
  const below = Map.groupBy(deeper, ([key]) => String(key));
  const copyOf = (value: unknown, key: string): unknown => {
    const inside = below.get(key);
    return inside === undefined
      ? value
      : without(
          value,
          inside.map((field) => field.slice(1)),
        );
  };
  if (Array.isArray(object)) return object.map((item, at) => copyOf(item, String(at)));
  if (!isJsonObject(object)) return object;
  const kept = Object.entries(object).filter(([key]) => !drop.has(key));
  return Object.fromEntries(kept.map(([key, value]) => [key, copyOf(value, key)]));
}

function refuseIssues(issues: readonly z.core.$ZodIssue[]): { ok: false; problem: DocumentProblem } {
  const named = issues
    .slice(0, fieldsMax)
    .map((issue) => `${formatField(fieldOf(issue)) || 'object'}: ${issue.message}`);
  const more = issues.length > fieldsMax ? [`and ${issues.length - fieldsMax} more`] : [];
  return refuse(issues[0] === undefined ? [] : fieldOf(issues[0]), [...named, ...more].join('; '));
}

const refuse = (field: FieldPath, message: string): { ok: false; problem: DocumentProblem } => ({
  ok: false,
  problem: { reason: 'SpecInvalid', message, field },
});
