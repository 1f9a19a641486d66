import type { KubernetesObject } from '../platform/kubernetes/object.ts';

/** Owns the fields that we write, for server-side apply. */
export const fieldManager = 'oci-connector';
/** Who reports in Events. */
export const reportingController = 'connectors.cpaas.io/oci-connector';

const managedBy = 'app.kubernetes.io/managed-by';

/** On each object that we make. */
export const managedLabels: Readonly<Record<string, string>> = { [managedBy]: 'oci-connector' };
/** Selects what we made, and nothing else. */
export const managedSelector = `${managedBy}=${managedLabels[managedBy]}`;

/** Whether we made it. What is not ours is never changed and never removed. */
export function isOurs(object: KubernetesObject): boolean {
  return object.metadata.labels?.[managedBy] === managedLabels[managedBy];
}
