import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { builtinClasses } from '../../connectors/builtin-class.ts';
import { formatField } from '../../connectors/field-problem.ts';
import { ignoredFields } from '../../connectors/ignored-fields.ts';
import { parseManifests } from '../../connectors/manifest.ts';
import type { Connector, ConnectorClass } from '../../connectors/schema.ts';
import { tunnelHostsAnnotation } from '../../connectors/tunnel-hosts.ts';
import { classOf, connectorOf } from './documents.ts';

const read = (path: string) => readFileSync(join(import.meta.dirname, '../..', path), 'utf8');
const documents = parseManifests(read('deploy/examples/every-field.yaml'), 'every-field.yaml').documents;
const everyField = documents.map(({ value }) => value) as [ConnectorClass, Connector];

test('of the documented fields these are ignored', () => {
  const [connectorClass, connector] = everyField;
  expect(ignoredFields(connector, connectorClass).map(formatField)).toEqual([
    'spec.addressExtensions',
    'spec.params[1]',
    'ConnectorClass.spec.address',
    'ConnectorClass.spec.livenessProbe',
    'ConnectorClass.spec.authProbes',
    'ConnectorClass.spec.proxy',
    'ConnectorClass.spec.auth.types[0].params',
  ]);
});

test('each field of a class that is ignored stands in the documentation', () => {
  const text = read('docs/compatibility.md');
  const spec = { address: 1, addressExtensions: 1, params: 1, api: 1 } as const;
  const probes = { livenessProbe: 1, authProbes: 1, proxy: 1 };
  const fields = ignoredFields(connectorOf(), classOf('x', { ...spec, ...probes }));
  expect(fields).toHaveLength(7);
  for (const field of fields) expect(text).toContain(`\`${formatField(field.slice(1))}\``);
});

test.each<[what: string, connector: Connector, connectorClass: ConnectorClass | undefined]>([
  ['the built-in class', connectorOf(), builtinClasses[0]],
  ['no class', connectorOf(), undefined],
  ['empty lists', connectorOf({ addressExtensions: [], params: [] }), classOf('x', { configurations: [], auth: {} })],
  ['nulls', connectorOf(), classOf('x', { livenessProbe: null })],
  [
    'what we act on',
    connectorOf({
      auth: { name: 'tokenAuth', params: [{ name: 'repository', value: 'a' }] },
      params: [
        { name: 'redirect', value: 'follow' },
        { name: 'trustedHosts', value: 'a' },
      ],
    }),
    classOf('x', { auth: { types: [{ name: 'tokenAuth', secretType: 'kubernetes.io/basic-auth', params: [] }] } }),
  ],
])('nothing is ignored of %s', (_what, connector, connectorClass) => {
  expect(ignoredFields(connector, connectorClass)).toEqual([]);
});

test('parameters that nobody asks for, and types of Secrets that nobody reads, are ignored', () => {
  const connector = connectorOf({ auth: { name: 'a', params: [{ name: 'x', value: '1' }] } });
  const connectorClass = classOf('x', { auth: { types: [{ name: 'ssh', secretType: 'kubernetes.io/ssh-auth' }] } });
  expect(ignoredFields(connector, connectorClass).map(formatField)).toEqual([
    'spec.auth.params[0]',
    'ConnectorClass.spec.auth.types[0].secretType',
  ]);
});

test('entries of the tunnel hosts that cannot be read are ignored, each at its position', () => {
  const annotations = { [tunnelHostsAnnotation]: 'good.example, *.com, http://bad.example' };
  const connectorClass = { ...classOf('x', {}), metadata: { name: 'x', annotations } };
  expect(ignoredFields(connectorOf(), connectorClass).map(formatField)).toEqual([
    'ConnectorClass.metadata.annotations.connectors.cpaas.io/tunnel-hosts[1]',
    'ConnectorClass.metadata.annotations.connectors.cpaas.io/tunnel-hosts[2]',
  ]);
});
