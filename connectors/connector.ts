import { createHmac, randomBytes, X509Certificate } from 'node:crypto';
import type { ConnectorKey } from './address.ts';
import type { FieldPath } from './manifest.ts';
import { parseRegistryAddress, type RegistryAddress } from './registry-address.ts';
import type { Connector, ConnectorClass, Secret } from './schema.ts';

/** Why a connector cannot be used: a reason for machines, a sentence for people. */
export interface ConnectorProblem {
  readonly reason:
    | 'AddressInvalid'
    | 'ParamInvalid'
    | 'SecretNamespaceForbidden'
    | 'ConnectorClassNotFound'
    | 'AuthTypeUnknown'
    | 'SecretNotFound'
    | 'SecretRequired'
    | 'CACertInvalid';
  readonly message: string;
  /** The field of the Connector that it is about. */
  readonly field: FieldPath;
}

/** How redirects of blobs are answered: handed to the client, so that the bytes bypass us, or followed by the proxy. */
export type RedirectPolicy = 'handover' | 'follow';

/** A connector with all that it names, ready to be used, frozen. */
export interface ResolvedConnector {
  readonly key: ConnectorKey;
  readonly uid: string;
  /** Changes whenever the Connector, its class, its Secret or its CA does. Says nothing of what they hold. */
  readonly revision: string;
  readonly address: RegistryAddress;
  /** The Secret of its credential; undefined for an open registry. */
  readonly secret: Secret | undefined;
  /** PEM certificates trusted beside the system's. */
  readonly ca: string | undefined;
  readonly redirect: RedirectPolicy;
  /** `host` or `host:port` that the registry may send us to whatever their zone. */
  readonly trustedHosts: readonly string[];
  /** What keeps it from being used; the first of them is enough. */
  readonly problems: readonly ConnectorProblem[];
}

/** What a connector may name, looked up by whoever holds the objects. */
export interface ConnectorParts {
  connectorClass(name: string): ConnectorClass | undefined;
  secret(namespace: string, name: string): Secret | undefined;
}

/** Stands for a connector whose address cannot be read: it matches nothing. */
const nowhere: RegistryAddress = { origin: '', registries: [], pathPrefix: '' };
/** Revisions hash passwords: with a key of this process nobody can try passwords against a revision that was logged. */
const revisionKey = randomBytes(32);
const caKeys = ['ca.crt', 'ca.cert', 'tls.crt'] as const;

export function resolveConnector(connector: Connector, namespace: string, parts: ConnectorParts): ResolvedConnector {
  const problems: ConnectorProblem[] = [...checkConnector(connector, namespace)];
  const connectorClass = parts.connectorClass(connector.spec.connectorClassName);
  const secret = resolveSecret(connector, namespace, connectorClass, parts, problems);
  const ca = resolveCa(connector, namespace, parts, problems);
  const address = parseRegistryAddress(connector.spec.address);
  return Object.freeze({
    key: Object.freeze({ namespace, name: connector.metadata.name }),
    uid: connector.metadata.uid ?? `${namespace}/${connector.metadata.name}`,
    revision: revisionOf([connector.spec, connectorClass?.spec, secret, ca]),
    address: address.ok ? address.address : nowhere,
    secret,
    ca,
    redirect: paramOf(connector, 'redirect') === 'follow' ? 'follow' : 'handover',
    trustedHosts: trustedHostsOf(connector),
    problems: Object.freeze(problems),
  });
}

/** What can be said of a Connector by itself, without what it names. */
export function checkConnector(connector: Connector, namespace: string): readonly ConnectorProblem[] {
  const problems: ConnectorProblem[] = [];
  const address = parseRegistryAddress(connector.spec.address);
  if (!address.ok) problems.push({ reason: 'AddressInvalid', message: address.reason, field: ['spec', 'address'] });
  const other = connector.spec.auth?.secretRef?.namespace;
  if (other !== undefined && other !== namespace) {
    const message = `is "${other}", but a Secret must be in the connector's own namespace "${namespace}"`;
    problems.push({ reason: 'SecretNamespaceForbidden', message, field: ['spec', 'auth', 'secretRef', 'namespace'] });
  }
  return [...problems, ...checkParams(connector)];
}

function checkParams(connector: Connector): ConnectorProblem[] {
  return (connector.spec.params ?? []).flatMap(({ name, value }, at): ConnectorProblem[] => {
    if (name !== 'redirect' || value === 'follow' || value === 'handover') return [];
    const message = `redirect is "${value}": write "handover" (the client follows) or "follow" (the proxy follows)`;
    return [{ reason: 'ParamInvalid', message, field: ['spec', 'params', at, 'value'] }];
  });
}

function paramOf(connector: Connector, name: string): string | undefined {
  return connector.spec.params?.find((param) => param.name === name)?.value;
}

function trustedHostsOf(connector: Connector): readonly string[] {
  const hosts = paramOf(connector, 'trustedHosts') ?? '';
  return Object.freeze(
    hosts
      .split(',')
      .map((host) => host.trim().toLowerCase())
      .filter((host) => host !== ''),
  );
}

function resolveSecret(
  connector: Connector,
  namespace: string,
  connectorClass: ConnectorClass | undefined,
  parts: ConnectorParts,
  problems: ConnectorProblem[],
): Secret | undefined {
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
  if (auth.secretRef === undefined) {
    if (type.optional === true) return undefined;
    const message = `authentication "${auth.name}" needs a secretRef`;
    problems.push({ reason: 'SecretRequired', message, field: ['spec', 'auth'] });
    return undefined;
  }
  const secret = parts.secret(namespace, auth.secretRef.name);
  if (secret === undefined) {
    const message = `there is no Secret "${auth.secretRef.name}" in namespace "${namespace}"`;
    problems.push({ reason: 'SecretNotFound', message, field: ['spec', 'auth', 'secretRef', 'name'] });
  }
  return secret;
}

function resolveCa(
  connector: Connector,
  namespace: string,
  parts: ConnectorParts,
  problems: ConnectorProblem[],
): string | undefined {
  const name = connector.spec.caCertSecretRef?.name;
  if (name === undefined) return undefined;
  const field = ['spec', 'caCertSecretRef', 'name'] as const;
  const secret = parts.secret(namespace, name);
  if (secret === undefined) {
    const message = `there is no Secret "${name}" in namespace "${namespace}"`;
    problems.push({ reason: 'SecretNotFound', message, field });
    return undefined;
  }
  const key = caKeys.find((candidate) => secretValue(secret, candidate) !== undefined);
  const ca = key === undefined ? undefined : secretValue(secret, key);
  if (ca !== undefined && isCertificates(ca)) return ca;
  const found = ca === undefined ? `has no key ${caKeys[0]}` : `holds no PEM certificate under ${key}`;
  problems.push({ reason: 'CACertInvalid', message: `Secret "${name}" in namespace "${namespace}" ${found}`, field });
  return undefined;
}

function isCertificates(pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block)).length > 0;
  } catch {
    return false;
  }
}

/** The text under `key` of a Secret, from `stringData` or decoded from `data`. */
export function secretValue(secret: Secret, key: string): string | undefined {
  const plain = ownValue(secret.stringData, key);
  const encoded = ownValue(secret.data, key);
  return plain ?? (encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('utf8'));
}

const ownValue = (record: Record<string, string> | null | undefined, key: string): string | undefined =>
  record && Object.hasOwn(record, key) ? record[key] : undefined;

function revisionOf(parts: readonly unknown[]): string {
  return createHmac('sha256', revisionKey).update(JSON.stringify(parts)).digest('base64url').slice(0, 22);
}
