import { describe, expect, onTestFinished, test } from 'vitest';
import { buildCatalogue } from '../../connectors/catalogue.ts';
import { ClusterStore } from '../../connectors/cluster-store.ts';
import type { ResolvedConnector } from '../../connectors/connector.ts';
import type { ConnectorProblem } from '../../connectors/connector-parts.ts';
import { formatField } from '../../connectors/field-problem.ts';
import type { ImagePullSecret } from '../../connectors/image-pull-secrets.ts';
import { type AuthType, type Connector, type Document, secretNamesOf } from '../../connectors/schema.ts';
import type { KubernetesObject } from '../../platform/kubernetes/object.ts';
import { FakeInformer, FakeWatches } from './cluster-fakes.ts';
import { classOf, connectorOf, secretOf, withSecret } from './documents.ts';

const password = 's3cret-7f3a';
const robot = secretOf('robot', { username: 'robot', password });
const base64 = (text: string) => Buffer.from(text).toString('base64');
const secretId = 'ocid1.vaultsecret.oc1.eu-frankfurt-1.aaaa';
const endpoint = 'harbor.example.com';
const vault: ImagePullSecret = { secretType: 'VAULT', registryEndpoint: endpoint, secretId };
const basic: ImagePullSecret = {
  secretType: 'BASIC',
  registryEndpoint: endpoint,
  username: base64('inline'),
  password: base64(password),
};
const named: ImagePullSecret = { secretType: 'SECRET', registryEndpoint: endpoint, secretRef: { name: 'robot' } };

type Allow = NonNullable<AuthType['allow']>;
const classAllowing = (allow: Allow | undefined, further: readonly AuthType[] = []) =>
  classOf('oci', {
    auth: {
      types: [
        { name: 'tokenAuth', optional: true },
        { name: 'needy' },
        { name: 'ociRegistry', source: 'ociRegistry', ...(allow && { allow }) },
        { name: 'ociVault', source: 'ociVault', ...(allow && { allow }) },
        ...further,
      ],
    },
  });
const demo: Allow = [{ namespaces: ['demo'], secretIds: [secretId] }];

function resolve(spec: Partial<Connector['spec']>, ...documents: Document[]): ResolvedConnector {
  const connector = buildCatalogue([connectorOf(spec), ...documents]).connectors[0];
  if (connector === undefined) throw new Error('no connector');
  return connector;
}

const said = ({ reason, field }: ConnectorProblem) => `${reason} ${formatField(field)}`;
/** `label: kind`, or why it is passed over. */
const originsOf = ({ credentials }: ResolvedConnector) =>
  credentials.map((origin) => `${origin.label}: ${origin.kind === 'unusable' ? said(origin.problem) : origin.kind}`);
const problemsOf = ({ problems }: ResolvedConnector) => problems.map(said);
const vaultAuth = (value: string | undefined = secretId) => ({
  auth: { name: 'ociVault', ...(value !== undefined && { params: [{ name: 'secretId', value }] }) },
});

describe('credentials of a connector', () => {
  test('are that of auth, and then the entries in their order', () => {
    const spec = { ...withSecret('robot'), imagePullSecrets: [vault, basic, named] };
    const connector = resolve(spec, classAllowing(demo), robot);
    expect(connector.credentials).toEqual([
      { label: 'spec.auth', kind: 'secret', secret: robot },
      { label: 'spec.imagePullSecrets[0]', entry: vault, kind: 'ociVault', secretId },
      { label: 'spec.imagePullSecrets[1]', entry: basic, kind: 'basic', username: 'inline', password },
      { label: 'spec.imagePullSecrets[2]', entry: named, kind: 'secret', secret: robot },
    ]);
    expect(connector.problems).toEqual([]);
    expect(Object.isFrozen(connector.credentials)).toBe(true);
  });

  test.each<[what: string, spec: Partial<Connector['spec']>, origins: string[]]>([
    ['without auth and entries', {}, []],
    ['without entries', { imagePullSecrets: [] }, []],
    ['the registry’s own', { auth: { name: 'ociRegistry' } }, ['spec.auth: ociRegistry']],
    ['a Vault secret', vaultAuth(), ['spec.auth: ociVault']],
    [
      'optional auth without a Secret',
      { auth: { name: 'tokenAuth' }, imagePullSecrets: [named] },
      ['spec.imagePullSecrets[0]: secret'],
    ],
    [
      'auth that needs a Secret, where there are entries',
      { auth: { name: 'needy' }, imagePullSecrets: [named] },
      ['spec.imagePullSecrets[0]: secret'],
    ],
  ])('%s', (_what, spec, origins) => {
    const connector = resolve(spec, classAllowing(demo), robot);
    expect(originsOf(connector)).toEqual(origins);
    expect(problemsOf(connector)).toEqual([]);
  });

  test('of auth that needs a Secret need entries, or one', () => {
    const connector = resolve({ auth: { name: 'needy' }, imagePullSecrets: [] }, classAllowing(demo));
    expect(problemsOf(connector)).toEqual(['SecretRequired spec.auth']);
  });
});

describe('who may spend the identity of the controller', () => {
  const nobody = 'SourceForbidden spec.imagePullSecrets[0].secretId';
  test.each<[what: string, isAllowed: boolean, allow: Allow | undefined, address?: string]>([
    ['nobody, where nothing is said', false, undefined],
    ['nobody, where the list is empty', false, []],
    ['the namespace that is listed', true, demo],
    ['no other namespace', false, [{ namespaces: ['other'], secretIds: [secretId] }]],
    ['no namespace that begins so', false, [{ namespaces: ['dem', 'demo-2'], secretIds: [secretId] }]],
    ['all namespaces', true, [{ namespaces: ['*'], secretIds: [secretId] }]],
    ['nobody by a pattern', false, [{ namespaces: ['de*'], secretIds: [secretId] }]],
    ['for no secret that is not listed', false, [{ namespaces: ['demo'], secretIds: ['ocid1.other'] }]],
    ['for no secret, where none is listed', false, [{ namespaces: ['demo'] }]],
    [
      'not by two rules that are half right',
      false,
      [{ namespaces: ['demo'] }, { namespaces: ['x'], secretIds: [secretId] }],
    ],
    ['by the second rule', true, [{ namespaces: ['x'] }, ...demo]],
  ])('%s: %s', (_what, isAllowed, allow) => {
    const connector = resolve({ imagePullSecrets: [vault] }, classAllowing(allow));
    expect(originsOf(connector)).toEqual([`spec.imagePullSecrets[0]: ${isAllowed ? 'ociVault' : nobody}`]);
    expect(problemsOf(resolve(vaultAuth(), classAllowing(allow)))).toEqual(
      isAllowed ? [] : ['SourceForbidden spec.auth.params[0].value'],
    );
  });

  test.each<[listed: string[] | undefined, address: string, isAllowed: boolean]>([
    [undefined, 'https://fra.ocir.io/tenancy', true],
    [[], 'https://fra.ocir.io/tenancy', false],
    [['fra.ocir.io'], 'https://fra.ocir.io', true],
    [['fra.ocir.io'], 'https://fra.ocir.io/tenancy/app', true],
    [['https://fra.ocir.io:443/'], 'fra.ocir.io/tenancy', true],
    [['fra.ocir.io/tenancy'], 'https://fra.ocir.io/tenancy', true],
    [['fra.ocir.io/tenancy'], 'https://fra.ocir.io/tenancy/app', true],
    [['fra.ocir.io/tenancy'], 'https://fra.ocir.io/tenancy-2/app', false],
    [['fra.ocir.io/tenancy'], 'https://fra.ocir.io', false],
    [['fra.ocir.io'], 'https://iad.ocir.io', false],
    [['fra.ocir.io'], 'https://fra.ocir.io.example.com', false],
    [['fra.ocir.io'], 'https://fra.ocir.io:8443', false],
    [['fra.ocir.io'], 'http://fra.ocir.io', false],
    [['ftp://fra.ocir.io'], 'https://fra.ocir.io', false],
    [['iad.ocir.io', 'fra.ocir.io'], 'https://fra.ocir.io', true],
  ])('for addresses %j it is the connector to %s: %s', (addresses, address, isAllowed) => {
    const allow: Allow = [{ namespaces: ['demo'], ...(addresses && { addresses }) }];
    const connector = resolve({ address, auth: { name: 'ociRegistry' } }, classAllowing(allow));
    expect(problemsOf(connector)).toEqual(isAllowed ? [] : ['SourceForbidden spec.auth.name']);
    expect(originsOf(connector)).toEqual(isAllowed ? ['spec.auth: ociRegistry'] : []);
  });

  test('is said by the type that auth names, and for entries by all types with that source', () => {
    const listing: AuthType = { name: 'more', source: 'ociVault', allow: demo };
    const connector = resolve({ ...vaultAuth(), imagePullSecrets: [vault] }, classAllowing([], [listing]));
    expect(problemsOf(connector)).toEqual(['SourceForbidden spec.auth.params[0].value']);
    expect(originsOf(connector)).toEqual(['spec.imagePullSecrets[0]: ociVault']);
    const ofRegistry: AuthType = { name: 'more', source: 'ociRegistry', allow: demo };
    expect(originsOf(resolve({ imagePullSecrets: [vault] }, classAllowing([], [ofRegistry])))[0]).toContain(nobody);
  });

  test('is nobody by the class that is built in, which has both sources', () => {
    expect(problemsOf(resolve({ auth: { name: 'ociRegistry' } }))).toEqual(['SourceForbidden spec.auth.name']);
    expect(problemsOf(resolve(vaultAuth()))).toEqual(['SourceForbidden spec.auth.params[0].value']);
    const entry = originsOf(resolve({ imagePullSecrets: [vault] }));
    expect(entry).toEqual([`spec.imagePullSecrets[0]: ${nobody}`]);
  });

  test.each<[what: string, allow: Allow, message: RegExp]>([
    ['the namespace', [], /class "oci" does not let namespace "demo" use the identity of the controller/i],
    [
      'the address',
      [{ namespaces: ['demo'], addresses: ['other.example.com'] }],
      /class "oci" does not let a connector of this address use the identity/i,
    ],
  ])('is told with what to do, and whether it is %s', (_what, allow, message) => {
    const [problem] = resolve({ auth: { name: 'ociRegistry' } }, classAllowing(allow)).problems;
    expect(problem?.message).toMatch(message);
    expect(problem?.message).toMatch(
      /administrator lists it under spec\.auth\.types\[\]\.allow .* source ociRegistry$/,
    );
  });
});

describe('what is wrong', () => {
  const nothing = 'ocid1 of nothing';
  test.each<[problem: string, entry: ImagePullSecret]>([
    ['EntryInvalid spec.imagePullSecrets[0].secretId', { secretType: 'VAULT', registryEndpoint: endpoint }],
    ['EntryInvalid spec.imagePullSecrets[0].registryEndpoint', { ...named, registryEndpoint: 'https://' }],
    ['EntryInvalid spec.imagePullSecrets[0].password', { ...basic, password: password }],
    ['SecretIdInvalid spec.imagePullSecrets[0].secretId', { ...vault, secretId: nothing }],
    ['SecretNotFound spec.imagePullSecrets[0].secretRef.name', { ...named, secretRef: { name: 'none' } }],
    ['SecretNotFound spec.imagePullSecrets[0].secretRef.name', { ...named, secretRef: { name: '__proto__' } }],
  ])('with an entry is told of it, %s, and the others go on', (problem, entry) => {
    const connector = resolve({ imagePullSecrets: [entry, named] }, classAllowing(demo), robot);
    expect(originsOf(connector)).toEqual([`spec.imagePullSecrets[0]: ${problem}`, 'spec.imagePullSecrets[1]: secret']);
    expect(connector.problems).toEqual([]);
    const [origin] = connector.credentials;
    expect(origin?.kind === 'unusable' && origin.problem.message).not.toContain(password);
  });

  test.each<[value: string | undefined, field: string]>([
    [undefined, 'spec.auth.params'],
    ['', 'spec.auth.params[0].value'],
    ['../../20160918/users', 'spec.auth.params[0].value'],
    ['a b', 'spec.auth.params[0].value'],
  ])('with the secretId %j is a problem of %s', (value, field) => {
    const auth = { name: 'ociVault', ...(value !== undefined && { params: [{ name: 'secretId', value }] }) };
    expect(problemsOf(resolve({ auth }, classAllowing(demo)))).toEqual([`SecretIdInvalid ${field}`]);
  });

  test('with auth stays a problem of the connector, whatever entries there are', () => {
    const spec = { ...withSecret('none'), imagePullSecrets: [named] };
    const connector = resolve(spec, robot);
    expect(problemsOf(connector)).toEqual(['SecretNotFound spec.auth.secretRef.name']);
    expect(originsOf(connector)).toEqual(['spec.imagePullSecrets[0]: secret']);
  });

  test('with the class says once what it is', () => {
    const connector = resolve({ connectorClassName: 'none', imagePullSecrets: [vault, named] }, robot);
    expect(problemsOf(connector)).toEqual(['ConnectorClassNotFound spec.connectorClassName']);
    expect(originsOf(connector)[0]).toContain('SourceForbidden');
  });
});

describe('a password that stands in the connector', () => {
  const inline = connectorOf({ imagePullSecrets: [basic, named] });
  const asObject = (document: Document) => document as unknown as KubernetesObject;

  test('is used from a folder of manifests', () => {
    expect(originsOf(resolve({ imagePullSecrets: [basic] }))).toEqual(['spec.imagePullSecrets[0]: basic']);
  });

  test('is not used in a cluster, where everybody reads it who reads Connectors', async () => {
    const [connectors, classes, namespaces] = [new FakeInformer(), new FakeInformer(), new FakeInformer()];
    const secrets = new FakeWatches();
    const store = new ClusterStore({ connectors, classes, namespaces, secrets });
    onTestFinished(() => store.close());
    secrets.put(asObject(robot));
    const changed = new Promise<void>((resolve) => {
      store.onChange(() => {
        if (store.catalogue.connector({ namespace: 'demo', name: 'harbor' })?.credentials[1]?.kind === 'secret')
          resolve();
      });
    });
    connectors.put(asObject(inline));
    await changed;
    const connector = store.catalogue.connector({ namespace: 'demo', name: 'harbor' });
    expect(connector && originsOf(connector)).toEqual([
      'spec.imagePullSecrets[0]: InlinePasswordForbidden spec.imagePullSecrets[0].password',
      'spec.imagePullSecrets[1]: secret',
    ]);
    const origin = connector?.credentials[0];
    const message = origin?.kind === 'unusable' ? origin.problem.message : '';
    expect(message).toMatch(/put it into a Secret, write secretType SECRET and name it in secretRef/);
    expect(message).toMatch(/change the password/);
    expect(message).not.toContain(password);
    expect(message).not.toContain(base64(password));
    expect(secrets.wanted).toEqual(['demo/robot']);
  });
});

test('Secrets of entries are among those that a connector names, each once', () => {
  const other: ImagePullSecret = { ...named, secretRef: { name: 'other' } };
  const spec = { ...withSecret('robot'), caCertSecretRef: { name: 'ca' }, imagePullSecrets: [vault, named, other] };
  expect(secretNamesOf(connectorOf(spec))).toEqual(['robot', 'ca', 'other']);
});

describe('the revision of a connector with entries', () => {
  const spec = { imagePullSecrets: [named, basic, vault] };
  const revisionOf = (entries: ImagePullSecret[] = spec.imagePullSecrets, ...documents: Document[]) =>
    resolve({ imagePullSecrets: entries }, ...documents, classAllowing(demo), robot).revision;

  test.each<[what: string, changed: () => string]>([
    ['the Secret of an entry', () => revisionOf(undefined, secretOf('robot', { username: 'robot', password: 'new' }))],
    ['an inline password', () => revisionOf([named, { ...basic, password: base64('new') }, vault])],
    ['the order of entries', () => revisionOf([basic, named, vault])],
    ['who may use a Vault secret', () => resolve(spec, classAllowing([]), robot).revision],
  ])('changes with %s', (_what, changed) => {
    expect(changed()).not.toBe(revisionOf());
  });

  test('stays with everything as it is', () => {
    expect(revisionOf()).toBe(revisionOf());
  });
});
