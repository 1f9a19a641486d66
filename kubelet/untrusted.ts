import { networkErrorCode } from '../platform/network-error.ts';

const untrustedCodes: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]);

/** What a node can do about a registry whose CA it does not know; undefined for other failures. */
export function untrustedReason(error: unknown, host: string): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  if (!untrustedCodes.has(networkErrorCode(cause))) return undefined;
  return (
    `${host}: its certificate is signed by a CA that this node does not know: add that to the CAs of its system, or set ` +
    'NODE_EXTRA_CA_CERTS to a PEM file in env of this provider in the CredentialProviderConfig'
  );
}
