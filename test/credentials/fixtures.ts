import { buildCatalogue } from '../../connectors/catalogue.ts';
import type { ResolvedConnector } from '../../connectors/connector.ts';
import type { Connector, Secret } from '../../connectors/schema.ts';
import { connectorOf, secretOf, withSecret } from '../connectors/documents.ts';

export const robot = { username: 'robot', password: 'canary+7f/3a pass:"word"<&>ä' } as const;
export const robotSecret = secretOf('robot', robot);

/** The connector `demo/harbor` of a registry; open when `secret` is undefined. */
export function connectorFor(
  address: string,
  secret: Secret | undefined,
  spec: Partial<Connector['spec']> = {},
): ResolvedConnector {
  const auth = secret === undefined ? {} : withSecret(secret.metadata.name);
  const documents = [connectorOf({ address, ...auth, ...spec }), ...(secret === undefined ? [] : [secret])];
  const connector = buildCatalogue(documents).connectors[0];
  if (connector === undefined) throw new Error('no connector');
  return connector;
}
