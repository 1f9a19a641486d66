/** A service account; who uses it asks for its tokens by volume. */
export const accountOf = (namespace: string, name: string): object => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { namespace, name },
  automountServiceAccountToken: false,
});

/** Lets a service account do in `namespace` what a ClusterRole says. */
export const bindingTo = (
  clusterRole: string,
  namespace: string,
  account: { readonly namespace: string; readonly name: string },
): object => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { namespace, name: `${account.namespace}-${account.name}-${clusterRole}` },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: clusterRole },
  subjects: [{ kind: 'ServiceAccount', ...account }],
});
