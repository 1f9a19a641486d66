import { join } from 'node:path';
import { interceptionDirectory, sealingKeyFile } from '../certs/certificate-directory.ts';
import { type Interception, openInterception } from '../certs/interception.ts';
import { type OpenSealingKeys, openSealingKeys } from '../certs/sealing-keys.ts';
import { openServingCertificate, type ServingCertificate } from '../certs/serving-certificate.ts';
import { formatKey } from '../connectors/address.ts';
import { formatProblem } from '../connectors/field-problem.ts';
import { type FolderStore, openFolderStore } from '../connectors/folder-store.ts';
import { pullSecretName } from '../connectors/pull-identity.ts';
import { LocalGrants } from '../credentials/local-grants.ts';
import { RegistryTransports } from '../credentials/registry-transports.ts';
import type { Logger } from '../platform/logger.ts';
import { createMetrics, type Metrics } from '../platform/metrics.ts';
import { localAccess } from '../proxy/access.ts';
import { type CallerSource, everyone } from '../proxy/caller.ts';
import { openCallersFile } from '../proxy/callers-file.ts';
import type { ProxyOptions } from '../proxy/listener.ts';
import { UpstreamLimits } from '../proxy/upstream-limits.ts';
import { startWebhook } from './https-listeners.ts';
import { formatListenAddress, type ListenAddress } from './listen-address.ts';
import { startManagement } from './management-listener.ts';
import { observeProxy, observeWebhook } from './observe.ts';
import { openOracleCredentials } from './oracle-credentials.ts';
import { hostsOfThisMachine } from './own-hosts.ts';
import { type HttpsOptions, startHttpProxy, startHttpsProxy } from './proxy-listeners.ts';
import { servedHosts } from './served-hosts.ts';
import type { StandaloneSettings } from './standalone-settings.ts';

/** A running standalone process: webhook, proxy and management in one. */
export interface Standalone {
  /** `host:port` of each listener. */
  readonly addresses: {
    readonly proxy: string;
    readonly proxyHttps?: string;
    readonly webhook: string;
    readonly management: string;
  };
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
  const { proxy, proxyHttps } = await startProxies({ settings, store, log, metrics }, parts);
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
    ...(proxyHttps && { proxyHttps: formatListenAddress(proxyHttps.address) }),
    webhook: formatListenAddress(webhook.address),
    management: formatListenAddress(management.address),
  };
  notReady.delete('starting');
  const caFiles = {
    caFile: join(settings.certs, 'ca.crt'),
    interceptionCaFile: join(settings.certs, 'interception-ca.crt'),
  };
  log.info({ ...addresses, imageHost, ...caFiles }, 'ready');
  const started = parts.move();
  return {
    addresses,
    close: async () => {
      notReady.add('draining');
      log.info({ graceMs: settings.drainMs }, 'draining');
      // Together, so that one that is slow takes nothing from the others' time; management last, for the probes.
      await Promise.all([proxy, proxyHttps, webhook].map((listening) => listening?.drain(settings.drainMs)));
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

interface Serving {
  readonly settings: StandaloneSettings;
  readonly store: FolderStore;
  readonly log: Logger;
  readonly metrics: Metrics;
}

async function startProxies(serving: Serving, parts: AsyncDisposableStack) {
  const { settings, log } = serving;
  const interception = await openAuthority(settings, log);
  parts.defer(() => interception.close());
  const sealing = await openUploadKeys(settings, log);
  parts.defer(() => sealing.close());
  const options: ProxyOptions = {
    ...(await proxyOptionsOf(serving, parts)),
    writes: { sealing },
    forwardProxy: { certificates: interception },
    ...(settings.callers === undefined && { isHostAllowed: hostsOfThisMachine(settings.imageHost) }),
  };
  const proxy = await startHttpProxy(options, settings.proxy, parts);
  if (settings.proxyHttps === undefined) return { proxy };
  const https = httpsOptionsOf(serving, interception, settings.proxyHttps);
  return { proxy, proxyHttps: await startHttpsProxy(options, https, settings.proxyHttps, parts) };
}

async function proxyOptionsOf({ settings, store, log, metrics }: Serving, parts: AsyncDisposableStack) {
  const callers = await openCallers(settings, log, parts);
  const transports = new RegistryTransports({ proxies: settings.proxies });
  parts.defer(() => transports.close());
  const oracle = openOracleCredentials(settings.oracle, log);
  parts.defer(() => oracle?.close());
  const grants = new LocalGrants({
    transports,
    oracle,
    onExchange: (connector, result) => metrics.tokenExchanges.inc({ connector, result }),
  });
  const access = localAccess({ store, callers, grants });
  return { access, transports, limits: new UpstreamLimits(), observe: observeProxy(log, metrics) };
}

function openAuthority({ certs }: StandaloneSettings, log: Logger): Promise<Interception> {
  return openInterception({
    store: interceptionDirectory(certs),
    onError: (err) => log.error({ err }, 'the authority for clients could not be checked: the current one goes on'),
  });
}

/** Kept in a file, so that an upload outlives a restart. */
function openUploadKeys({ certs }: StandaloneSettings, log: Logger): Promise<OpenSealingKeys> {
  return openSealingKeys({
    store: sealingKeyFile(certs),
    onError: (err) => log.error({ err }, 'the keys for uploads could not be checked: the current ones go on'),
  });
}

function httpsOptionsOf(
  { store, log }: Pick<Serving, 'store' | 'log'>,
  interception: Interception,
  { host }: ListenAddress,
): HttpsOptions {
  const isAny = ['0.0.0.0', '::'].includes(host);
  const own = ['localhost', ...(isAny ? [] : [host.toLowerCase()])];
  return {
    interception,
    isServed: servedHosts({ store, clusterDomain: 'cluster.local', own }),
    // Who calls an address names nobody.
    fallbackHost: isAny ? '127.0.0.1' : host,
    onError: (err) => log.error({ err }, "the proxy's certificate could not be renewed: the current one goes on"),
  };
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
