import { describe, expect, test } from 'vitest';
import { unreadableConnector } from '../../connectors/connector.ts';
import type { Connector, Document } from '../../connectors/schema.ts';
import { classOf, connectorOf, secretOf, withSecret } from '../connectors/documents.ts';
import { robot, robotSecret } from '../credentials/fixtures.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { at, conditionsIn, factsOf, messageIn, statusFrom, well } from './connector-facts.ts';

const spec = (more: Partial<Connector['spec']>) => connectorOf(more);
const needy = classOf('needy', { auth: { types: [{ name: 'tokenAuth' }] } });
const param = (name: string, value: string) => ({ params: [{ name, value }] });
const dockerConfig = (auths: object) =>
  secretOf('s', { '.dockerconfigjson': JSON.stringify({ auths }) }, 'kubernetes.io/dockerconfigjson');

describe('a problem lands in the condition that it is about', () => {
  test.each<
    [type: string, reason: string, connector: Connector, others: readonly Document[], message: RegExp, also?: object]
  >([
    [
      'ConnectorClassReady',
      'ConnectorClassNotFound',
      spec({ connectorClassName: 'none' }),
      [],
      /^spec\.connectorClassName: there is no ConnectorClass "none"; create the class/,
      { SecretReady: 'Unknown ConnectorClassNotFound', AuthReady: 'Unknown ConnectorClassNotFound' },
    ],
    [
      'LivenessReady',
      'AddressInvalid',
      spec({ address: 'ftp://x' }),
      [],
      /^spec\.address: scheme "ftp:" is not http: or https:; correct/,
      { AuthReady: 'Unknown AddressInvalid' },
    ],
    [
      'SpecValid',
      'ParamInvalid',
      spec(param('redirect', 'no')),
      [],
      /^spec\.params\[0\]\.value: redirect is "no": write/,
    ],
    [
      'SecretReady',
      'SecretNamespaceForbidden',
      spec({ auth: { name: 'tokenAuth', secretRef: { name: 'robot', namespace: 'other' } } }),
      [robotSecret],
      /^spec\.auth\.secretRef\.namespace: is "other".*leave the field out/,
    ],
    [
      'SecretReady',
      'SecretNotFound',
      spec(withSecret('none')),
      [],
      /^spec\.auth\.secretRef\.name: there is no Secret "none" in namespace "demo"; create it/,
      { AuthReady: 'Unknown SecretNotFound', LivenessReady: 'True Well' },
    ],
    [
      'SecretReady',
      'SecretRequired',
      spec({ connectorClassName: 'needy', auth: { name: 'tokenAuth' } }),
      [needy],
      /^spec\.auth: authentication "tokenAuth" needs a secretRef; create a Secret/,
    ],
    [
      'SecretReady',
      'SecretWrongType',
      spec(withSecret('s')),
      [secretOf('s', robot, 'Opaque')],
      /is of type "Opaque".*delete the Secret and create it/,
    ],
    ['SecretReady', 'SecretKeyMissing', spec(withSecret('s')), [secretOf('s', {})], /lacks username and password; add/],
    [
      'SecretReady',
      'SecretMalformed',
      spec(withSecret('s')),
      [secretOf('s', { username: 'a:b', password: 'c' })],
      /has a username with a colon; correct/,
    ],
    [
      'SecretReady',
      'SecretForOtherRegistry',
      spec(withSecret('s')),
      [dockerConfig({ 'other.example.com': { auth: 'YTpi' } })],
      /has no entry for harbor\.example\.com; add an entry/,
      { AuthReady: 'Unknown SecretForOtherRegistry' },
    ],
    [
      'AuthReady',
      'AuthTypeUnknown',
      spec({ auth: { name: 'magic' } }),
      [],
      /^spec\.auth\.name: "magic" is no authentication type of class "oci" \(it has: tokenAuth, ociRegistry, ociVault\); name one/,
      { SecretReady: 'Unknown AuthTypeUnknown' },
    ],
    [
      'AuthReady',
      'RepositoryInvalid',
      spec({ auth: { name: 'tokenAuth', ...param('repository', 'Team/App:v1') } }),
      [],
      /"Team\/App:v1" is no name of a repository/,
    ],
    [
      'AuthReady',
      'RepositoryOutside',
      spec({ address: 'https://x.example.com/team', auth: { name: 'tokenAuth', ...param('repository', 'app') } }),
      [],
      /not below the path "team".*team\/app/,
    ],
    [
      'CACertReady',
      'SecretNotFound',
      spec({ caCertSecretRef: { name: 'ca' } }),
      [],
      /^spec\.caCertSecretRef\.name: there is no Secret "ca"/,
      {
        SecretReady: 'True SecretOptional',
        LivenessReady: 'Unknown SecretNotFound',
        AuthReady: 'Unknown LivenessNotReady',
      },
    ],
    [
      'CACertReady',
      'CACertInvalid',
      spec({ caCertSecretRef: { name: 'ca' } }),
      [secretOf('ca', { 'ca.crt': 'no PEM' })],
      /holds no PEM certificate under ca\.crt; put the PEM/,
    ],
  ])('%s False %s', (type, reason, connector, others, message, also = {}) => {
    const status = statusFrom(factsOf(connector, others));
    expect(conditionsIn(status)).toMatchObject({ [type]: `False ${reason}`, Ready: `False ${reason}`, ...also });
    expect(messageIn(status, type)).toMatch(message);
    expect(messageIn(status, 'Ready')).toBe(messageIn(status, type));
    expect(JSON.stringify(status)).not.toContain(robot.password);
  });

  test('SpecValid False SpecInvalid, of which nothing else can be told', () => {
    const message = 'spec.address: must be a text';
    const problem = { reason: 'SpecInvalid', message, field: ['spec', 'address'] } as const;
    const resolved = unreadableConnector({ namespace: 'demo', name: 'harbor' }, 'uid', problem);
    const status = statusFrom(
      factsOf(connectorOf({ address: '', connectorClassName: '' }), [], { resolved, probes: undefined }),
    );
    expect(conditionsIn(status)).toEqual({
      SpecValid: 'False SpecInvalid',
      ConnectorClassReady: 'Unknown SpecInvalid',
      SecretReady: 'Unknown SpecInvalid',
      CACertReady: 'Unknown SpecInvalid',
      LivenessReady: 'Unknown SpecInvalid',
      AuthReady: 'Unknown SpecInvalid',
      ProxyServiceReady: 'True Well',
      SpecSupported: 'True AllFieldsSupported',
      Ready: 'False SpecInvalid',
    });
  });
});

describe('a connector that is well', () => {
  const { cert } = makeSelfSigned();
  test.each<[what: string, connector: Connector, others: readonly Document[], expected: object]>([
    ['is open', spec({}), [], { SecretReady: 'True SecretOptional', CACertReady: 'True CACertOptional' }],
    ['has an optional Secret', spec({ auth: { name: 'tokenAuth' } }), [], { SecretReady: 'True SecretOptional' }],
    ['has a Secret', spec(withSecret('robot')), [robotSecret], { SecretReady: 'True SecretFound' }],
    [
      'has a Secret for a deeper path',
      spec(withSecret('s')),
      [dockerConfig({ 'harbor.example.com/team': { auth: 'YTpi' } })],
      { SecretReady: 'True SecretFound' },
    ],
    [
      'has a CA',
      spec({ caCertSecretRef: { name: 'ca' } }),
      [secretOf('ca', { 'ca.crt': cert })],
      { CACertReady: 'True CACertFound' },
    ],
    [
      'has fields that we do not act on',
      spec({ addressExtensions: [{ name: 'a', value: 'b' }] }),
      [],
      { SpecSupported: 'False FieldsIgnored' },
    ],
  ])('%s', (_what, connector, others, expected) => {
    expect(conditionsIn(statusFrom(factsOf(connector, others)))).toMatchObject({ Ready: 'True Ready', ...expected });
  });

  test('shows its addresses in the host form', () => {
    expect(statusFrom(factsOf(connectorOf({}, { generation: 3 })))).toMatchObject({
      observedGeneration: 3,
      proxy: {
        httpAddress: { url: 'http://c-harbor.demo.svc.cluster.local', audience: 'oci-connector' },
        nodeAddress: 'localhost:7450/namespaces/demo/connectors/harbor',
      },
    });
  });

  test('shows what to trust where the proxy has HTTPS, and the new once that has changed', () => {
    const facts = factsOf(connectorOf({}, { generation: 3 }));
    expect(statusFrom(facts).proxy?.httpAddress).not.toHaveProperty('CACerts');
    const first = statusFrom(facts, {}, at, { caBundle: 'first' });
    expect(first.proxy?.httpAddress?.CACerts).toBe('first');
    expect(statusFrom(facts, first, at, { caBundle: 'first' })).toBe(first);
    const second = statusFrom(facts, first, at, { caBundle: 'second' });
    expect(second).toEqual({
      ...first,
      proxy: { ...first.proxy, httpAddress: { ...first.proxy?.httpAddress, CACerts: 'second' } },
    });
  });

  test.each([
    ['path', 'http://c-harbor.demo.svc.cluster.local/namespaces/demo/connectors/harbor'],
    ['host', 'http://c-harbor.demo.svc.cluster.local'],
    ['neither', 'http://c-harbor.demo.svc.cluster.local'],
  ])('shows the form that its class chose: %s', (form, url) => {
    const annotations = { 'connectors.cpaas.io/proxy-resolver': form };
    const connectorClass = { ...classOf('own'), metadata: { name: 'own', annotations } };
    const facts = factsOf(spec({ connectorClassName: 'own' }), [connectorClass]);
    expect(statusFrom(facts).proxy?.httpAddress?.url).toBe(url);
  });
});

describe('what has not been probed', () => {
  const unprobed = (generation = 1) => factsOf(connectorOf({}, { generation }), [], { probes: undefined });
  const probed = statusFrom(factsOf(connectorOf({}, { generation: 1 })));

  test('is unknown', () => {
    const expected = { LivenessReady: 'Unknown Probing', AuthReady: 'Unknown Probing', Ready: 'Unknown Probing' };
    expect(conditionsIn(statusFrom(unprobed()))).toMatchObject(expected);
  });

  test('is as another leader found it, for the same spec', () => {
    expect(statusFrom(unprobed(), probed, at + 5_000)).toBe(probed);
    expect(conditionsIn(statusFrom(unprobed(2), probed))).toMatchObject({ LivenessReady: 'Unknown Probing' });
  });

  test('of authentication waits for the registry to be there', () => {
    const liveness = { status: 'False', reason: 'Timeout', message: 'x' } as const;
    const status = statusFrom(factsOf(connectorOf(), [], { probes: { liveness, authentication: undefined } }), probed);
    expect(conditionsIn(status)).toMatchObject({ AuthReady: 'Unknown LivenessNotReady', Ready: 'False Timeout' });
  });
});

describe('a status that says the same', () => {
  const facts = factsOf(connectorOf({}, { generation: 1 }));
  const status = statusFrom(facts);

  test('is the same object, so that nothing is written', () => {
    expect(statusFrom(facts, status, at + 60_000)).toBe(status);
    expect(statusFrom(facts, structuredClone(status), at + 60_000)).toEqual(status);
  });

  test('keeps the time of its last transition, also when words change', () => {
    const service = { ...well, message: 'other words' };
    const later = statusFrom({ ...facts, service }, status, at + 60_000);
    const timeOf = (type: string, of = later) =>
      of.conditions?.find((condition) => condition.type === type)?.lastTransitionTime;
    expect(timeOf('ProxyServiceReady')).toBe('2026-01-01T00:00:00Z');
    const failed = statusFrom({ ...facts, service: { ...well, status: 'False' } }, later, at + 120_000);
    expect([timeOf('ProxyServiceReady', failed), timeOf('SecretReady', failed)]).toEqual([
      '2026-01-01T00:02:00Z',
      '2026-01-01T00:00:00Z',
    ]);
  });

  test('keeps what others wrote into it', () => {
    const other = { type: 'Audited', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' } as const;
    const mixed = { ...status, conditions: [other, ...(status.conditions ?? [])] };
    expect(statusFrom(facts, mixed)).toBe(mixed);
  });
});

test('templates of the class that cannot be read are told, and keep nobody from pulling', () => {
  const broken = classOf('broken', { configurations: [{ name: 'npm', data: { '.npmrc': 'x\n{{ if }}' } }] });
  const { conditions } = statusFrom(factsOf(connectorOf({ connectorClassName: 'broken' }), [broken]));
  expect(conditionsIn({ conditions })).toMatchObject({
    ConnectorClassReady: 'True ConfigurationsInvalid',
    Ready: 'True Ready',
  });
  expect(messageIn({ conditions }, 'ConnectorClassReady')).toMatch(
    /^ConnectorClass "broken": configuration "npm", file "\.npmrc", line 2, column \d+: /,
  );
});

test('of many broken templates the first are told, and how many more there are', () => {
  const data = Object.fromEntries(Array.from({ length: 700 }, (_, at) => [`f${at}`, '{{']));
  const broken = classOf('broken', {
    configurations: [{ name: 'x'.repeat(250), data: { ...data, [`${'y'.repeat(40_000)}/`]: '' } }],
  });
  const { conditions } = statusFrom(factsOf(connectorOf({ connectorClassName: 'broken' }), [broken]));
  const message = messageIn({ conditions }, 'ConnectorClassReady');
  expect(message).toMatch(/; and 696 more$/);
  expect(message.length).toBeLessThan(6000);
});
