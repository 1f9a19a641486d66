import { type KubernetesObject, resources } from '../platform/kubernetes/object.ts';
import { fieldManager, managedLabels } from './ownership.ts';
import type { Reconciler } from './reconciler.ts';
import { type ServingPublisherOptions, startServingPublisher } from './serving-publisher.ts';

const fileName = 'ca.crt';
const defaultName = 'oci-connector-serving-ca';

/** Keeps the ConfigMap that agents mount in order to trust the centre: one key, `ca.crt`, PEM. */
export function startServingCaReconciler(
  options: ServingPublisherOptions & {
    /** The product's own namespace. */
    readonly namespace: string;
    /** Of the ConfigMap; `oci-connector-serving-ca` when absent. */
    readonly name?: string;
  },
): Reconciler {
  const { namespace, name = defaultName } = options;
  return startServingPublisher(options, resources.configMaps, { namespace, name }, (signal) =>
    publishServingCa({ ...options, signal }),
  );
}

/** Sees to it once that agents are told what to trust. */
export async function publishServingCa(
  options: ServingPublisherOptions & { readonly namespace: string; readonly name?: string },
): Promise<void> {
  const { client, certificate, namespace, name = defaultName, log, signal } = options;
  const key = { namespace, name };
  const current = await client.get<KubernetesObject>(resources.configMaps, key, { signal });
  const { [fileName]: bundle } = (current?.['data'] ?? {}) as Record<string, string | undefined>;
  if (bundle === certificate.caBundle) return;
  const metadata = { ...key, labels: managedLabels };
  const desired = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [fileName]: certificate.caBundle } };
  await client.patch(resources.configMaps, key, desired, { type: 'apply', fieldManager, force: true, signal });
  log.info({ configMap: name }, 'agents are told what to trust');
}
