import type { FieldPath } from './field-problem.ts';
import type { ConnectorClass, Secret } from './schema.ts';

/** Why a connector cannot be used: a reason for machines, a sentence for people. */
export interface ConnectorProblem {
  readonly reason:
    | 'SpecInvalid'
    | 'AddressInvalid'
    | 'ParamInvalid'
    | 'SecretNamespaceForbidden'
    | 'ConnectorClassNotFound'
    | 'AuthTypeUnknown'
    | 'SecretNotFound'
    | 'SecretsNotReadable'
    | 'SecretRequired'
    | 'SecretIdInvalid'
    | 'SourceForbidden'
    | 'EntryInvalid'
    | 'InlinePasswordForbidden'
    | 'CACertInvalid';
  readonly message: string;
  /** The field of the Connector that it is about. */
  readonly field: FieldPath;
}

/** What a connector may name, looked up by whoever holds the objects. */
export interface ConnectorParts {
  connectorClass(name: string): ConnectorClass | undefined;
  secret(namespace: string, name: string): Secret | undefined;
  /** Whether Secrets of a namespace may be read; everywhere unless told. */
  mayReadSecrets?(namespace: string): boolean;
  /** In a cluster whoever reads a Connector would read the passwords that stand in it. */
  readonly isInlinePasswordForbidden?: boolean;
}

/** That a Secret which a connector names is not there, or may not be looked for. */
export function missingSecret(
  namespace: string,
  name: string,
  field: FieldPath,
  parts: ConnectorParts,
): ConnectorProblem {
  if (parts.mayReadSecrets?.(namespace) !== false) {
    return { reason: 'SecretNotFound', message: `there is no Secret "${name}" in namespace "${namespace}"`, field };
  }
  const message = `Secrets of namespace "${namespace}" may not be read: list the namespace where oci-connector is installed (secrets.namespaces)`;
  return { reason: 'SecretsNotReadable', message, field };
}

/** The text under `key` of a Secret, from `stringData` or decoded from `data`. */
export function secretValue(secret: Secret, key: string): string | undefined {
  const plain = ownValue(secret.stringData, key);
  const encoded = ownValue(secret.data, key);
  return plain ?? (encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('utf8'));
}

const ownValue = (record: Record<string, string> | null | undefined, key: string): string | undefined =>
  record && Object.hasOwn(record, key) ? record[key] : undefined;
