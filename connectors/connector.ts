import { createHmac, randomBytes, X509Certificate } from 'node:crypto';
import type { ConnectorKey } from './address.ts';
import { type ConnectorParts, type ConnectorProblem, missingSecret, secretValue } from './connector-parts.ts';
import { type CredentialOrigin, resolveCredentials } from './credential-origin.ts';
import { parseRegistryAddress, type RegistryAddress } from './registry-address.ts';
import type { Connector } from './schema.ts';
import { conditionOf, readyCondition, statusOf } from './status.ts';
import { parseTunnelHosts, type TunnelHost, tunnelHostsAnnotation } from './tunnel-hosts.ts';

export type { ConnectorParts, ConnectorProblem } from './connector-parts.ts';

/** How redirects of blobs are answered: handed to the client, so that the bytes bypass us, or followed by the proxy. */
export type RedirectPolicy = 'handover' | 'follow';

/** What becomes of images while a connector is known not to work: the kubelet tries again, or they stay as they are. */
export type UnavailablePolicy = 'rewrite' | 'keep';

/** A connector with all that it names, ready to be used, frozen. */
export interface ResolvedConnector {
  readonly key: ConnectorKey;
  readonly uid: string;
  /** Changes whenever the Connector, its class, its Secret or its CA does. Says nothing of what they hold. */
  readonly revision: string;
  readonly address: RegistryAddress;
  /** Where its credentials are, in the order in which they are tried; none for an open registry. */
  readonly credentials: readonly CredentialOrigin[];
  /** PEM certificates trusted beside the system's. */
  readonly ca: string | undefined;
  readonly redirect: RedirectPolicy;
  readonly whenUnavailable: UnavailablePolicy;
  /** Requests to the registry at the same time, for each process; undefined where the connector does not say. */
  readonly maxConcurrentRequests: number | undefined;
  /** What the controller found last; undefined where nobody probes. */
  readonly isReady: boolean | undefined;
  /** `host` or `host:port` that the registry may send us to whatever their zone. */
  readonly trustedHosts: readonly string[];
  /** Hosts of no connector that its class lets the forward proxy tunnel to. */
  readonly tunnelHosts: readonly TunnelHost[];
  /** What keeps it from being used; the first of them is enough. */
  readonly problems: readonly ConnectorProblem[];
}

/** Stands for a connector whose address cannot be read: it matches nothing. */
const nowhere: RegistryAddress = { origin: '', registries: [], pathPrefix: '' };
/** Revisions hash passwords: with a key of this process nobody can try passwords against a revision that was logged. */
const revisionKey = randomBytes(32);
const caKeys = ['ca.crt', 'ca.cert', 'tls.crt'] as const;

export function resolveConnector(connector: Connector, namespace: string, parts: ConnectorParts): ResolvedConnector {
  const problems: ConnectorProblem[] = [...checkConnector(connector, namespace)];
  const connectorClass = parts.connectorClass(connector.spec.connectorClassName);
  const credentials = resolveCredentials({ connector, namespace, connectorClass, parts }, problems);
  const ca = resolveCa(connector, namespace, parts, problems);
  const address = parseRegistryAddress(connector.spec.address);
  return Object.freeze({
    key: Object.freeze({ namespace, name: connector.metadata.name }),
    uid: connector.metadata.uid ?? `${namespace}/${connector.metadata.name}`,
    revision: revisionOf([connector.spec, connectorClass?.spec, credentials, ca]),
    address: address.ok ? address.address : nowhere,
    credentials,
    ca,
    redirect: paramOf(connector, 'redirect') === 'follow' ? 'follow' : 'handover',
    whenUnavailable: paramOf(connector, 'whenUnavailable') === 'keep' ? 'keep' : 'rewrite',
    maxConcurrentRequests: numberOf(connector, maxConcurrentRequests),
    isReady: readinessOf(connector),
    trustedHosts: trustedHostsOf(connector),
    tunnelHosts: parseTunnelHosts(connectorClass?.metadata.annotations?.[tunnelHostsAnnotation]).hosts,
    problems: Object.freeze(problems),
  });
}

/** Stands for a Connector that cannot be read: it matches nothing, and says why. */
export function unreadableConnector(key: ConnectorKey, uid: string, problem: ConnectorProblem): ResolvedConnector {
  return Object.freeze({
    key: Object.freeze(key),
    uid,
    revision: revisionOf([problem]),
    address: nowhere,
    credentials: [],
    ca: undefined,
    redirect: 'handover' as const,
    whenUnavailable: 'rewrite' as const,
    maxConcurrentRequests: undefined,
    isReady: undefined,
    trustedHosts: [],
    tunnelHosts: [],
    problems: Object.freeze([problem]),
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

/** Parameters that have a choice of values, and what to write. */
const choices: Readonly<Record<string, { readonly values: readonly string[]; readonly hint: string }>> = {
  redirect: {
    values: ['handover', 'follow'],
    hint: '"handover" (the client follows) or "follow" (the proxy follows)',
  },
  whenUnavailable: {
    values: ['rewrite', 'keep'],
    hint: '"rewrite" (the kubelet tries again) or "keep" (images stay as they are)',
  },
};

const maxConcurrentRequests = 'maxConcurrentRequests';

function checkParams(connector: Connector): ConnectorProblem[] {
  return (connector.spec.params ?? []).flatMap(({ name, value }, at): ConnectorProblem[] => {
    const field = ['spec', 'params', at, 'value'] as const;
    const wrongHost = name === 'trustedHosts' ? hostsOf(value).find((host) => !trustedHost.test(host)) : undefined;
    if (wrongHost !== undefined) {
      const message = 'trustedHosts has an entry that is no host: write host or host:port, separated by commas';
      return [{ reason: 'ParamInvalid', message, field }];
    }
    if (name === maxConcurrentRequests && !(/^\d{1,5}$/.test(value) && Number(value) > 0)) {
      return [{ reason: 'ParamInvalid', message: `${name} is "${value}": write a number from 1 to 99999`, field }];
    }
    const choice = Object.hasOwn(choices, name) ? choices[name] : undefined;
    if (choice === undefined || choice.values.includes(value)) return [];
    return [{ reason: 'ParamInvalid', message: `${name} is "${value}": write ${choice.hint}`, field }];
  });
}

function readinessOf(connector: Connector): boolean | undefined {
  const status = conditionOf(statusOf(connector).conditions ?? [], readyCondition)?.status;
  return status === 'Unknown' || status === undefined ? undefined : status === 'True';
}

function paramOf(connector: Connector, name: string): string | undefined {
  return connector.spec.params?.find((param) => param.name === name)?.value;
}

function numberOf(connector: Connector, name: string): number | undefined {
  const value = Number(paramOf(connector, name) ?? Number.NaN);
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

function trustedHostsOf(connector: Connector): readonly string[] {
  return Object.freeze(hostsOf(paramOf(connector, 'trustedHosts') ?? ''));
}

/** `host` or `host:port`, an address in brackets where it is IPv6. */
const trustedHost = /^(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(?::\d{1,5})?$/;

const hostsOf = (text: string): readonly string[] =>
  text
    .split(',')
    .map((host) => host.trim().toLowerCase())
    .filter((host) => host !== '');

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
    problems.push(missingSecret(namespace, name, field, parts));
    return undefined;
  }
  const key = caKeys.find((candidate) => secretValue(secret, candidate) !== undefined);
  const ca = key === undefined ? undefined : secretValue(secret, key);
  const certificates = certificatesOf(ca ?? '');
  if (certificates !== undefined) return certificates;
  const found = ca === undefined ? `has no key ${caKeys[0]}` : `holds no PEM certificate under ${key}`;
  problems.push({ reason: 'CACertInvalid', message: `Secret "${name}" in namespace "${namespace}" ${found}`, field });
  return undefined;
}

/** The certificates of a PEM text and nothing else of it: some keep the private key in the same place. */
function certificatesOf(pem: string): string | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    for (const block of blocks) new X509Certificate(block);
  } catch {
    return undefined;
  }
  return blocks.length > 0 ? `${blocks.join('\n')}\n` : undefined;
}

function revisionOf(parts: readonly unknown[]): string {
  return createHmac('sha256', revisionKey).update(JSON.stringify(parts)).digest('base64url').slice(0, 22);
}
