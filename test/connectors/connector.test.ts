import { describe, expect, test } from 'vitest';
import { buildCatalogue } from '../../connectors/catalogue.ts';
import type { ConnectorProblem, ResolvedConnector } from '../../connectors/connector.ts';
import { secretValue } from '../../connectors/connector-parts.ts';
import { formatField } from '../../connectors/field-problem.ts';
import type { Document } from '../../connectors/schema.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { classOf, connectorOf, secretOf, withSecret } from './documents.ts';

const { cert, key: privateKey } = makeSelfSigned();
const password = 's3cret-7f3a';
const robot = secretOf('robot', { username: 'robot', password });
const strict = classOf('strict', { auth: { types: [{ name: 'tokenAuth' }] } });

function resolve(...documents: Document[]): ResolvedConnector {
  const connector = buildCatalogue([...documents, robot, strict]).connectors[0];
  if (connector === undefined) throw new Error('no connector');
  return connector;
}

test('a connector comes with all that it names, frozen', () => {
  const params = [
    { name: 'redirect', value: 'follow' },
    { name: 'trustedHosts', value: ' Auth.example.com, ,10.0.0.1:8443 ' },
  ];
  const spec = { ...withSecret('robot'), caCertSecretRef: { name: 'ca' }, params };
  const connector = resolve(connectorOf(spec, { uid: 'u1' }), secretOf('ca', { 'ca.crt': cert }));
  expect(connector).toMatchObject({
    key: { namespace: 'demo', name: 'harbor' },
    uid: 'u1',
    address: { origin: 'https://harbor.example.com' },
    credentials: [{ label: 'spec.auth', kind: 'secret', secret: robot }],
    ca: cert,
    redirect: 'follow',
    trustedHosts: ['auth.example.com', '10.0.0.1:8443'],
    problems: [],
  });
  expect([connector, connector.key, connector.problems].every(Object.isFrozen)).toBe(true);
});

test('a connector without auth, or without Secret where the class allows it, is open', () => {
  expect(resolve(connectorOf())).toMatchObject({ uid: 'demo/harbor', credentials: [], ca: undefined, problems: [] });
  expect(resolve(connectorOf({ auth: { name: 'tokenAuth' } }))).toMatchObject({ credentials: [], problems: [] });
});

test.each<[reason: ConnectorProblem['reason'], field: string, spec: Parameters<typeof connectorOf>[0]]>([
  ['AddressInvalid', 'spec.address', { address: 'ftp://x' }],
  ['ParamInvalid', 'spec.params[0].value', { params: [{ name: 'redirect', value: 'never' }] }],
  [
    'SecretNamespaceForbidden',
    'spec.auth.secretRef.namespace',
    { auth: { name: 'tokenAuth', secretRef: { name: 'robot', namespace: 'other' } } },
  ],
  ['ConnectorClassNotFound', 'spec.connectorClassName', { connectorClassName: 'constructor' }],
  ['AuthTypeUnknown', 'spec.auth.name', { auth: { name: 'basic' } }],
  ['SecretRequired', 'spec.auth', { connectorClassName: 'strict', auth: { name: 'tokenAuth' } }],
  ['SecretNotFound', 'spec.auth.secretRef.name', withSecret('__proto__')],
  ['SecretNotFound', 'spec.caCertSecretRef.name', { caCertSecretRef: { name: 'ca' } }],
  ['CACertInvalid', 'spec.caCertSecretRef.name', { caCertSecretRef: { name: 'robot' } }],
])('%s is a problem of %s', (reason, field, spec) => {
  const { problems } = resolve(connectorOf(spec));
  expect(problems.map((problem) => [problem.reason, formatField(problem.field)])).toEqual([[reason, field]]);
  expect(problems[0]?.message).not.toContain(password);
});

test.each<[value: string, isRight: boolean]>([
  ['', true],
  ['auth.example.com', true],
  ['Auth.Example.com:8443, 10.0.0.1,[fd00::1],[fd00::1]:443, my_host', true],
  ['https://auth.example.com', false],
  ['auth.example.com/token', false],
  ['user@auth.example.com', false],
  ['*.example.com', false],
  ['good.example.com, -bad', false],
  ['auth.example.com:', false],
  ['auth.example.com:https', false],
  ['fd00::1', false],
  ['one two', false],
  ['a\nb', false],
])('trustedHosts %j are hosts: %s', (value, isRight) => {
  const params = [
    { name: 'redirect', value: 'follow' },
    { name: 'trustedHosts', value },
  ];
  const { problems } = resolve(connectorOf({ params }));
  expect(problems.map(({ reason, field }) => `${reason} ${formatField(field)}`)).toEqual(
    isRight ? [] : ['ParamInvalid spec.params[1].value'],
  );
});

test.each([
  ['1', 1],
  ['5000', 5000],
  ['0', undefined],
  ['-1', undefined],
  ['many', undefined],
  ['100000', undefined],
])('maxConcurrentRequests "%s" is %s', (value, expected) => {
  const { problems, maxConcurrentRequests } = resolve(
    connectorOf({ params: [{ name: 'maxConcurrentRequests', value }] }),
  );
  expect(problems.map(({ reason }) => reason)).toEqual(expected === undefined ? ['ParamInvalid'] : []);
  if (expected !== undefined) expect(maxConcurrentRequests).toBe(expected);
});

test('a Secret of another namespace is never used, whatever it is called', () => {
  const foreign = { ...robot, metadata: { namespace: 'other', name: 'foreign' } };
  const auth = { name: 'tokenAuth', secretRef: { name: 'foreign', namespace: 'other' } };
  expect(resolve(connectorOf({ auth }), foreign).credentials).toEqual([]);
  expect(resolve(connectorOf(withSecret('../other/foreign')), foreign).credentials).toEqual([]);
});

describe('a CA', () => {
  test.each<[what: string, data: Record<string, string>, ca: string | undefined]>([
    ['several certificates', { 'ca.crt': cert + cert }, cert + cert],
    ['text around them', { 'ca.crt': `# mine\n${cert}bye` }, cert],
    ['the private key beside it', { 'ca.crt': privateKey + cert }, cert],
    ['the older key', { 'ca.cert': cert }, cert],
    ['a TLS Secret', { 'tls.crt': cert, 'tls.key': privateKey }, cert],
    ['no certificate', { 'ca.crt': privateKey }, undefined],
    ['a broken certificate among them', { 'ca.crt': cert.replace('MII', 'AAA') + cert }, undefined],
    ['nothing', {}, undefined],
  ])('is read from %s', (_what, data, ca) => {
    const connector = resolve(connectorOf({ caCertSecretRef: { name: 'ca' } }), secretOf('ca', data));
    expect(connector.ca).toBe(ca);
    expect(connector.problems.map(({ reason }) => reason)).toEqual(ca === undefined ? ['CACertInvalid'] : []);
  });
});

describe('the revision', () => {
  const spec = { ...withSecret('robot'), caCertSecretRef: { name: 'ca' } };
  const ca = secretOf('ca', { 'ca.crt': cert });
  const revisionOf = (...documents: Document[]) => resolve(...documents, connectorOf(spec), ca).revision;

  test.each<[what: string, document: Document]>([
    ['the Connector', connectorOf({ ...spec, address: 'https://other.example.com' })],
    ['its Secret', secretOf('robot', { username: 'robot', password: 'other' })],
    ['the type of its Secret', secretOf('robot', { username: 'robot', password }, 'kubernetes.io/basic-auth')],
    ['its CA', secretOf('ca', { 'ca.crt': cert + cert })],
    ['its class', classOf('oci', { auth: { types: [{ name: 'tokenAuth', secretType: 'x' }] } })],
  ])('changes with %s', (_what, document) => {
    expect(revisionOf(document)).not.toBe(revisionOf());
  });

  test.each<[what: string, document: Document]>([
    ['the labels and status of the Connector', { ...connectorOf(spec, { labels: { a: 'b' } }), status: {} }],
    ['other Secrets', secretOf('other', { password: 'x' })],
  ])('stays with %s', (_what, document) => {
    expect(revisionOf(document)).toBe(revisionOf());
  });

  test('says nothing of what it is made from', () => {
    expect(revisionOf()).toMatch(/^[\w-]{22}$/);
  });
});

test.each<[key: string, value: string | undefined]>([
  ['plain', 'text'],
  ['both', 'plain'],
  ['encoded', 'ä'],
  ['constructor', undefined],
  ['__proto__', undefined],
])('the value of a Secret under %s is %s', (key, value) => {
  const secret = { ...secretOf('s', { plain: 'text', both: 'plain' }), data: { both: 'eA==', encoded: 'w6Q=\n' } };
  expect(secretValue(secret, key)).toBe(value);
  expect(secretValue({ ...secret, data: null, stringData: null }, key)).toBeUndefined();
});
