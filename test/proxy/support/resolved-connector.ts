import { buildCatalogue } from '../../../connectors/catalogue.ts';
import type { ResolvedConnector } from '../../../connectors/connector.ts';
import { type ConnectorOptions, connectorTo } from '../../support/proxy.ts';

/** The connector `demo/registry` to an open registry at this address. */
export function resolvedConnector(address: string, options: ConnectorOptions = {}): ResolvedConnector {
  const connector = buildCatalogue(connectorTo(address, options)).connectors[0];
  if (connector === undefined) throw new Error(`there is no connector to ${address}`);
  return connector;
}
