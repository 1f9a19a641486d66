import type { Interception } from '../certs/interception.ts';
import type { ServingCertificate } from '../certs/serving-certificate.ts';
import { startConnectorReconciler } from '../controller/connector-reconciler.ts';
import { startNamespaceReconciler } from '../controller/namespace-reconciler.ts';
import { startServingCaReconciler } from '../controller/serving-ca.ts';
import { startStartupTaintReconciler } from '../controller/startup-taint.ts';
import { startWebhookConfigurationReconciler } from '../controller/webhook-configuration.ts';
import type { OracleCredentials } from '../credentials/oracle-credentials.ts';
import { RegistryTransports } from '../credentials/registry-transports.ts';
import { EventRecorder } from '../platform/kubernetes/events.ts';
import type { Logger } from '../platform/logger.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { ClusterObjects } from './cluster-objects.ts';
import type { ControllerSettings } from './controller-settings.ts';

export interface LeadingDependencies extends ClusterObjects {
  readonly settings: ControllerSettings;
  readonly certificate: ServingCertificate;
  readonly interception: Interception;
  readonly oracle: OracleCredentials | undefined;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Runs what only one replica may do, until `signal` aborts, and ends when all of it has ended. */
export async function lead(dependencies: LeadingDependencies, signal: AbortSignal): Promise<void> {
  const { client, namespaces, store, settings, certificate, interception, oracle, log, metrics } = dependencies;
  await using parts = new AsyncDisposableStack();
  const events = new EventRecorder({
    client,
    reportingInstance: settings.identity,
    onError: (err) => log.warn({ err }, 'an Event was not written'),
  });
  parts.use(events);
  const leading = { client, signal, log };
  // Of its own: probes of thousands of registries must not push out the connections of those that pulls go to.
  const transports = new RegistryTransports({
    proxies: settings.proxies,
    isLoopbackForbidden: !settings.allowLoopback,
  });
  parts.defer(() => transports.close());
  parts.use(startServingCaReconciler({ ...leading, certificate, namespace: settings.namespace }));
  parts.use(startWebhookConfigurationReconciler({ ...leading, certificate, name: settings.webhookConfiguration }));
  if (settings.startupTaint) parts.use(startStartupTaintReconciler({ ...leading, namespace: settings.namespace }));
  const { imageHost, pullIdentity, clusterDomain, namespace: ownNamespace } = settings;
  parts.use(
    startNamespaceReconciler({ ...leading, events, namespaces, ownNamespace, settings: { imageHost, pullIdentity } }),
  );
  parts.use(
    startConnectorReconciler({
      ...leading,
      events,
      store,
      transports,
      sources: { oracle },
      interception,
      imageHost,
      clusterDomain,
      proxyService: { namespace: ownNamespace, name: settings.service },
      probeIntervalMs: settings.probeMs,
      onProbe: ({ probe, result }) => metrics.probes.inc({ probe, result }),
    }),
  );
  log.info('leading');
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  log.info('leading no more');
}
