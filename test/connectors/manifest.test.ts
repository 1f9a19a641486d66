import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatProblem } from '../../connectors/field-problem.ts';
import { parseManifests } from '../../connectors/manifest.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';

const problemsOf = (text: string) => parseManifests(text, 'f.yaml').problems.map(formatProblem);

const connector = (spec: string) => `apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata: {name: harbor}
spec:
${spec}`;

const secret = (password: string) => `apiVersion: v1
kind: Secret
metadata: {name: harbor}
stringData:
  username: robot
  password: ${password}
`;

/** Everything that the public documentation of the group names (spec.auth.params, addressExtensions, …). */
const documented = `# a comment
---
apiVersion: v1
kind: Namespace
metadata: {name: demo, labels: {connectors.cpaas.io/proxy-inject: "true"}}
---
apiVersion: connectors.alauda.io/v1alpha1
kind: ConnectorClass
metadata: {name: oci, annotations: {connectors.cpaas.io/proxy-resolver: path}}
spec:
  address: {type: string}
  auth: {types: [{name: tokenAuth, secretType: cpaas.io/distribution-registry-token, optional: true, params: []}]}
  configurations: [{name: registry-config, data: {config.json: "{}"}, params: []}]
  livenessProbe: {http: {path: /v2/}}
  authProbes: [{authName: tokenAuth}]
  proxy: {uri: "http://proxy"}
---
apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata: {name: harbor, namespace: demo, creationTimestamp: null, managedFields: [{manager: kubectl}]}
spec:
  connectorClassName: oci
  address: https://harbor.example.com
  addressExtensions: [{name: mirror, value: https://mirror.example.com}]
  auth:
    name: tokenAuth
    params: [{name: repository, value: team/app}]
    secretRef: {name: harbor, namespace: demo}
  caCertSecretRef: {name: harbor-ca}
  params: [{name: redirect, value: follow}]
status: {conditions: []}
---
apiVersion: v1
kind: Secret
metadata: {name: harbor, namespace: demo}
type: cpaas.io/distribution-registry-token
data: {username: cm9ib3Q=, password: czNjcmV0}
immutable: true
`;

test('documents of every kind and documented field are read, whatever they are separated by', () => {
  const { documents, problems, skipped } = parseManifests(`${documented}---\n---\n...\n`, 'f.yaml');
  expect({ problems, skipped }).toEqual({ problems: [], skipped: [] });
  expect(documents.map(({ value }) => value.kind)).toEqual(['Namespace', 'ConnectorClass', 'Connector', 'Secret']);
  expect(documents[2]?.lineOf(['spec', 'auth', 'secretRef', 'name'])).toBe(28);
  expect(documents[2]?.lineOf(['spec', 'params', 7, 'value'])).toBe(30);
});

test('an empty file is no problem, and kinds of others are passed over', () => {
  expect(parseManifests('', 'f.yaml')).toEqual({ documents: [], problems: [], skipped: [] });
  const text =
    'apiVersion: apps/v1\nkind: Deployment\nspec: {whatever: 1}\n---\napiVersion: v1\nkind: List\nitems: []\n';
  expect(parseManifests(text, 'f.yaml')).toEqual({
    documents: [],
    problems: [],
    skipped: ['apps/v1 Deployment', 'v1 List'],
  });
});

test.each<[what: string, text: string, problems: string[]]>([
  [
    'unknown fields',
    connector(
      '  connectorClassName: oci\n  adress: x\n  address: r\n  auth: {name: a, secretRef: {name: s, key: k}}\n',
    ),
    ['f.yaml:8: spec.auth.secretRef.key: unknown field', 'f.yaml:6: spec.adress: unknown field'],
  ],
  [
    'unknown fields with names that JavaScript knows',
    connector('  connectorClassName: oci\n  address: r\n  __proto__: {}\nconstructor: {}\n'),
    ['f.yaml:7: spec.__proto__: unknown field', 'f.yaml:8: constructor: unknown field'],
  ],
  [
    'missing fields, at their nearest parent',
    connector('  connectorClassName: oci\n'),
    ['f.yaml:4: spec.address: Invalid input: expected string, received undefined'],
  ],
  [
    'items of lists',
    connector(
      '  connectorClassName: oci\n  address: r\n  params:\n    - {name: a, value: b}\n    - name: c\n      value: 7\n',
    ),
    ['f.yaml:10: spec.params[1].value: Invalid input: expected string, received number'],
  ],
  [
    'names that are none',
    connector('  connectorClassName: oci\n  address: r\n').replace('harbor', 'Harbor'),
    ['f.yaml:3: metadata.name: must be a DNS label (lower case letters, digits, "-") of at most 61 characters'],
  ],
  [
    'versions of ours that there are not',
    connector('').replace('v1alpha1', 'v1'),
    [expect.stringMatching(/^f.yaml:2: kind: there is no connectors.alauda.io\/v1 Connector: the kinds are /)],
  ],
  [
    'documents without kind',
    'a: 1\n---\n[1]\n',
    [
      'f.yaml:1: a document needs the texts apiVersion and kind',
      'f.yaml:3: a document needs the texts apiVersion and kind',
    ],
  ],
  ['data that is not base64', secret('"%"').replace('stringData', 'data'), ['f.yaml:6: data.password: must be base64']],
  [
    'values of Secrets, without the value',
    secret('[s3cret]'),
    ['f.yaml:6: stringData.password: Invalid input: expected string, received array'],
  ],
  ['YAML', `${secret('x')}---\n${secret('*x')}`, [expect.stringMatching(/^f.yaml:13: an alias without anchor/)]],
  [
    'aliases that multiply',
    'a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nd: &d [*c,*c,*c]\ne: [*d,*d,*d]',
    ['f.yaml:1: its aliases make it too large'],
  ],
])('a problem of %s names file, line and field', (_what, text, problems) => {
  expect(problemsOf(text)).toEqual(problems);
});

test('of a document not more than ten problems are named', () => {
  const fields = Array.from({ length: 5000 }, (_, at) => `  field${at}: x\n`).join('');
  expect(problemsOf(connector(fields))).toHaveLength(10);
  expect(problemsOf(secret('x') + '  password: y\n'.repeat(5000))).toHaveLength(10);
});

test('arbitrary text never throws', () => {
  const pieces = fc.oneof(
    arbitraryText({ maxLength: 5 }),
    fc.constantFrom(...'\n:-&*![{|', '  ', ': ', '- ', '&a ', '*a', '!!map ', '%YAML 1.1\n', '---\n', '...\n'),
    fc.constantFrom(documented, connector('  address: r\n'), secret('x')),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 15 }), (parts) => {
      const { problems } = parseManifests(parts.join(''), 'f.yaml');
      expect(problems.every(({ line, message }) => line >= 1 && message !== '')).toBe(true);
    }),
  );
});
