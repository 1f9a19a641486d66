import type { ConnectorParts, ConnectorProblem } from './connector-parts.ts';
import { missingSecret } from './connector-parts.ts';
import { type FieldPath, formatField } from './field-problem.ts';
import { basicOf, entryProblem, type ImagePullSecret } from './image-pull-secrets.ts';
import { isWithinPath, parseRegistryAddress } from './registry-address.ts';
import type { AuthType, Connector, ConnectorClass, Secret } from './schema.ts';

/** Where one credential of a connector is. */
export type CredentialOrigin = {
  /** `spec.auth` or `spec.imagePullSecrets[2]`: for people, who must not be told what it holds. */
  readonly label: string;
  /** Which repositories it is for, where not for all of the connector's. */
  readonly entry?: ImagePullSecret;
} & (
  | { readonly kind: 'secret'; readonly secret: Secret }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'ociVault'; readonly secretId: string }
  | { readonly kind: 'ociRegistry' }
  /** An entry that is passed over, and why. */
  | { readonly kind: 'unusable'; readonly problem: ConnectorProblem }
);

interface Subject {
  readonly connector: Connector;
  readonly namespace: string;
  readonly connectorClass: ConnectorClass | undefined;
  readonly parts: ConnectorParts;
}

/** An OCID of a secret, as `ocid1.vaultsecret.oc1.iad.amaaaa…`. */
const secretIdPattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * The credentials of a connector in the order in which they are tried: that of `spec.auth`, then those of
 * `spec.imagePullSecrets`. What is wrong with the first is a problem of the connector; an entry that is wrong is passed
 * over, because another one may do.
 */
export function resolveCredentials(subject: Subject, problems: ConnectorProblem[]): readonly CredentialOrigin[] {
  const ofAuth = resolveAuth(subject, problems);
  const entries = (subject.connector.spec.imagePullSecrets ?? []).map((entry, at) => resolveEntry(entry, at, subject));
  return Object.freeze([...(ofAuth === undefined ? [] : [ofAuth]), ...entries]);
}

const authLabel = 'spec.auth';

function resolveAuth(subject: Subject, problems: ConnectorProblem[]): CredentialOrigin | undefined {
  const { connector, connectorClass } = subject;
  const { connectorClassName, auth } = connector.spec;
  if (connectorClass === undefined) {
    const message = `there is no ConnectorClass "${connectorClassName}"`;
    problems.push({ reason: 'ConnectorClassNotFound', message, field: ['spec', 'connectorClassName'] });
    return undefined;
  }
  if (auth === undefined) return undefined;
  const types = connectorClass.spec.auth?.types ?? [];
  const type = types.find((candidate) => candidate.name === auth.name);
  if (type === undefined) {
    const known = types.map((candidate) => candidate.name).join(', ') || 'none';
    const message = `"${auth.name}" is no authentication type of class "${connectorClassName}" (it has: ${known})`;
    problems.push({ reason: 'AuthTypeUnknown', message, field: ['spec', 'auth', 'name'] });
    return undefined;
  }
  const resolved = authOf(type, subject);
  if (resolved === undefined || !('reason' in resolved)) return resolved;
  problems.push(resolved);
  return undefined;
}

function authOf(type: AuthType, subject: Subject): CredentialOrigin | ConnectorProblem | undefined {
  if (type.source === 'ociVault') return vaultOf(type, subject);
  if (type.source !== 'ociRegistry') return secretOf(type, subject);
  const forbidden = forbiddenBy([type], 'ociRegistry', undefined, subject);
  if (forbidden !== undefined) return { ...forbidden, field: ['spec', 'auth', 'name'] };
  if (subject.connector.spec.caCertSecretRef === undefined) return { label: authLabel, kind: 'ociRegistry' };
  // Whoever answers to the registry's name gets the token: it must not be for the tenant to say who that may be.
  const message = 'goes with no CA of the connector’s: Oracle’s registries have public certificates';
  return { reason: 'SourceForbidden', message, field: ['spec', 'caCertSecretRef'] };
}

function vaultOf(type: AuthType, subject: Subject): CredentialOrigin | ConnectorProblem {
  const params = subject.connector.spec.auth?.params ?? [];
  const at = params.findIndex(({ name }) => name === 'secretId');
  const secretId = params[at]?.value;
  const field: FieldPath = at === -1 ? ['spec', 'auth', 'params'] : ['spec', 'auth', 'params', at, 'value'];
  if (secretId === undefined || !secretIdPattern.test(secretId)) {
    return { reason: 'SecretIdInvalid', message: 'needs secretId, the OCID of a secret in OCI Vault', field };
  }
  const forbidden = forbiddenBy([type], 'ociVault', secretId, subject);
  return forbidden === undefined ? { label: authLabel, kind: 'ociVault', secretId } : { ...forbidden, field };
}

function secretOf(
  type: AuthType,
  { connector, namespace, parts }: Subject,
): CredentialOrigin | ConnectorProblem | undefined {
  const ref = connector.spec.auth?.secretRef;
  if (ref !== undefined) {
    const secret = parts.secret(namespace, ref.name);
    const field: FieldPath = ['spec', 'auth', 'secretRef', 'name'];
    return secret === undefined
      ? missingSecret(namespace, ref.name, field, parts)
      : { label: authLabel, kind: 'secret', secret };
  }
  // Entries are credentials as well.
  if (type.optional === true || connector.spec.imagePullSecrets?.length) return undefined;
  const message = `authentication "${type.name}" needs a secretRef`;
  return { reason: 'SecretRequired', message, field: ['spec', 'auth'] };
}

function resolveEntry(entry: ImagePullSecret, at: number, subject: Subject): CredentialOrigin {
  const here: FieldPath = ['spec', 'imagePullSecrets', at];
  const named = { label: formatField(here), entry };
  const problem = entryProblem(entry);
  if (problem !== undefined) {
    const field = [...here, problem.field];
    return { ...named, kind: 'unusable', problem: { reason: 'EntryInvalid', message: problem.message, field } };
  }
  if (entry.secretType === 'BASIC') return basicEntry(entry, here, subject);
  if (entry.secretType === 'SECRET') return secretEntry(entry, here, subject);
  const secretId = entry.secretId ?? '';
  const field = [...here, 'secretId'];
  if (!secretIdPattern.test(secretId)) {
    const message = 'is no OCID of a secret in OCI Vault';
    return { ...named, kind: 'unusable', problem: { reason: 'SecretIdInvalid', message, field } };
  }
  const types = subject.connectorClass?.spec.auth?.types?.filter(({ source }) => source === 'ociVault') ?? [];
  const forbidden = forbiddenBy(types, 'ociVault', secretId, subject);
  if (forbidden !== undefined) return { ...named, kind: 'unusable', problem: { ...forbidden, field } };
  return { ...named, kind: 'ociVault', secretId };
}

function basicEntry(entry: ImagePullSecret, here: FieldPath, { parts }: Subject): CredentialOrigin {
  const named = { label: formatField(here), entry };
  const basic = basicOf(entry);
  if (basic !== undefined && parts.isInlinePasswordForbidden !== true) return { ...named, kind: 'basic', ...basic };
  const message =
    'holds a password, which everybody reads who reads Connectors: put it into a Secret, write secretType SECRET and name it in secretRef, and change the password';
  const problem = { reason: 'InlinePasswordForbidden', message, field: [...here, 'password'] } as const;
  return { ...named, kind: 'unusable', problem };
}

function secretEntry(entry: ImagePullSecret, here: FieldPath, { namespace, parts }: Subject): CredentialOrigin {
  const named = { label: formatField(here), entry };
  const name = entry.secretRef?.name ?? '';
  const secret = parts.secret(namespace, name);
  if (secret !== undefined) return { ...named, kind: 'secret', secret };
  return {
    ...named,
    kind: 'unusable',
    problem: missingSecret(namespace, name, [...here, 'secretRef', 'name'], parts),
  };
}

/**
 * Why a connector may not spend the identity of the controller: what it gives opens registries and secrets that the
 * namespace may have nothing to do with, so that the class, which administrators of the cluster write, has to list it.
 */
function forbiddenBy(
  types: readonly AuthType[],
  source: 'ociRegistry' | 'ociVault',
  secretId: string | undefined,
  { connector, namespace }: Subject,
): Pick<ConnectorProblem, 'reason' | 'message'> | undefined {
  const rules = types.flatMap(({ allow }) => allow ?? []);
  const ofNamespace = rules.filter(({ namespaces }) => namespaces.includes(namespace) || namespaces.includes('*'));
  const isAllowed = ofNamespace.some(
    ({ addresses, secretIds }) =>
      (addresses === undefined || addresses.some((address) => isAtOrBelow(connector.spec.address, address))) &&
      (secretId === undefined || secretIds?.includes(secretId)),
  );
  if (isAllowed) return undefined;
  const what = source === 'ociVault' ? 'this secret of OCI Vault' : 'the identity of the controller';
  const whom = ofNamespace.length === 0 ? `namespace "${namespace}"` : `a connector of this address`;
  const message = `ConnectorClass "${connector.spec.connectorClassName}" does not let ${whom} use ${what}: an administrator lists it under spec.auth.types[].allow of the type with source ${source}`;
  return { reason: 'SourceForbidden', message };
}

function isAtOrBelow(address: string, limit: string): boolean {
  const [own, outer] = [parseRegistryAddress(address), parseRegistryAddress(limit)];
  if (!own.ok || !outer.ok || own.address.origin !== outer.address.origin) return false;
  return isWithinPath(own.address.pathPrefix, outer.address.pathPrefix);
}
