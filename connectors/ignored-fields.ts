import type { FieldPath } from './field-problem.ts';
import { type Connector, type ConnectorClass, secretTypes } from './schema.ts';
import { parseTunnelHosts, tunnelHostsAnnotation } from './tunnel-hosts.ts';

/** Parameters of `spec.params` and `spec.auth.params` that we act on. */
const knownParams: ReadonlySet<string> = new Set([
  'maxConcurrentRequests',
  'redirect',
  'trustedHosts',
  'whenUnavailable',
]);
const knownAuthParams: ReadonlySet<string> = new Set(['repository', 'secretId']);
const readableSecretTypes: ReadonlySet<string> = new Set(Object.values(secretTypes));
const ignoredClassFields = [
  'address',
  'addressExtensions',
  'params',
  'livenessProbe',
  'authProbes',
  'proxy',
  'api',
] as const;

/**
 * The documented fields that a Connector and its class have, and that we accept without acting on them (see
 * docs/compatibility.md). Fields of the class stand below `ConnectorClass`: `ConnectorClass.spec.livenessProbe`.
 */
export function ignoredFields(connector: Connector, connectorClass: ConnectorClass | undefined): readonly FieldPath[] {
  return [...ignoredOfConnector(connector), ...(connectorClass === undefined ? [] : ignoredOfClass(connectorClass))];
}

function ignoredOfConnector({ spec }: Connector): readonly FieldPath[] {
  return [
    ...(spec.addressExtensions?.length ? [['spec', 'addressExtensions']] : []),
    ...unknownParams(spec.auth?.params, knownAuthParams, ['spec', 'auth', 'params']),
    ...unknownParams(spec.params, knownParams, ['spec', 'params']),
  ];
}

function unknownParams(
  params: Connector['spec']['params'],
  known: ReadonlySet<string>,
  field: FieldPath,
): readonly FieldPath[] {
  return (params ?? []).flatMap(({ name }, at) => (known.has(name) ? [] : [[...field, at]]));
}

function ignoredOfClass({ metadata, spec }: ConnectorClass): readonly FieldPath[] {
  const fields = ignoredClassFields.filter((field) => !isEmpty(spec[field])).map((field) => ['spec', field]);
  const ofTypes = (spec.auth?.types ?? []).flatMap((type, at) => [
    ...(type.secretType === undefined || readableSecretTypes.has(type.secretType)
      ? []
      : [['spec', 'auth', 'types', at, 'secretType']]),
    ...(isEmpty(type.params) ? [] : [['spec', 'auth', 'types', at, 'params']]),
  ]);
  const { invalid } = parseTunnelHosts(metadata.annotations?.[tunnelHostsAnnotation]);
  const ofTunnels = invalid.map((at) => ['metadata', 'annotations', tunnelHostsAnnotation, at]);
  return [...fields, ...ofTypes, ...ofTunnels].map((field) => ['ConnectorClass', ...field]);
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (Array.isArray(value) && value.length === 0);
