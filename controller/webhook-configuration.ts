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
  const { client, certificate, name = 'oci-connector', log } = options;
  const key = { name };
  return startServingPublisher(options, resources.mutatingWebhookConfigurations, key, async (signal) => {
    const configuration = await client.get<WebhookConfiguration>(resources.mutatingWebhookConfigurations, key, {
      signal,
    });
    if (configuration === undefined) {
      log.warn({ webhookConfiguration: name }, 'the webhook configuration is missing: install it, as the chart does');
      return;
    }
    const patch = caBundlePatch(configuration, certificate.caBundle);
    if (patch.length === 0) return;
    await client.patch(resources.mutatingWebhookConfigurations, key, patch, { type: 'json', signal });
    log.info({ webhookConfiguration: name }, 'the webhook configuration trusts the serving certificate');
  });
}

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
