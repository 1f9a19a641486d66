import { buildCatalogue } from '../../connectors/catalogue.ts';
import type { Connector, ConnectorClass, Document } from '../../connectors/schema.ts';
import type { ConnectorStatus } from '../../connectors/status.ts';
import { type ConnectorFacts, connectorStatus, type ProxyAddresses } from '../../controller/connector-status.ts';

const addresses: ProxyAddresses = { imageHost: 'localhost:7450', clusterDomain: 'cluster.local' };
export const at = Date.parse('2026-01-01T00:00:00Z');
export const well = { status: 'True', reason: 'Well', message: '' } as const;

const oci: ConnectorClass = {
  apiVersion: 'connectors.alauda.io/v1alpha1',
  kind: 'ConnectorClass',
  metadata: { name: 'oci' },
  spec: { auth: { types: [{ name: 'tokenAuth', optional: true }] } },
};

/** Facts of a connector that is well, among the documents that it names. */
export function factsOf(
  connector: Connector,
  others: readonly Document[] = [],
  more: Partial<ConnectorFacts> = {},
): ConnectorFacts {
  const resolved = buildCatalogue([connector, ...others]).connectors[0];
  if (resolved === undefined) throw new Error('no connector');
  const classes = [...others, oci].filter((document) => document.kind === 'ConnectorClass');
  const connectorClass = classes.find(({ metadata }) => metadata.name === connector.spec.connectorClassName);
  const probes = { liveness: well, authentication: well };
  return { connector, resolved, connectorClass, service: well, probes, ...more };
}

export const statusFrom = (
  facts: ConnectorFacts,
  previous: ConnectorStatus = {},
  now = at,
  more: Partial<ProxyAddresses> = {},
): ConnectorStatus => connectorStatus(facts, previous, { ...addresses, ...more }, now);

/** `type: status reason` of each condition. */
export const conditionsIn = ({ conditions = [] }: ConnectorStatus): Record<string, string> =>
  Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]));

export const messageIn = ({ conditions = [] }: ConnectorStatus, type: string): string =>
  conditions.find((condition) => condition.type === type)?.message ?? '';
