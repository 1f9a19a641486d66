import type { Rule } from './control-plane.ts';

const verbsOfNamed = ['get', 'list', 'watch', 'create', 'patch', 'delete'];

/** What the opt-in of namespaces needs in all of them. All but namespaces and events is limited to our names. */
export const namespaceRules: readonly Rule[] = [
  { apiGroups: [''], resources: ['namespaces'], verbs: ['get', 'list', 'watch'] },
  {
    apiGroups: [''],
    resources: ['secrets'],
    resourceNames: ['oci-connector-pull'],
    verbs: [...verbsOfNamed, 'update'],
  },
  { apiGroups: [''], resources: ['serviceaccounts'], resourceNames: ['oci-connector-puller'], verbs: verbsOfNamed },
  {
    apiGroups: [''],
    resources: ['serviceaccounts/token'],
    resourceNames: ['oci-connector-puller'],
    verbs: ['create'],
  },
  {
    apiGroups: ['rbac.authorization.k8s.io'],
    resources: ['rolebindings'],
    resourceNames: ['oci-connector-puller'],
    verbs: verbsOfNamed,
  },
  {
    apiGroups: ['rbac.authorization.k8s.io'],
    resources: ['clusterroles'],
    resourceNames: ['connector-puller'],
    verbs: ['bind'],
  },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
];

/** What the serving certificate needs in the product's own namespace. */
export const servingRules: readonly Rule[] = [
  {
    apiGroups: [''],
    resources: ['secrets'],
    resourceNames: ['oci-connector-serving'],
    verbs: ['get', 'create', 'patch', 'update'],
  },
  {
    apiGroups: [''],
    resources: ['configmaps'],
    resourceNames: ['oci-connector-serving-ca'],
    verbs: ['get', 'list', 'watch', 'create', 'patch'],
  },
];

/** What the authority for clients and the keys for uploads need in the product's own namespace. */
export const sharedRules: readonly Rule[] = [
  {
    apiGroups: [''],
    resources: ['secrets'],
    resourceNames: ['oci-connector-interception', 'oci-connector-sealing'],
    verbs: ['get', 'create', 'patch', 'update'],
  },
];

/** What keeping `caBundle` needs. */
export const webhookConfigurationRules: readonly Rule[] = [
  {
    apiGroups: ['admissionregistration.k8s.io'],
    resources: ['mutatingwebhookconfigurations'],
    resourceNames: ['oci-connector'],
    verbs: ['get', 'list', 'watch', 'patch'],
  },
];

/** What the remover of the startup taint needs: the agents' pods in the product's own namespace, and all nodes. */
export const startupTaintRules: readonly Rule[] = [
  { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch', 'patch'] },
];
export const agentPodRules: readonly Rule[] = [{ apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] }];
