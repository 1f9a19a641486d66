import type { Rule } from './control-plane.ts';

/** What keeping Connectors needs. Secrets are watched one by one; a setting may limit them to listed namespaces. */
export const connectorRules: readonly Rule[] = [
  {
    apiGroups: ['connectors.alauda.io'],
    resources: ['connectors', 'connectorclasses'],
    verbs: ['get', 'list', 'watch'],
  },
  { apiGroups: ['connectors.alauda.io'], resources: ['connectors/status'], verbs: ['patch'] },
  { apiGroups: [''], resources: ['namespaces', 'secrets'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: [''], resources: ['services'], verbs: ['get', 'list', 'watch', 'create', 'update'] },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
];
