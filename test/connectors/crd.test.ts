import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { builtinClasses } from '../../connectors/builtin-class.ts';
import { customResourceDefinitions } from '../../connectors/crd.ts';
import { toStructuralSchema } from '../../connectors/crd-schema.ts';
import { parseManifests } from '../../connectors/manifest.ts';
import { generatedFiles } from '../../deploy/generated-files.ts';

const deploy = join(import.meta.dirname, '../../deploy');

test.each([...generatedFiles()])('deploy/%s is what the sources say', (file, text) => {
  expect(readFileSync(join(deploy, file), 'utf8')).toBe(text);
});

test('the manifest of class oci is the built-in class', () => {
  expect(parse(generatedFiles().get('classes/oci.yaml') ?? '')).toEqual(builtinClasses[0]);
});

test('examples are manifests for a folder as well as for a cluster', () => {
  for (const file of readdirSync(join(deploy, 'examples'))) {
    const { documents, problems, skipped } = parseManifests(readFileSync(join(deploy, 'examples', file), 'utf8'), file);
    expect({ problems, skipped }).toEqual({ problems: [], skipped: [] });
    expect(documents).not.toEqual([]);
  }
});

describe('a structural schema', () => {
  test('says what the zod schema says, as far as it can', () => {
    const schema = z.strictObject({
      text: z.string().min(1).max(5).regex(/^a/).describe('A text.'),
      either: z.enum(['a', 'b']).optional(),
      only: z.literal('x').optional(),
      count: z.int().nonnegative().optional(),
      at: z.iso.datetime().optional(),
      list: z
        .array(z.strictObject({ name: z.string() }))
        .max(3)
        .optional(),
      labels: z.record(z.string(), z.string()).optional(),
      anything: z.unknown().optional().describe('Whatever.'),
    });
    expect(toStructuralSchema(schema)).toEqual({
      type: 'object',
      required: ['text'],
      properties: {
        text: { type: 'string', minLength: 1, maxLength: 5, description: 'A text.' },
        either: { type: 'string', enum: ['a', 'b'] },
        only: { type: 'string', enum: ['x'] },
        count: { type: 'integer', format: 'int64', minimum: 0 },
        at: { type: 'string', format: 'date-time' },
        list: {
          type: 'array',
          maxItems: 3,
          items: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
        },
        labels: { type: 'object', additionalProperties: { type: 'string' } },
        anything: { description: 'Whatever.', 'x-kubernetes-preserve-unknown-fields': true },
      },
    });
  });

  test('is not made of what it cannot say', () => {
    const either = z.strictObject({ a: z.array(z.union([z.strictObject({}), z.string()])) });
    expect(() => toStructuralSchema(either)).toThrow('.a[]: structural schemas do not have anyOf');
    const scalars = z.strictObject({ a: z.union([z.string(), z.number()]) });
    expect(() => toStructuralSchema(scalars)).toThrow('.a: structural schemas have one type, not string, number');
  });
});

interface CrdVersion {
  readonly schema: { readonly openAPIV3Schema: { readonly properties: { readonly spec: object } } };
}

describe('a CRD', () => {
  const schemas = customResourceDefinitions.map(({ metadata, spec }) => {
    const [version] = spec['versions'] as CrdVersion[];
    return [metadata.name, version?.schema.openAPIV3Schema] as const;
  });

  test.each(schemas)('%s describes each of its fields', (_name, schema) => {
    expect(schema).toBeDefined();
    expect(fieldsWithout(schema, 'description')).toEqual([]);
  });

  test('of connectors bounds what an administrator writes', () => {
    const spec = schemas[0]?.[1]?.properties.spec;
    expect(spec).toBeDefined();
    expect(fieldsWithout(spec, 'maxLength', 'string')).toEqual([]);
    expect(fieldsWithout(spec, 'maxItems', 'array')).toEqual([]);
  });
});

const selfExplaining = new Set(['apiVersion', 'kind', 'metadata', 'status']);

/** Names of the fields, of that type if given, whose schema lacks `keyword`. */
function fieldsWithout(schema: unknown, keyword: string, type?: string): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { properties = {} } = schema as { properties?: Record<string, { type?: string; [keyword: string]: unknown }> };
  const lacking = Object.entries(properties)
    .filter(
      ([name, field]) =>
        !(keyword in field || (keyword === 'maxLength' && 'enum' in field)) &&
        (type === undefined ? !selfExplaining.has(name) : field.type === type),
    )
    .map(([name]) => name);
  return [...lacking, ...Object.values(schema).flatMap((below) => fieldsWithout(below, keyword, type))];
}
