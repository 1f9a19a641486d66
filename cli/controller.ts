import type { ServingCertificate } from '../certs/serving-certificate.ts';
import { callerAudience, pullSecretName } from '../connectors/pull-identity.ts';
import { publishServingCa } from '../controller/serving-ca.ts';
import { openSharedCertificate, servingNames } from '../controller/serving-certificate.ts';
import { publishCaBundle } from '../controller/webhook-configuration.ts';
import { LocalGrants } from '../credentials/local-grants.ts';
import { RegistryTransports } from '../credentials/registry-transports.ts';
import { type LeaderElection, startLeaderElection } from '../platform/kubernetes/leader-election.ts';
import type { Logger } from '../platform/logger.ts';
import { createMetrics, type Metrics } from '../platform/metrics.ts';
import { localAccess } from '../proxy/access.ts';
import { AccessReviews } from '../proxy/access-reviews.ts';
import { buildAgentApi } from '../proxy/agent-api.ts';
import { agentAudience } from '../proxy/agent-protocol.ts';
import { clusterCallers } from '../proxy/cluster-callers.ts';
import { answerCall, buildProxy, type ProxyOptions } from '../proxy/listener.ts';
import { TokenReviews } from '../proxy/token-reviews.ts';
import { type ClusterObjects, openClusterObjects } from './cluster-objects.ts';
import type { ControllerSettings } from './controller-settings.ts';
import { startHttps, startWebhook } from './https-listeners.ts';
import { lead } from './leading.ts';
import { formatListenAddress, listen } from './listen-address.ts';
import { type Listening, startManagement } from './management-listener.ts';
import { observeCentre, observeProxy, observeWebhook } from './observe.ts';

const publishMs = 15_000;
/** A Secret that cannot be read keeps nobody from becoming ready for longer than this, once no other one is read. */
const syncGraceMs = 20_000;

/** A running replica of the centre. */
export interface Controller {
  /** `host:port` of each listener. */
  readonly addresses: {
    readonly proxy: string;
    readonly webhook: string;
    readonly agents: string;
    readonly management: string;
  };
  readonly isLeader: boolean;
  /** Ends without cutting a request that ends within the grace period. */
  close(): Promise<void>;
}

/**
 * Starts a replica of the centre: webhook, central proxy, API for agents, and its part in the election of who writes.
 * It listens once it knows the connectors. Parts close in the reverse order, so that probes are answered to the end.
 * @throws Error with a message for people: no access to the API server, a port that is taken
 */
export async function startController(settings: ControllerSettings, log: Logger): Promise<Controller> {
  await using parts = new AsyncDisposableStack();
  const metrics = createMetrics();
  const notReady = new Set(['starting']);
  const management = await startManagement({ metrics, notReady: () => [...notReady] }, settings.management, parts);
  const objects = await openClusterObjects(settings, log, parts);
  const certificate = await openCertificate(settings, objects, log);
  parts.defer(() => certificate.close());
  await untilSynced(objects, log);
  await becomeTrusted(settings, objects, certificate, log);
  const transports = new RegistryTransports({
    proxies: settings.proxies,
    isLoopbackForbidden: !settings.allowLoopback,
  });
  parts.defer(() => transports.close());
  const served = await startListeners({ settings, objects, certificate, transports, log, metrics }, parts);
  const election = startElection({ ...objects, settings, certificate, log, metrics });
  parts.use(election);
  observeCentre(metrics, objects.store, election);
  const addresses = {
    proxy: formatListenAddress(served.proxy.address),
    webhook: formatListenAddress(served.webhook.address),
    agents: formatListenAddress(served.agents.address),
    management: formatListenAddress(management.address),
  };
  notReady.delete('starting');
  log.info({ ...addresses, imageHost: settings.imageHost, connectors: objects.store.size }, 'ready');
  const started = parts.move();
  return {
    addresses,
    get isLeader() {
      return election.isLeader;
    },
    close: async () => {
      notReady.add('draining');
      log.info({ graceMs: settings.drainMs }, 'draining');
      // Another replica may lead while this one still serves.
      const resigned = election.close();
      await Promise.all(Object.values(served).map((listening) => listening.drain(settings.drainMs)));
      await resigned;
      await management.drain(0);
      await started.disposeAsync();
    },
  };
}

function openCertificate(
  settings: ControllerSettings,
  { client }: ClusterObjects,
  log: Logger,
): Promise<ServingCertificate> {
  const { namespace, clusterDomain, webhookService, agentsService, webhookNames } = settings;
  const services = [webhookService, agentsService];
  return openSharedCertificate({
    client,
    namespace,
    names: servingNames({ namespace, clusterDomain, services, extra: webhookNames }),
    onError: (err) => log.error({ err }, 'the certificate could not be checked: the current one goes on'),
  });
}

/** Whoever is told that we are ready may call at once: the API server and the agents have to trust us by then. */
async function becomeTrusted(
  settings: ControllerSettings,
  { client }: ClusterObjects,
  certificate: ServingCertificate,
  log: Logger,
): Promise<void> {
  const common = { client, certificate, log, signal: AbortSignal.timeout(publishMs) };
  const published = await Promise.allSettled([
    publishCaBundle({ ...common, name: settings.webhookConfiguration }),
    publishServingCa({ ...common, namespace: settings.namespace }),
  ]);
  for (const result of published) {
    if (result.status === 'rejected') log.warn({ err: result.reason }, 'the leader has to publish what clients trust');
  }
}

async function untilSynced({ store, namespaces }: ClusterObjects, log: Logger): Promise<void> {
  const slow = setInterval(
    () => log.warn('still reading connectors, classes, namespaces and Secrets from the API server'),
    10_000,
  );
  try {
    await namespaces.synced();
    await store.synced(syncGraceMs);
  } finally {
    clearInterval(slow);
  }
  if (!store.isSynced) log.warn('some Secrets that connectors name could not be read: their connectors wait for them');
}

interface Serving {
  readonly settings: ControllerSettings;
  readonly objects: ClusterObjects;
  readonly certificate: ServingCertificate;
  readonly transports: RegistryTransports;
  readonly log: Logger;
  readonly metrics: Metrics;
}

type Listeners = Readonly<Record<'proxy' | 'webhook' | 'agents', Listening>>;

async function startListeners(serving: Serving, parts: AsyncDisposableStack): Promise<Listeners> {
  const { settings, objects, certificate, log, metrics } = serving;
  const options = proxyOptionsOf(serving);
  const proxy = buildProxy(options);
  const address = await listen(proxy.server, settings.proxy);
  parts.defer(() => proxy.drain(0));
  const agents = await startHttps(agentApiOf(serving, options), certificate, settings.agents, parts);
  const webhook = await startWebhook(
    {
      store: objects.store,
      proxyHost: settings.imageHost,
      pullSecretName: settings.pullIdentity === 'secret' ? pullSecretName : undefined,
      agentless: settings.agentless,
      logger: log,
      ...observeWebhook(metrics),
    },
    certificate,
    settings.webhook,
    parts,
  );
  const { store } = objects;
  parts.defer(store.onChange(() => metrics.connectors.set(store.size)));
  metrics.connectors.set(store.size);
  return { proxy: { address, drain: proxy.drain }, agents, webhook };
}

function proxyOptionsOf({ objects, transports, log, metrics }: Serving): ProxyOptions {
  const { client, store } = objects;
  const grants = new LocalGrants({
    transports,
    onExchange: (connector, result) => metrics.tokenExchanges.inc({ connector, result }),
  });
  const tokens = new TokenReviews({
    client,
    audience: callerAudience,
    onReview: (result) => metrics.tokenReviews.inc({ result }),
  });
  const callers = clusterCallers({ tokens, access: new AccessReviews({ client }) });
  const access = localAccess({ store, callers, grants });
  // A pod has an address of its own, and no need for more.
  return { access, transports, observe: observeProxy(log, metrics), connections: { total: 8_000, perAddress: 500 } };
}

function agentApiOf({ settings, objects, log, metrics }: Serving, options: ProxyOptions) {
  const agentName = `system:serviceaccount:${settings.namespace}:${settings.agentsAccount}`;
  const agents = new TokenReviews({
    client: objects.client,
    audience: agentAudience,
    subject: agentName,
    onReview: (result) => metrics.tokenReviews.inc({ result }),
  });
  return buildAgentApi({
    access: options.access,
    agents,
    agentName,
    imageHost: settings.imageHost,
    serve: (request, response, call) => void answerCall(request, response, call, options),
    onError: (err) => log.error({ err }, 'an agent could not be answered'),
  });
}

function startElection(dependencies: Parameters<typeof lead>[0]): LeaderElection {
  const { client, settings, log } = dependencies;
  return startLeaderElection({
    client,
    namespace: settings.namespace,
    name: 'oci-connector-controller',
    identity: settings.identity,
    onStarted: (signal) => lead(dependencies, signal),
    onError: (err) => log.warn({ err }, 'the lease could not be read or written: it is tried again'),
  });
}
