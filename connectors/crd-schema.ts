import { z } from 'zod';

/** A structural schema of the Kubernetes API (`JSONSchemaProps`), as far as ours need it. */
export interface StructuralSchema {
  description?: string;
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  format?: string;
  properties?: Record<string, StructuralSchema>;
  required?: readonly string[];
  items?: StructuralSchema;
  additionalProperties?: StructuralSchema;
  'x-kubernetes-validations'?: readonly ValidationRule[];
  [keyword: string]: unknown;
}

/** A CEL rule; the API server answers with the message where it is false. */
export interface ValidationRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

/** Keywords that mean the same to JSON Schema and to the Kubernetes API. */
const kept = [
  'description',
  'enum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minimum',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
] as const;
/** Handled below, or implied: structural schemas prune what they do not name, and keys of objects are strings. */
const handled = ['$schema', 'type', 'const', 'properties', 'required', 'items', 'additionalProperties'] as const;
const dropped = ['propertyNames', 'pattern'] as const;
const known: ReadonlySet<string> = new Set([...kept, ...handled, ...dropped, 'format', 'maximum']);

type JsonSchema = Record<string, unknown>;

/**
 * Turns a zod schema into a structural schema. What zod leaves open (`z.unknown()`) keeps its fields; refinements and
 * patterns are left to CEL rules and to the controller, which say more than a regular expression does.
 * @throws Error for what structural schemas cannot say
 */
export function toStructuralSchema(schema: z.ZodType): StructuralSchema {
  return convert(z.toJSONSchema(schema, { io: 'input', reused: 'inline' }) as JsonSchema, '');
}

function convert(json: JsonSchema, path: string): StructuralSchema {
  const foreign = Object.keys(json).filter((keyword) => !known.has(keyword));
  if (foreign.length > 0) throw new Error(`${path || 'schema'}: structural schemas do not have ${foreign.join(', ')}`);
  const schema: StructuralSchema = Object.fromEntries(kept.filter((key) => key in json).map((key) => [key, json[key]]));
  if (json['type'] === undefined) return { ...schema, 'x-kubernetes-preserve-unknown-fields': true };
  if (Array.isArray(json['type'])) {
    throw new Error(`${path || 'schema'}: structural schemas have one type, not ${json['type'].join(', ')}`);
  }
  schema.type = json['type'] as NonNullable<StructuralSchema['type']>;
  if ('const' in json) schema['enum'] = [json['const']];
  if (schema.type === 'integer') schema.format = 'int64';
  if (json['format'] === 'date-time') schema.format = 'date-time';
  if (json['items'] !== undefined) schema.items = convert(json['items'] as JsonSchema, `${path}[]`);
  if (json['properties'] !== undefined) schema.properties = convertEach(json['properties'] as JsonSchema, path);
  if (Array.isArray(json['required']) && json['required'].length > 0) schema.required = json['required'];
  const values = json['additionalProperties'];
  if (typeof values === 'object' && values !== null && Object.keys(values).length > 0) {
    schema.additionalProperties = convert(values as JsonSchema, `${path}.*`);
  }
  return schema;
}

function convertEach(properties: JsonSchema, path: string): Record<string, StructuralSchema> {
  const entries = Object.entries(properties) as [string, JsonSchema][];
  return Object.fromEntries(entries.map(([name, property]) => [name, convert(property, `${path}.${name}`)]));
}
