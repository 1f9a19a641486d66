import { injectLabel } from '../../connectors/labels.ts';
import { connectorApiVersion, secretTypes } from '../../connectors/schema.ts';
import { type KubernetesObject, type Resource, resources } from '../../platform/kubernetes/object.ts';

export interface Size {
  readonly namespaces: number;
  /** Of these namespaces, the first ones. */
  readonly optedIn: number;
  /** Connectors that are well, each with a Secret of its own. */
  readonly connectors: number;
  /** Further connectors that are wrong, of all kinds in turn. */
  readonly wrong: number;
}

export interface Credential {
  readonly username: string;
  readonly password: string;
}

export interface Item {
  readonly resource: Resource;
  readonly object: KubernetesObject;
}

/** A way in which a connector is wrong, by the reason that its Ready is to give. */
interface Fault {
  readonly reason: string;
  /** Fields of `spec` in place of the good ones. */
  readonly spec?: (name: string) => object;
  /** In place of a Secret's good type and content; `false` where there is to be none. */
  readonly secret?: object | false;
}

/** Nobody listens on port 1, nobody ever answers for `.invalid`, and the Secret with the credential holds no CA. */
const faults: readonly Fault[] = [
  { reason: 'SecretNotFound', secret: false },
  { reason: 'SecretWrongType', secret: { type: 'Opaque', stringData: { password: 'x' } } },
  { reason: 'SecretKeyMissing', secret: { type: secretTypes.registryToken, stringData: { username: 'robot' } } },
  {
    reason: 'CredentialRefused',
    secret: { type: secretTypes.registryToken, stringData: { username: 'robot', password: 'wrong' } },
  },
  { reason: 'ConnectorClassNotFound', spec: () => ({ connectorClassName: 'unknown' }) },
  { reason: 'AddressInvalid', spec: (name) => ({ address: `https://registry.example.com/UPPER-${name}` }) },
  { reason: 'AddressForbidden', spec: () => ({ address: 'http://169.254.169.254' }) },
  { reason: 'AddressUnresolvable', spec: (name) => ({ address: `https://${name}.invalid` }) },
  { reason: 'ConnectionRefused', spec: () => ({ address: 'http://127.0.0.1:1' }) },
  { reason: 'CACertInvalid', spec: (name) => ({ caCertSecretRef: { name } }) },
];

export const namespaceName = (at: number): string => `team-${String(at).padStart(4, '0')}`;

/** Names of the connectors that are well, in the order in which they are made. */
export const connectorKey = (at: number, { namespaces }: Size): { namespace: string; name: string } => ({
  namespace: namespaceName(at % namespaces),
  name: `registry-${at}`,
});

export function namespacesOf({ namespaces, optedIn }: Size): Item[] {
  return Array.from({ length: namespaces }, (_, at) => ({
    resource: resources.namespaces,
    object: { metadata: { name: namespaceName(at), labels: at < optedIn ? { [injectLabel]: 'true' } : {} } },
  }));
}

/** Connectors with their Secrets, each Secret before its connector; spread evenly over namespaces and registries. */
export function connectorsOf(size: Size, origins: readonly string[], credential: Credential): Item[] {
  const good = { type: secretTypes.registryToken, stringData: { ...credential } };
  return Array.from({ length: size.connectors + size.wrong }, (_, at): Item[] => {
    const fault = at < size.connectors ? undefined : faults[(at - size.connectors) % faults.length];
    const key = connectorKey(at, size);
    const content = fault?.secret ?? good;
    const secret = content === false ? [] : [{ resource: resources.secrets, object: { metadata: key, ...content } }];
    const spec = {
      connectorClassName: 'oci',
      address: `${origins[at % origins.length]}/group-${at}`,
      auth: { name: 'tokenAuth', secretRef: { name: key.name } },
      ...fault?.spec?.(key.name),
    };
    const connector = { apiVersion: connectorApiVersion, kind: 'Connector', metadata: key, spec };
    return [...secret, { resource: resources.connectors, object: connector }];
  }).flat();
}

/** How many connectors are to end with each reason of Ready. */
export function expectedReasons({ connectors, wrong }: Size): ReadonlyMap<string, number> {
  const reasons = Array.from({ length: wrong }, (_, at) => faults[at % faults.length]?.reason ?? '');
  const counts = [...Map.groupBy(reasons, (reason) => reason)].map(([reason, all]): [string, number] => [
    reason,
    all.length,
  ]);
  return new Map([['Ready', connectors], ...counts]);
}
