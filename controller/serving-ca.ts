import { type KubernetesObject, resources } from '../platform/kubernetes/object.ts';
import { fieldManager, managedLabels } from './ownership.ts';
import type { Reconciler } from './reconciler.ts';
import { type ServingPublisherOptions, startServingPublisher } from './serving-publisher.ts';

const fileName = 'ca.crt';

/** Keeps the ConfigMap that agents mount in order to trust the centre: one key, `ca.crt`, PEM. */
export function startServingCaReconciler(
  options: ServingPublisherOptions & {
    /** The product's own namespace. */
    readonly namespace: string;
    /** Of the ConfigMap; `oci-connector-serving-ca` when absent. */
    readonly name?: string;
  },
): Reconciler {
  const { client, certificate, namespace, name = 'oci-connector-serving-ca', log } = options;
  const key = { namespace, name };
  return startServingPublisher(options, resources.configMaps, key, async (signal) => {
    const current = await client.get<KubernetesObject>(resources.configMaps, key, { signal });
    const { [fileName]: bundle } = (current?.['data'] ?? {}) as Record<string, string | undefined>;
    if (bundle === certificate.caBundle) return;
    const metadata = { ...key, labels: managedLabels };
    const desired = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [fileName]: certificate.caBundle } };
    await client.patch(resources.configMaps, key, desired, { type: 'apply', fieldManager, force: true, signal });
    log.info({ configMap: name }, 'agents are told what to trust');
  });
}
