import type { ServingCertificate } from '../certs/serving-certificate.ts';
import type { KubernetesObject } from '../platform/kubernetes/object.ts';
import { resources } from '../platform/kubernetes/object.ts';
import type { Reconciler } from './reconciler.ts';
import { type ServingPublisherOptions, startServingPublisher } from './serving-publisher.ts';

/** As much of a MutatingWebhookConfiguration as is needed here. */
interface WebhookConfiguration extends KubernetesObject {
  readonly webhooks?: readonly {
    readonly name: string;
    readonly clientConfig: { readonly caBundle?: string; readonly [field: string]: unknown };
  }[];
}

interface JsonPatchOperation {
  readonly op: 'test' | 'add';
  readonly path: string;
  readonly value: unknown;
}

/**
 * Keeps `caBundle` of every webhook in one MutatingWebhookConfiguration: after a rotation, and when somebody edits or
 * applies the configuration again. The configuration itself is the installer's, and is waited for.
 */
export function startWebhookConfigurationReconciler(
  options: ServingPublisherOptions & {
    /** Of the MutatingWebhookConfiguration; `oci-connector` when absent. */
    readonly name?: string;
  },
): Reconciler {
  const { name = 'oci-connector' } = options;
  return startServingPublisher(options, resources.mutatingWebhookConfigurations, { name }, (signal) =>
    publishCaBundle({ ...options, name, signal }),
  );
}

/** Sees to it once that the API server trusts the webhook. */
export async function publishCaBundle({ client, certificate, name, log, signal }: CaBundlePublication): Promise<void> {
  const key = { name };
  const resource = resources.mutatingWebhookConfigurations;
  const configuration = await client.get<WebhookConfiguration>(resource, key, { signal });
  if (configuration === undefined) {
    log.warn({ webhookConfiguration: name }, 'the webhook configuration is missing: install it, as the chart does');
    return;
  }
  const patch = caBundlePatch(configuration, certificate.caBundle);
  if (patch.length === 0) return;
  await client.patch(resource, key, patch, { type: 'json', signal });
  log.info({ webhookConfiguration: name }, 'the webhook configuration trusts the serving certificate');
}

type CaBundlePublication = ServingPublisherOptions & { readonly name: string };

/** What has to change for every webhook to be trusted. It tests what it has seen, so that no other edit is undone. */
export function caBundlePatch(
  { webhooks = [] }: WebhookConfiguration,
  caBundle: ServingCertificate['caBundle'],
): JsonPatchOperation[] {
  const wanted = Buffer.from(caBundle).toString('base64');
  return webhooks.flatMap(({ name, clientConfig }, i): JsonPatchOperation[] => {
    if (clientConfig.caBundle === wanted) return [];
    return [
      { op: 'test', path: `/webhooks/${i}/name`, value: name },
      { op: 'test', path: `/webhooks/${i}/clientConfig`, value: clientConfig },
      // Replaces one that is there.
      { op: 'add', path: `/webhooks/${i}/clientConfig/caBundle`, value: wanted },
    ];
  });
}
