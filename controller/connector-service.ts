import type { ConnectorKey } from '../connectors/address.ts';
import { connectorApiVersion } from '../connectors/schema.ts';
import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import { KubernetesError } from '../platform/kubernetes/error.ts';
import { type KubernetesObject, type OwnerReference, resources } from '../platform/kubernetes/object.ts';
import { isOurs, managedLabels } from './ownership.ts';
import { type Verdict, verdictOf } from './probe-plan.ts';

/** A Connector as the owner of its Service. */
export interface ServiceOwner {
  readonly key: ConnectorKey;
  readonly uid: string;
}

export interface Service extends KubernetesObject {
  readonly spec?: { readonly type?: string; readonly externalName?: string };
}

type ServiceClient = Pick<KubernetesClient, 'get' | 'create' | 'replace'>;

/** As much of a Service as is compared and written back; there may be one for each of 10,000 connectors. */
export function slimService({ apiVersion, kind, metadata, spec }: Service): Service {
  const { type, externalName } = spec ?? {};
  return {
    ...(apiVersion && { apiVersion }),
    ...(kind && { kind }),
    metadata,
    spec: { ...(type && { type }), ...(externalName && { externalName }) },
  };
}

export const serviceNameOf = (connector: ConnectorKey): string => `c-${connector.name}`;

/** The connector that a Service of ours is named after. */
export const connectorOfService = ({
  namespace,
  name,
}: {
  namespace?: string;
  name: string;
}): ConnectorKey | undefined =>
  namespace !== undefined && name.startsWith('c-') ? { namespace, name: name.slice(2) } : undefined;

/** What the Service of a connector is to be, and was seen to be. */
export interface ServiceWant {
  /** DNS name of the central proxy's Service. */
  readonly proxyName: string;
  /** The Service as it was seen last; undefined when there seems to be none. */
  readonly known: Service | undefined;
  readonly signal: AbortSignal;
}

/**
 * Sees to it that `c-<name>` leads to the central proxy. A Service without our
 * owner reference is left as it is. The garbage collector removes ours with its Connector.
 * @returns ProxyServiceReady
 * @throws KubernetesError for what may be right at the next try
 */
export async function ensureConnectorService(
  client: ServiceClient,
  owner: ServiceOwner,
  want: ServiceWant,
): Promise<Verdict> {
  try {
    const service = want.known ?? (await create(client, owner, want));
    return await ensure(client, owner, want, service);
  } catch (error) {
    const isRefused = error instanceof KubernetesError && (error.status === 403 || error.status === 422);
    if (!isRefused) throw error;
    return verdictOf('False', 'ServiceRefused', `the Service cannot be written: ${error.message}`);
  }
}

async function create(
  client: ServiceClient,
  owner: ServiceOwner,
  { proxyName, signal }: ServiceWant,
): Promise<Service> {
  const { namespace } = owner.key;
  const name = serviceNameOf(owner.key);
  const metadata = { namespace, name, labels: managedLabels, ownerReferences: [referenceTo(owner)] };
  const spec = { type: 'ExternalName', externalName: proxyName };
  try {
    return await client.create<Service>(resources.services, { metadata, spec }, { signal });
  } catch (error) {
    if (!(error instanceof KubernetesError) || error.reason !== 'AlreadyExists') throw error;
    const present = await client.get<Service>(resources.services, { namespace, name }, { signal });
    // Deleted since: the next try makes it.
    if (present === undefined) throw error;
    return present;
  }
}

async function ensure(
  client: ServiceClient,
  owner: ServiceOwner,
  { proxyName, signal }: ServiceWant,
  service: Service,
): Promise<Verdict> {
  const name = `${owner.key.namespace}/${serviceNameOf(owner.key)}`;
  const references = service.metadata.ownerReferences ?? [];
  if (!references.some(({ uid }) => uid === owner.uid)) return strange(name, references, owner);
  const { type, externalName } = service.spec ?? {};
  if (!isOurs(service) || type !== 'ExternalName' || externalName !== proxyName) {
    const metadata = { ...service.metadata, labels: { ...service.metadata.labels, ...managedLabels } };
    const spec = { type: 'ExternalName', externalName: proxyName };
    await client.replace<Service>(resources.services, { ...service, metadata, spec }, { signal });
  }
  return verdictOf('True', 'ServiceFound', '');
}

function strange(name: string, references: readonly OwnerReference[], { key }: ServiceOwner): Verdict {
  const isFormer = references.some((reference) => isConnector(reference) && reference.name === key.name);
  if (isFormer) {
    const message = `Service ${name} belongs to a former Connector of this name; it is made anew once the garbage collector has removed it`;
    return verdictOf('False', 'ServiceOfFormerConnector', message);
  }
  const message = `Service ${name} is not ours and is left as it is: rename or delete it, or rename the connector`;
  return verdictOf('False', 'ServiceNotOurs', message);
}

const isConnector = ({ apiVersion, kind }: OwnerReference): boolean =>
  kind === 'Connector' && apiVersion.split('/')[0] === connectorApiVersion.split('/')[0];

const referenceTo = ({ key, uid }: ServiceOwner): OwnerReference => ({
  apiVersion: connectorApiVersion,
  kind: 'Connector',
  name: key.name,
  uid,
  controller: true,
});
