/** A Kubernetes object as the API server wrote it: fields that are newer than this program are kept. */
export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  /** RFC 3339, as all times of the API. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  readonly [field: string]: unknown;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** Name of an object among those of its resource; without a namespace for one of the whole cluster. */
export interface ObjectKey {
  readonly namespace?: string;
  readonly name: string;
}

/** A kind of object, and the word that stands for it in the API's paths. */
export interface Resource {
  /** `v1` for the core group, else `GROUP/VERSION`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
}

export const resources = {
  namespaces: { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' },
  secrets: { apiVersion: 'v1', kind: 'Secret', plural: 'secrets' },
  services: { apiVersion: 'v1', kind: 'Service', plural: 'services' },
  serviceAccounts: { apiVersion: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts' },
  configMaps: { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps' },
  pods: { apiVersion: 'v1', kind: 'Pod', plural: 'pods' },
  nodes: { apiVersion: 'v1', kind: 'Node', plural: 'nodes' },
  events: { apiVersion: 'events.k8s.io/v1', kind: 'Event', plural: 'events' },
  roleBindings: { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', plural: 'rolebindings' },
  leases: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', plural: 'leases' },
  mutatingWebhookConfigurations: {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    plural: 'mutatingwebhookconfigurations',
  },
  connectors: { apiVersion: 'connectors.alauda.io/v1alpha1', kind: 'Connector', plural: 'connectors' },
  connectorClasses: { apiVersion: 'connectors.alauda.io/v1alpha1', kind: 'ConnectorClass', plural: 'connectorclasses' },
} as const satisfies Record<string, Resource>;

export function keyOf(object: KubernetesObject): ObjectKey {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? { name } : { namespace, name };
}

/** `namespace/name`, or `name` for an object of the whole cluster: what a key is in maps, queues and messages. */
export function keyText(key: ObjectKey): string {
  return key.namespace === undefined ? key.name : `${key.namespace}/${key.name}`;
}

/** The key that `keyText` made `text` of. */
export function parseKey(text: string): ObjectKey {
  const slash = text.indexOf('/');
  return slash < 0 ? { name: text } : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

/**
 * Whether `name` can stand in a path of the API: the rule of Kubernetes' own `IsValidPathSegmentName`. A name such as
 * `../../kube-system/secrets/x` in somebody's reference would otherwise be another object's path.
 */
function isPathSegment(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/%]/.test(name);
}

/**
 * The path of a resource's objects, or of one of them when `name` is given.
 * @throws RangeError for a name or namespace that no object can have
 */
export function pathOf(
  resource: Resource,
  target: { namespace?: string | undefined; name?: string | undefined; subresource?: string | undefined },
): string {
  const root = resource.apiVersion === 'v1' ? '/api/v1' : `/apis/${resource.apiVersion}`;
  const { namespace, name, subresource } = target;
  const parts = namespace === undefined ? [resource.plural] : ['namespaces', namespace, resource.plural];
  if (name !== undefined) parts.push(name);
  if (subresource !== undefined) parts.push(subresource);
  const impossible = parts.find((part) => !isPathSegment(part));
  if (impossible !== undefined) throw new RangeError(`no ${resource.kind} can be called ${JSON.stringify(impossible)}`);
  return `${root}/${parts.map(encodeURIComponent).join('/')}`;
}
