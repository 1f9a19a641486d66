import type { ServingCertificate } from '../certs/serving-certificate.ts';
import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import { startInformer } from '../platform/kubernetes/informer.ts';
import { keyText, type ObjectKey, type Resource } from '../platform/kubernetes/object.ts';
import { WorkQueue } from '../platform/kubernetes/work-queue.ts';
import { type LeadingOptions, logFailures, type Reconciler, whileLeading } from './reconciler.ts';

export interface ServingPublisherOptions extends LeadingOptions {
  readonly client: KubernetesClient;
  readonly certificate: Pick<ServingCertificate, 'caBundle' | 'onChange'>;
}

/**
 * Keeps an object that tells clients what to trust: runs `publish` at the start, when the bundle changes, and when the
 * object does, and again after a failure. A new CA signs nothing for a day (`overlapMs`), so what is published now is
 * trusted long before it is served.
 */
export function startServingPublisher(
  options: ServingPublisherOptions,
  resource: Resource,
  key: ObjectKey,
  publish: (signal: AbortSignal) => Promise<void>,
): Reconciler {
  const { client, certificate, log } = options;
  const object = `${resource.kind} ${keyText(key)}`;
  const { namespace, name } = key;
  const parts = new AsyncDisposableStack();
  const queue = parts.use(
    new WorkQueue({
      concurrency: 1,
      work: (_, signal) => publish(signal),
      onError: logFailures(log, 'what clients trust cannot be published'),
    }),
  );
  const informer = parts.use(
    startInformer({
      client,
      resource,
      ...(namespace === undefined ? {} : { namespace }),
      // With this selector RBAC can limit the watch to the one name.
      fieldSelector: `metadata.name=${name}`,
      onError: (err) => log.warn({ err, object }, 'the watch broke and is started again'),
    }),
  );
  const publishAgain = () => queue.add(object);
  parts.defer(informer.onChange(publishAgain));
  parts.defer(certificate.onChange(publishAgain));
  publishAgain();
  return whileLeading(options, parts);
}
