import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ConnectorKey,
  connectorHost,
  connectorOfImage,
  connectorPath,
  formatKey,
  imageAddress,
  isConnectorName,
  isNamespaceName,
  parseConnectorHost,
  parseConnectorPath,
  parseKey,
} from '../../connectors/address.ts';
import { parseImageReference } from '../../connectors/image-reference.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';
import { labels, repositories } from './arbitraries.ts';

const harbor = { namespace: 'demo', name: 'harbor' };
const keys: fc.Arbitrary<ConnectorKey> = fc.record({ namespace: labels, name: labels });

test('names are DNS labels, of 61 characters for connectors and 63 for namespaces', () => {
  expect(['a', '0', 'a-b', 'constructor', 'a'.repeat(61)].every(isConnectorName)).toBe(true);
  const bad = ['', '-a', 'a-', 'A', 'a.b', 'a_b', 'a/b', 'ä', '__proto__', 'a\n', 'a'.repeat(62)];
  expect(bad.filter(isConnectorName)).toEqual([]);
  expect(isNamespaceName('a'.repeat(63))).toBe(true);
  expect(isNamespaceName('a'.repeat(64))).toBe(false);
});

test.each<[text: string, key: ConnectorKey | undefined]>([
  ['demo/harbor', harbor],
  [' harbor ', { namespace: 'own', name: 'harbor' }],
  ['demo/harbor/x', undefined],
  ['/harbor', undefined],
  ['demo/', undefined],
  ['', undefined],
])('the key %j is read as %j', (text, key) => {
  expect(parseKey(text, 'own')).toEqual(key);
});

describe('the path form', () => {
  test.each<[path: string, rest: string | undefined]>([
    ['namespaces/demo/connectors/harbor/team/app', 'team/app'],
    ['namespaces/demo/connectors/harbor/', ''],
    ['namespaces/demo/connectors/harbor', ''],
    ['namespaces/demo/connectors/harbor/namespaces/x/connectors/y/z', 'namespaces/x/connectors/y/z'],
    ['/namespaces/demo/connectors/harbor/app', undefined],
    ['v2/namespaces/demo/connectors/harbor/app', undefined],
    ['namespaces/demo/connectors', undefined],
    ['namespaces//connectors/harbor/app', undefined],
    ['namespaces/%64emo/connectors/harbor/app', undefined],
    ['namespaces/demo/connectors/HARBOR/app', undefined],
    ['namespaces/../connectors/harbor/app', undefined],
    [`namespaces/demo/connectors/${'a'.repeat(62)}/app`, undefined],
    ['Namespaces/demo/connectors/harbor/app', undefined],
  ])('%s names what is behind a connector: %s', (path, rest) => {
    const { connector } = parseConnectorPath(path) ?? {};
    expect(parseConnectorPath(path)).toEqual(rest === undefined ? undefined : { connector, rest });
    if (rest !== undefined) expect(connector).toEqual(harbor);
  });
});

describe('the host form', () => {
  test.each<[host: string, key: ConnectorKey | undefined]>([
    ['c-harbor.demo.svc.cluster.local', harbor],
    ['C-Harbor.DEMO.svc.cluster.local:8080', harbor],
    ['c-harbor.demo', harbor],
    ['c-harbor.demo.svc.other.domain:80', harbor],
    ['c-harbor', undefined],
    ['harbor.demo.svc', undefined],
    ['c-.demo.svc', undefined],
    ['c-harbor..svc', undefined],
    ['[::1]:80', undefined],
    ['', undefined],
  ])('%s names %j', (host, key) => {
    expect(parseConnectorHost(host)).toEqual(key);
  });
});

describe('an image', () => {
  const proxyHost = 'localhost:7450';
  test.each<[image: string, key: ConnectorKey | undefined]>([
    ['localhost:7450/namespaces/demo/connectors/harbor/app:v1', harbor],
    ['localhost:7450/team/app', undefined],
    ['localhost:7451/namespaces/demo/connectors/harbor/app', undefined],
    ['namespaces/demo/connectors/harbor/app', undefined],
    ['c-harbor.demo.svc.cluster.local/app', harbor],
    ['c-x.other.svc.cluster.local/namespaces/demo/connectors/harbor/app', harbor],
    ['c-harbor.example.com/app', undefined],
  ])('%s of ours names %j', (image, key) => {
    const parsed = parseImageReference(image);
    if (!parsed.ok) throw new Error(parsed.reason);
    expect(connectorOfImage(parsed.reference.domain, parsed.reference.path, proxyHost)).toEqual(key);
  });
});

test('what is encoded is decoded', () => {
  fc.assert(
    fc.property(keys, repositories, (key, repository) => {
      expect(parseKey(formatKey(key), 'other')).toEqual(key);
      expect(parseConnectorPath(`${connectorPath(key)}/${repository}`)).toEqual({ connector: key, rest: repository });
      expect(parseConnectorHost(`${connectorHost(key)}:80`)).toEqual(key);
      expect(connectorOfImage('h:1', `${imageAddress('h:1', key)}/${repository}`.slice(4), 'h:1')).toEqual(key);
    }),
  );
});

test('arbitrary text never throws, and takes no time', () => {
  const read = (text: string) => {
    parseKey(text, text);
    parseConnectorPath(text);
    parseConnectorPath(`namespaces/${text}/connectors/${text}/${text}`);
    parseConnectorHost(text);
    connectorOfImage(text, text, text);
  };
  fc.assert(fc.property(arbitraryText(), read));
  const startedAt = performance.now();
  for (const unit of ['a', 'a-', '/', ':1', '.', 'namespaces/a/']) read(unit.repeat(100_000 / unit.length));
  expect(performance.now() - startedAt).toBeLessThan(1000);
});
