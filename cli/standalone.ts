import { join } from 'node:path';
import { openServingCertificate, type ServingCertificate } from '../certs/serving-certificate.ts';
import { formatKey } from '../connectors/address.ts';
import { type FolderStore, openFolderStore } from '../connectors/folder-store.ts';
import { formatProblem } from '../connectors/manifest.ts';
import { pullSecretName } from '../connectors/pull-identity.ts';
import { LocalGrants } from '../credentials/local-grants.ts';
import { RegistryTransports } from '../credentials/registry-transports.ts';
import type { Logger } from '../platform/logger.ts';
import { createMetrics, type Metrics } from '../platform/metrics.ts';
import { localAccess } from '../proxy/access.ts';
import { type CallerSource, everyone } from '../proxy/caller.ts';
import { openCallersFile } from '../proxy/callers-file.ts';
import { buildProxy } from '../proxy/listener.ts';
import { startWebhook } from './https-listeners.ts';
import { formatListenAddress, type ListenAddress, listen } from './listen-address.ts';
import { type Listening, startManagement } from './management-listener.ts';
import { observeProxy, observeWebhook } from './observe.ts';
import type { StandaloneSettings } from './standalone-settings.ts';

/** A running standalone process: webhook, proxy and management in one. */
export interface Standalone {
  /** `host:port` of each listener. */
  readonly addresses: { readonly proxy: string; readonly webhook: string; readonly management: string };
  /** Ends without cutting a request that ends within the grace period. */
  close(): Promise<void>;
}

/**
 * Starts everything, or nothing: what was started is closed again when a later part cannot start. Parts close in the
 * reverse order, so that probes are answered to the end.
 * @throws Error with a message for people: a bad manifest, a port that is taken, a certificate that cannot be read
 */
export async function startStandalone(settings: StandaloneSettings, log: Logger): Promise<Standalone> {
  await using parts = new AsyncDisposableStack();
  const metrics = createMetrics();
  const notReady = new Set(['starting']);

  const store = await openStore(settings, log, metrics);
  parts.defer(() => store.close());
  const certificate = await openCertificate(settings, log);
  parts.defer(() => certificate.close());
  const management = await startManagement({ metrics, notReady: () => [...notReady] }, settings.management, parts);
  const proxy = await startProxy(settings, store, log, metrics, parts);
  const imageHost = settings.imageHost ?? imageHostOf(proxy.address);
  const webhook = await startWebhook(
    {
      store,
      proxyHost: imageHost,
      pullSecretName,
      logger: log,
      ...observeWebhook(metrics),
    },
    certificate,
    settings.webhook,
    parts,
  );

  const addresses = {
    proxy: formatListenAddress(proxy.address),
    webhook: formatListenAddress(webhook.address),
    management: formatListenAddress(management.address),
  };
  notReady.delete('starting');
  log.info({ ...addresses, imageHost, caFile: join(settings.certs, 'ca.crt') }, 'ready');
  const started = parts.move();
  return {
    addresses,
    close: async () => {
      notReady.add('draining');
      log.info({ graceMs: settings.drainMs }, 'draining');
      // Together, so that one that is slow takes nothing from the others' time; management last, for the probes.
      await Promise.all([proxy.drain(settings.drainMs), webhook.drain(settings.drainMs)]);
      await management.drain(0);
      await started.disposeAsync();
    },
  };
}

/** Clients speak plain HTTP to `localhost`; where the proxy does not listen there, images name the address itself. */
function imageHostOf(address: ListenAddress): string {
  const isLocalhost = ['localhost', '127.0.0.1', '::1', '0.0.0.0', '::'].includes(address.host);
  return isLocalhost ? `localhost:${address.port}` : formatListenAddress(address);
}

function openStore(settings: StandaloneSettings, log: Logger, metrics: Metrics): Promise<FolderStore> {
  return openFolderStore({
    folder: settings.manifests,
    onReload: (report, catalogue) => {
      metrics.connectors.set(catalogue.connectors.length);
      metrics.manifestProblems.set(report.problems.length);
      for (const problem of report.problems)
        log.error({ at: formatProblem(problem) }, 'manifest is bad: its last good version goes on');
      if (report.skipped.length > 0) log.warn({ kinds: report.skipped }, 'documents of other kinds are passed over');
      for (const { key, problems } of catalogue.connectors) {
        for (const { reason, message } of problems) log.warn({ connector: formatKey(key), reason }, message);
      }
      log.info({ connectors: catalogue.connectors.length }, 'manifests read');
    },
  });
}

function openCertificate(settings: StandaloneSettings, log: Logger): Promise<ServingCertificate> {
  const names = new Set(['localhost', '127.0.0.1', '::1', ...settings.webhookNames]);
  if (!['0.0.0.0', '::'].includes(settings.webhook.host)) names.add(settings.webhook.host);
  return openServingCertificate({
    directory: settings.certs,
    names: [...names],
    onError: (err) => log.error({ err }, 'the certificate could not be checked: the current one goes on'),
  });
}

async function startProxy(
  settings: StandaloneSettings,
  store: FolderStore,
  log: Logger,
  metrics: Metrics,
  parts: AsyncDisposableStack,
): Promise<Listening> {
  const callers = await openCallers(settings, log, parts);
  const transports = new RegistryTransports({ proxies: settings.proxies });
  parts.defer(() => transports.close());
  const grants = new LocalGrants({
    transports,
    onExchange: (connector, result) => metrics.tokenExchanges.inc({ connector, result }),
  });
  const access = localAccess({ store, callers, grants });
  const proxy = buildProxy({ access, transports, observe: observeProxy(log, metrics) });
  const address = await listen(proxy.server, settings.proxy);
  parts.defer(() => proxy.drain(0));
  return { address, drain: proxy.drain };
}

async function openCallers(
  settings: StandaloneSettings,
  log: Logger,
  parts: AsyncDisposableStack,
): Promise<CallerSource> {
  if (settings.callers === undefined) return everyone;
  const callers = await openCallersFile(settings.callers, {
    onReload: (error) => {
      if (error === undefined) log.info({ file: settings.callers }, 'callers read');
      else log.error({ at: error.message }, 'callers file is bad: its last good version goes on');
    },
  });
  parts.defer(() => callers.close());
  return callers;
}
