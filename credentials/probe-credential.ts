import type { ResolvedConnector } from '../connectors/connector.ts';
import { secretValue } from '../connectors/connector-parts.ts';
import { parseRegistryAddress } from '../connectors/registry-address.ts';
import { type Secret, secretTypes } from '../connectors/schema.ts';
import { credentialIn, type ReadCredential } from './secret.ts';

/**
 * The credential of a Secret that a connector is probed with: that of `repository`, or of the connector's whole path. Of
 * a dockerconfigjson that has entries for deeper paths only, the first of them: it is not one for another registry.
 */
export function credentialToProbe(
  secret: Secret,
  connector: ResolvedConnector,
  repository: string | undefined,
): ReadCredential {
  const read = credentialIn(secret, connector, repository ?? connector.address.pathPrefix);
  if (read.ok || repository !== undefined || read.reason !== 'SecretForOtherRegistry') return read;
  for (const path of entryPaths(secret)) {
    const deeper = credentialIn(secret, connector, path);
    if (deeper.ok) return deeper;
  }
  return read;
}

function entryPaths(secret: Secret): readonly string[] {
  const text = secret.type === secretTypes.dockerConfigJson ? secretValue(secret, '.dockerconfigjson') : undefined;
  try {
    const { auths } = JSON.parse(text ?? '{}') as { auths?: object };
    return Object.keys(auths ?? {})
      .map(parseRegistryAddress)
      .flatMap((parsed) => (parsed.ok ? [parsed.address.pathPrefix] : []));
  } catch {
    return [];
  }
}
