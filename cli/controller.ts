import type { ServingCertificate } from '../certs/serving-certificate.ts';
import { LastConfigurations } from '../connectors/configurations/last-configurations.ts';
import { callerAudience, pullSecretName } from '../connectors/pull-identity.ts';
import { publishServingCa } from '../controller/serving-ca.ts';
import { servingNames } from '../controller/serving-certificate.ts';
import { publishCaBundle } from '../controller/webhook-configuration.ts';
import type { GrantSource } from '../credentials/grant.ts';
import { LocalGrants } from '../credentials/local-grants.ts';
import type { OracleCredentials } from '../credentials/oracle-credentials.ts';
import { RegistryTransports } from '../credentials/registry-transports.ts';
import { type LeaderElection, startLeaderElection } from '../platform/kubernetes/leader-election.ts';
import type { Logger } from '../platform/logger.ts';
import { createMetrics, type Metrics } from '../platform/metrics.ts';
import { type Access, localAccess } from '../proxy/access.ts';
import { AccessReviews } from '../proxy/access-reviews.ts';
import { agentReviews, buildAgentApi } from '../proxy/agent-api.ts';
import { type ConfigurationSources, type RenderedVolume, volumeReviewsMax } from '../proxy/agent-configurations.ts';
import { clusterCallers } from '../proxy/cluster-callers.ts';
import { answerCall, type ProxyOptions, type ServingOptions } from '../proxy/listener.ts';
import { RateLimit } from '../proxy/rate-limit.ts';
import { TokenReviews } from '../proxy/token-reviews.ts';
import { UpstreamLimits } from '../proxy/upstream-limits.ts';
import { type ClusterObjects, openClusterObjects } from './cluster-objects.ts';
import type { ControllerSettings } from './controller-settings.ts';
import { startHttps, startWebhook } from './https-listeners.ts';
import { lead } from './leading.ts';
import { formatListenAddress } from './listen-address.ts';
import { type Listening, startManagement } from './management-listener.ts';
import { observeCentre, observeProxy, observeWebhook } from './observe.ts';
import { openOracleCredentials } from './oracle-credentials.ts';
import { type HttpsOptions, startHttpProxy, startHttpsProxy } from './proxy-listeners.ts';
import { servedHosts } from './served-hosts.ts';
import { openSharedKeys, type SharedKeys } from './shared-keys.ts';

const publishMs = 15_000;
/** A Secret that cannot be read keeps nobody from becoming ready for longer than this, once no other one is read. */
const syncGraceMs = 20_000;

/** What many pods go on without is logged this often, by each text. */
const faultsPerSecond = 1 / 600;

/** A running replica of the centre. */
export interface Controller {
  /** `host:port` of each listener. */
  readonly addresses: {
    readonly proxy: string;
    readonly proxyHttps: string;
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
  const keys = await openSharedKeys(settings, objects.client, log, parts);
  await untilSynced(objects, log);
  await becomeTrusted(settings, objects, keys.certificate, log);
  const transports = new RegistryTransports({
    proxies: settings.proxies,
    isLoopbackForbidden: !settings.allowLoopback,
  });
  parts.defer(() => transports.close());
  const oracle = openOracleCredentials(settings.oracle, log);
  parts.defer(() => oracle?.close());
  const served = await startListeners({ settings, objects, keys, transports, oracle, log, metrics }, parts);
  const election = startElection({ ...objects, ...keys, settings, oracle, log, metrics });
  parts.use(election);
  observeCentre(metrics, objects.store, election);
  const addresses = {
    proxy: formatListenAddress(served.proxy.address),
    proxyHttps: formatListenAddress(served.proxyHttps.address),
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
  readonly keys: SharedKeys;
  readonly transports: RegistryTransports;
  readonly oracle: OracleCredentials | undefined;
  readonly log: Logger;
  readonly metrics: Metrics;
}

type Listeners = Readonly<Record<'proxy' | 'proxyHttps' | 'webhook' | 'agents', Listening>>;

async function startListeners(serving: Serving, parts: AsyncDisposableStack): Promise<Listeners> {
  const { settings, objects, keys, log, metrics } = serving;
  const { certificate, interception, sealing } = keys;
  // Agents serve pulls only, and so does what is relayed for them.
  const grants = grantsOf(serving);
  const pulls = proxyOptionsOf(serving, grants);
  const whole: ProxyOptions = {
    ...pulls,
    writes: { sealing },
    forwardProxy: { certificates: interception, tunnels: { isLoopbackForbidden: !settings.allowLoopback } },
  };
  const proxy = await startHttpProxy(whole, settings.proxy, parts);
  const proxyHttps = await startHttpsProxy(whole, httpsOptionsOf(serving), settings.proxyHttps, parts);
  const agents = await startHttps(agentApiOf(serving, pulls, grants), certificate, settings.agents, parts);
  const webhook = await startWebhook(
    {
      store: objects.store,
      proxyHost: settings.imageHost,
      pullSecretName: settings.pullIdentity === 'secret' ? pullSecretName : undefined,
      agentless: settings.agentless,
      hasCsiDriver: settings.csi,
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
  return { proxy, proxyHttps, agents, webhook };
}

const grantsOf = ({ transports, oracle, metrics }: Serving): GrantSource =>
  new LocalGrants({
    transports,
    oracle,
    onExchange: (connector, result) => metrics.tokenExchanges.inc({ connector, result }),
  });

/** Access with reviews of its own: what one of them remembers pushes out nothing of another. */
function accessOf({ objects, metrics }: Serving, grants: GrantSource, limits: { readonly max?: number } = {}): Access {
  const { client, store } = objects;
  const tokens = new TokenReviews({
    ...limits,
    client,
    audience: callerAudience,
    onReview: (result) => metrics.tokenReviews.inc({ result }),
  });
  const callers = clusterCallers({ tokens, access: new AccessReviews({ ...limits, client }) });
  return localAccess({ store, callers, grants });
}

function proxyOptionsOf(serving: Serving, grants: GrantSource): ProxyOptions & ServingOptions {
  const { transports, log, metrics } = serving;
  // A pod has an address of its own, and no need for more.
  return {
    access: accessOf(serving, grants),
    transports,
    limits: new UpstreamLimits(),
    observe: observeProxy(log, metrics),
    connections: { total: 8_000, perAddress: 500 },
  };
}

function httpsOptionsOf({ settings, objects, keys, log }: Serving): HttpsOptions {
  const { namespace, clusterDomain, service } = settings;
  const own = servingNames({ namespace, clusterDomain, services: [service], extra: [] });
  return {
    interception: keys.interception,
    isServed: servedHosts({ store: objects.store, clusterDomain, own }),
    fallbackHost: `${service}.${namespace}.svc`,
    onError: (err) => log.error({ err }, "the proxy's certificate could not be renewed: the current one goes on"),
  };
}

function agentApiOf(serving: Serving, options: ServingOptions, grants: GrantSource) {
  const { settings, objects, keys, log, metrics } = serving;
  const userOf = (account: string) => `system:serviceaccount:${settings.namespace}:${account}`;
  const agentName = userOf(settings.agentsAccount);
  const driverName = userOf(settings.csiAccount);
  const agents = new TokenReviews({
    ...agentReviews,
    client: objects.client,
    subjects: settings.csi ? [agentName, driverName] : [agentName],
    onReview: (result) => metrics.tokenReviews.inc({ result }),
  });
  const sources: ConfigurationSources = {
    store: objects.store,
    access: accessOf(serving, grants, { max: volumeReviewsMax }),
    last: new LastConfigurations(),
    caBundle: () => keys.interception.caBundle,
    clusterDomain: settings.clusterDomain,
    onRender: observeVolumes(log),
  };
  return buildAgentApi({
    access: options.access,
    agents,
    agentName,
    driver: settings.csi ? { name: driverName, sources } : undefined,
    imageHost: settings.imageHost,
    serve: (request, response, call) => void answerCall(request, response, call, options),
    onError: (err) => log.error({ err }, 'an agent could not be answered'),
  });
}

function observeVolumes(log: Logger): (volume: RenderedVolume) => void {
  const repeats = new RateLimit({ perSecond: faultsPerSecond, burst: 1, now: Date.now });
  return (volume) => {
    const { faults, ...facts } = volume;
    log[volume.isRefresh ? 'debug' : 'info'](facts, 'rendered the files of a volume');
    for (const fault of faults) {
      if (repeats.take(fault)) log.warn({ ...facts, fault }, 'a pod that runs does not get all that its volume names');
    }
  };
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
