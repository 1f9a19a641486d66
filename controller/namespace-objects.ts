import { injectLabel } from '../connectors/labels.ts';
import { type KubernetesObject, type Resource, resources } from '../platform/kubernetes/object.ts';
import { managedLabels } from './ownership.ts';

/** Account and RoleBinding in each namespace that opted in. */
export const pullerName = 'oci-connector-puller';

/** Whether the namespace wants its pods' images rewritten, and so needs to identify their pulls. */
export function hasOptedIn(namespace: KubernetesObject): boolean {
  return namespace.metadata.labels?.[injectLabel] === 'true';
}

/** An object of which we know at any time what it has to be. */
export interface FixedObject {
  readonly resource: Resource;
  /** As it has to be, for server-side apply. */
  desired(namespace: string): KubernetesObject;
  /** Whether everything that matters is so. */
  isTrue(current: KubernetesObject): boolean;
  /** Whether what is wrong cannot be changed, so that only another object helps. */
  isBeyondRepair(current: KubernetesObject): boolean;
}

/** The account whose tokens are in the pull secret: they say the namespace, and give no right in the API. */
export const pullerAccount: FixedObject = {
  resource: resources.serviceAccounts,
  desired: (namespace) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: pullerName, namespace, labels: managedLabels },
    automountServiceAccountToken: false,
  }),
  isTrue: (current) => current['automountServiceAccountToken'] === false,
  isBeyondRepair: () => false,
};

const rbac = 'rbac.authorization.k8s.io';

/** Lets every account of the namespace pull through its own connectors (`clusterRole`: get on connectors/proxy). */
export function pullerRoleBinding(clusterRole: string): FixedObject {
  return {
    resource: resources.roleBindings,
    desired: (namespace) => ({
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata: { name: pullerName, namespace, labels: managedLabels },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: clusterRole },
      subjects: [{ apiGroup: rbac, kind: 'Group', name: groupOf(namespace) }],
    }),
    isTrue: ({ metadata, subjects }) => {
      const [subject, ...others] = Array.isArray(subjects) ? (subjects as { kind?: string; name?: string }[]) : [];
      return others.length === 0 && subject?.kind === 'Group' && subject.name === groupOf(metadata.namespace);
    },
    isBeyondRepair: ({ roleRef }) => {
      const { kind, name } = (roleRef ?? {}) as { kind?: string; name?: string };
      return kind !== 'ClusterRole' || name !== clusterRole;
    },
  };
}

function groupOf(namespace: string | undefined): string {
  return `system:serviceaccounts:${namespace}`;
}
