import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ReadDocument,
  readConnector,
  readConnectorClass,
  readNamespace,
  readSecret,
} from '../../connectors/cluster-documents.ts';
import { formatField } from '../../connectors/field-problem.ts';
import { classOf, connectorOf, secretOf, withSecret } from './documents.ts';

/** As the API server answers. */
const published = {
  ...connectorOf(withSecret('robot')),
  metadata: {
    name: 'harbor',
    namespace: 'demo',
    uid: '6d8a',
    resourceVersion: '42',
    generation: 2,
    creationTimestamp: '2026-01-02T03:04:05Z',
    deletionTimestamp: '2026-01-02T03:05:05Z',
    deletionGracePeriodSeconds: 0,
    finalizers: ['x/y'],
    annotations: { 'cpaas.io/description': 'mine' },
    ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'a', uid: 'b' }],
    managedFields: [{ manager: 'kubectl', operation: 'Apply', fieldsV1: { 'f:spec': {} } }],
  },
  status: { conditions: [{ type: 'Ready', status: 'True' }] },
};

const problemOf = (read: ReadDocument<unknown>) => (read.ok ? undefined : read.problem);

test('a published Connector is read as it is', () => {
  expect(readConnector(published)).toEqual({ ok: true, document: published, unknownFields: [] });
});

test('items of lists, which have no kind, are read as what they are', () => {
  const { apiVersion, kind, ...item } = secretOf('robot', {});
  expect(readSecret(item)).toEqual({ ok: true, document: { apiVersion, kind, ...item }, unknownFields: [] });
  expect(readNamespace({ metadata: { name: 'demo' } })).toMatchObject({ ok: true, document: { kind: 'Namespace' } });
  const ofClass = readConnectorClass({ metadata: { name: 'oci' }, spec: {} });
  expect(ofClass).toMatchObject({ ok: true, document: classOf('oci') });
});

test('unknown fields are left out and named, and the object is left as it was', () => {
  const params = [
    { name: 'a', value: 'b' },
    { name: 'c', value: 'd', newer: 1 },
  ];
  const object = {
    ...published,
    newer: 1,
    metadata: { ...published.metadata, newer: {} },
    spec: { ...published.spec, newer: [], params, auth: { ...published.spec.auth, newer: null } },
  };
  const before = structuredClone(object);
  const read = readConnector(object);
  expect(read.ok && read.unknownFields.map(formatField).sort()).toEqual([
    'metadata.newer',
    'newer',
    'spec.auth.newer',
    'spec.newer',
    'spec.params[1].newer',
  ]);
  const [first, second] = params;
  expect(read.ok && read.document).toEqual({
    ...published,
    spec: { ...published.spec, params: [first, { name: second?.name, value: second?.value }] },
  });
  expect(object).toEqual(before);
});

describe('what is wrong is told by its field', () => {
  const { address: _, ...withoutAddress } = published.spec;

  test.each<[what: string, object: unknown, field: string, message: string]>([
    ['nothing', undefined, '', 'not an object'],
    ['a list', [], '', 'not an object'],
    [
      'no address',
      { ...published, spec: withoutAddress },
      'spec.address',
      'spec.address: Invalid input: expected string, received undefined',
    ],
    [
      'unknown fields beside wrong ones, which alone are told',
      { ...published, spec: { ...published.spec, newer: 1, params: [{ name: 'a', value: 7 }] } },
      'spec.params[0].value',
      'spec.params[0].value: Invalid input: expected string, received number',
    ],
    ['another kind', { ...published, kind: 'Secret' }, 'kind', 'kind: Invalid input: expected "Connector"'],
    [
      'a name that is none',
      { ...published, metadata: { ...published.metadata, name: 'a.b' } },
      'metadata.name',
      'metadata.name: must be a DNS label (lower case letters, digits, "-") of at most 61 characters',
    ],
    [
      'one name twice',
      { ...published, spec: { ...published.spec, params: [1, 2].map(() => ({ name: 'a', value: 'b' })) } },
      'spec.params',
      'spec.params: names must differ',
    ],
  ])('%s', (_what, object, field, message) => {
    const problem = problemOf(readConnector(object));
    expect(problem).toMatchObject({ reason: 'SpecInvalid', message });
    expect(formatField(problem?.field ?? [])).toBe(field);
  });

  test('at most five times', () => {
    const params = Array.from({ length: 9 }, (_, at) => ({ name: `p${at}`, value: at }));
    const problem = problemOf(readConnector({ ...published, spec: { ...published.spec, params } }));
    expect(problem?.message).toMatch(/^(spec\.params\[\d\]\.value: [^;]+; ){5}and 4 more$/);
  });

  test('without the values of a Secret', () => {
    const canary = 's3cret-7f3a';
    const wrong = { ...secretOf('robot', {}), data: { a: `%${canary}`, b: [canary] }, type: { canary } };
    expect(problemOf(readSecret(wrong))?.message).toBe(
      'type: Invalid input: expected string, received object; data.a: must be base64; ' +
        'data.b: Invalid input: expected string, received array',
    );
  });
});

test('no object makes a reader throw, and what it accepts it accepts again', () => {
  const parts = fc.constantFrom<unknown>(published, published.spec, published.metadata, 'Connector', 'demo', null);
  const anything = fc.letrec((tie) => ({
    object: fc.dictionary(fc.constantFrom(...keys, '__proto__', 'newer'), tie('value')),
    value: fc.oneof({ depthSize: 'small' }, parts, fc.jsonValue(), fc.array(tie('value')), tie('object')),
  })).object;
  fc.assert(
    fc.property(anything, fc.boolean(), (object, isPublished) => {
      const read = readConnector(isPublished ? { ...published, ...object } : object);
      const again = read.ok ? readConnector(read.document) : read;
      expect(again).toEqual(read.ok ? { ok: true, document: read.document, unknownFields: [] } : read);
      expect(problemOf(read)?.message).not.toBe('');
    }),
  );
});

const keys = ['apiVersion', 'kind', 'metadata', 'spec', 'status', 'name', 'auth', 'params', 'address', 'secretRef'];
