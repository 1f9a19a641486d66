import { expect, test } from 'vitest';
import { buildCatalogue, type CatalogueOptions } from '../../connectors/catalogue.ts';
import { parseImageReference } from '../../connectors/image-reference.ts';
import type { Document } from '../../connectors/schema.ts';
import { classOf, connectorOf, secretOf, withSecret } from './documents.ts';

function referenceOf(image: string) {
  const parsed = parseImageReference(image);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.reference;
}

const namespace = (name: string): Document => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
const found = (documents: Document[], from: string, options?: CatalogueOptions) =>
  buildCatalogue(documents, options).find(referenceOf('harbor.example.com/app'), from)?.connector.key;

test('connectors are found in the own namespace, then in the shared one', () => {
  const [own, shared] = [connectorOf(), connectorOf({}, { namespace: 'kube-public', name: 'all' })];
  expect(found([shared, own], 'demo')).toEqual({ namespace: 'demo', name: 'harbor' });
  expect(found([shared, own], 'other')).toEqual({ namespace: 'kube-public', name: 'all' });
  expect(found([shared, own], 'other', { sharedNamespace: 'demo' })).toEqual({ namespace: 'demo', name: 'harbor' });
  expect(found([own], 'other')).toBeUndefined();
});

test('a connector that cannot be used is found all the same; one without address by name only', () => {
  expect(found([connectorOf({ connectorClassName: 'none' })], 'demo')).toBeDefined();
  const nowhere = [connectorOf({ address: 'ftp://harbor.example.com' })];
  expect(found(nowhere, 'demo')).toBeUndefined();
  expect(buildCatalogue(nowhere).connector({ namespace: 'demo', name: 'harbor' })?.problems).toHaveLength(1);
});

test('names that JavaScript knows are names like others', () => {
  const catalogue = buildCatalogue([connectorOf({}, { namespace: 'constructor', name: 'constructor' })]);
  expect(catalogue.connector({ namespace: 'constructor', name: 'constructor' })).toBeDefined();
  for (const name of ['__proto__', 'constructor', 'toString']) {
    expect(catalogue.connector({ namespace: 'demo', name })).toBeUndefined();
    expect(catalogue.namespace(name)).toBeUndefined();
  }
});

test('what names no namespace is in default; namespaces and classes are in none', () => {
  const { namespace: _, ...metadata } = { ...secretOf('s', {}).metadata };
  const catalogue = buildCatalogue([
    { ...connectorOf(withSecret('s')), metadata: { name: 'harbor' } },
    { ...secretOf('s', {}), metadata },
    namespace('demo'),
  ]);
  expect(catalogue.connector({ namespace: 'default', name: 'harbor' })?.problems).toEqual([]);
  expect(catalogue.namespace('demo')).toEqual(namespace('demo'));
});

test('a class oci of the documents takes the place of the built-in one', () => {
  const reasonOf = (...documents: Document[]) =>
    buildCatalogue([connectorOf({ auth: { name: 'tokenAuth' } }), ...documents]).connectors[0]?.problems[0]?.reason;
  expect(reasonOf()).toBeUndefined();
  expect(reasonOf(classOf('oci'))).toBe('AuthTypeUnknown');
});

test('of two documents with one name the first counts', () => {
  const catalogue = buildCatalogue([connectorOf(), connectorOf({ address: 'https://other.example.com' })]);
  expect(catalogue.connectors.map(({ address }) => address.origin)).toEqual(['https://harbor.example.com']);
});
