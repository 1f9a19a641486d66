import type { Interception } from '../certs/interception.ts';
import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { type Connector, type ConnectorClass, connectorApiVersion } from '../connectors/schema.ts';
import { type Condition, type ConnectorStatus, conditionOf, statusOf } from '../connectors/status.ts';
import type { CandidateSources } from '../credentials/candidates.ts';
import type { RegistryTransports } from '../credentials/registry-transports.ts';
import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import type { EventRecorder } from '../platform/kubernetes/events.ts';
import { type Informer, startInformer } from '../platform/kubernetes/informer.ts';
import { type ObjectKey, parseKey, resources } from '../platform/kubernetes/object.ts';
import { WorkQueue } from '../platform/kubernetes/work-queue.ts';
import { connectorEvents } from './connector-events.ts';
import { ConnectorProber, type ProbeReport, type ProbeSubject } from './connector-prober.ts';
import {
  connectorOfService,
  ensureConnectorService,
  type Service,
  serviceNameOf,
  slimService,
} from './connector-service.ts';
import { type ConnectorFacts, connectorStatus } from './connector-status.ts';
import { ConnectorStatusWriter } from './connector-status-writer.ts';
import { managedSelector, reportingController } from './ownership.ts';
import type { ProbeLanesOptions } from './probe-lanes.ts';
import { type LeadingOptions, type Reconciler, whileLeading } from './reconciler.ts';

/** The connectors of the cluster, in memory. */
export interface ConnectorSource {
  readonly catalogue: Pick<ConnectorCatalogue, 'connectors' | 'connector'>;
  /** The Connector itself, with its status; undefined also for one that cannot be read. */
  document(key: ConnectorKey): Connector | undefined;
  connectorClass(name: string): ConnectorClass | undefined;
  /** Tells of connectors that came, changed or went, or whose class, Secret or CA did. Returns what ends it. */
  onChange(listener: (keys: readonly ConnectorKey[]) => void): () => void;
}

export interface ConnectorReconcilerOptions extends LeadingOptions {
  readonly client: KubernetesClient;
  readonly events: Pick<EventRecorder, 'record'>;
  /** Synced: of a connector whose Secret has not been read yet it would be told that there is none. */
  readonly store: ConnectorSource;
  readonly transports: RegistryTransports;
  readonly sources: CandidateSources;
  /** The central proxy's Service, which each connector's own leads to. */
  readonly proxyService: Required<ObjectKey>;
  /** `host:port` that stands in images which nodes pull. */
  readonly imageHost: string;
  /** `cluster.local` when absent. */
  readonly clusterDomain?: string;
  /** What clients in pods have to trust; undefined where the proxy is plain HTTP only. */
  readonly interception?: Pick<Interception, 'caBundle' | 'onChange'>;
  /** Over how long the statuses are written anew when that changes; 60,000 when absent. */
  readonly trustSpreadMs?: number;
  /** Between probes of a connector that is well; 300,000 when absent. */
  readonly probeIntervalMs?: number;
  /** Of one probe; 10,000 when absent. */
  readonly probeTimeoutMs?: number;
  /** How long a registry's answer counts for other connectors; 5,000 when absent. */
  readonly probeFreshMs?: number;
  readonly lanes?: ProbeLanesOptions;
  /**
   * How long the first status of a connector waits for its probe, and for a Secret or a class that comes a moment after
   * it; 1,000 when absent.
   */
  readonly settleMs?: number;
  /** Until a Service that is not ours is looked at again; 30,000 when absent. */
  readonly serviceRetryMs?: number;
  /** Connectors that are written at once; 8 when absent. */
  readonly concurrency?: number;
  readonly onProbe?: (report: ProbeReport) => void;
  /** Told of each status that was written. */
  readonly onStatus?: (connector: ConnectorKey, conditions: readonly Condition[]) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  readonly random?: () => number;
}

const tickMs = 1_000;
/** What may come a moment later, from the same `kubectl apply`. */
const gaps: ReadonlySet<string> = new Set(['SecretNotFound', 'ConnectorClassNotFound']);

/** Keeps the status and the Service of every Connector true. For the leader alone. */
export function startConnectorReconciler(options: ConnectorReconcilerOptions): Reconciler {
  const { client, store, log } = options;
  const parts = new AsyncDisposableStack();
  const services = parts.use(
    startInformer<Service>({
      client,
      resource: resources.services,
      labelSelector: managedSelector,
      transform: slimService,
      onError: (err) => log.warn({ err }, 'Services cannot be watched'),
    }),
  );
  const reconciler = parts.use(new ConnectorReconciler(options, services));
  parts.defer(store.onChange((keys) => reconciler.changed(keys)));
  parts.defer(services.onChange(({ key }) => reconciler.serviceChanged(key)));
  if (options.interception) parts.defer(options.interception.onChange(() => reconciler.trustChanged()));
  const tick = setInterval(() => reconciler.tick(), tickMs);
  parts.defer(() => clearInterval(tick));
  // Without the Services in memory each connector would try to create one that there is.
  services.synced().then(
    () => reconciler.changed(store.catalogue.connectors.map(({ key }) => key)),
    () => {},
  );
  return whileLeading(options, parts);
}

class ConnectorReconciler implements AsyncDisposable {
  readonly #options: ConnectorReconcilerOptions;
  readonly #services: Pick<Informer<Service>, 'get' | 'isSynced'>;
  readonly #queue: WorkQueue;
  readonly #prober: ConnectorProber;
  readonly #writer: ConnectorStatusWriter;
  /** Connectors that name what there is not, and until when that is waited for; milliseconds since the epoch. */
  readonly #incomplete = new Map<string, number>();
  readonly #now: () => number;

  constructor(options: ConnectorReconcilerOptions, services: Pick<Informer<Service>, 'get' | 'isSynced'>) {
    const { client, transports, sources, log, random = Math.random, now = Date.now } = options;
    this.#options = options;
    this.#services = services;
    this.#now = now;
    this.#writer = new ConnectorStatusWriter(client);
    this.#queue = new WorkQueue({
      work: (key, signal) => this.#reconcile(key, signal),
      concurrency: options.concurrency ?? 8,
      random,
      onError: (err, connector, attempt) => log.warn({ err, connector, attempt }, 'a connector cannot be written'),
    });
    this.#prober = new ConnectorProber({
      transports,
      sources,
      subject: (key) => this.#subject(key),
      onVerdicts: (key) => this.#queue.add(key),
      onProbe: options.onProbe,
      onError: (err, connector) => log.error({ err, connector }, 'a probe has failed'),
      intervalMs: options.probeIntervalMs ?? 300_000,
      timeoutMs: options.probeTimeoutMs ?? 10_000,
      freshMs: options.probeFreshMs ?? 5_000,
      lanes: options.lanes,
      now,
      random,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#prober[Symbol.dispose]();
    await this.#queue.close();
  }

  tick(): void {
    this.#prober.tick();
  }

  changed(keys: readonly ConnectorKey[]): void {
    if (!this.#services.isSynced) return;
    for (const key of keys) {
      const text = formatKey(key);
      const subject = this.#subject(text);
      if (subject === undefined) this.#forget(text);
      else this.#observe(text, subject);
    }
  }

  serviceChanged(key: ObjectKey): void {
    const connector = connectorOfService(key);
    if (connector === undefined || !this.#services.isSynced) return;
    const text = formatKey(connector);
    if (this.#subject(text) !== undefined) this.#queue.add(text);
  }

  /** Every status tells what to trust. There is a day for it, so they need not be written at once. */
  trustChanged(): void {
    if (!this.#services.isSynced) return;
    const { store, trustSpreadMs = 60_000, random = Math.random } = this.#options;
    for (const { key } of store.catalogue.connectors) this.#queue.add(formatKey(key), random() * trustSpreadMs);
  }

  #forget(key: string): void {
    this.#prober.forget(key);
    this.#writer.forget(key);
    this.#queue.forget(key);
    this.#incomplete.delete(key);
  }

  #observe(key: string, subject: ProbeSubject): void {
    const { settleMs = 1_000 } = this.#options;
    const isKnown = isProbed(subject.connector);
    const isIncomplete = subject.resolved.problems.some(({ reason }) => gaps.has(reason));
    if (!isIncomplete) this.#incomplete.delete(key);
    else if (!this.#incomplete.has(key)) this.#incomplete.set(key, this.#now() + settleMs);
    this.#prober.observe(key, subject, isKnown);
    this.#queue.add(key, !isKnown && this.#prober.isRunning(key) ? settleMs : 0);
  }

  #subject(text: string): ProbeSubject | undefined {
    const { namespace = '', name } = parseKey(text);
    const { store } = this.#options;
    const resolved = store.catalogue.connector({ namespace, name });
    if (resolved === undefined) return undefined;
    const connector = store.document({ namespace, name }) ?? unreadable(resolved);
    return connector.metadata.deletionTimestamp === undefined ? { connector, resolved } : undefined;
  }

  /** The Connector to write to: one that cannot be read is not in the store, but has a status all the same. */
  async #target({ connector, resolved }: ProbeSubject, signal: AbortSignal): Promise<Connector | undefined> {
    if (this.#options.store.document(resolved.key) !== undefined) return connector;
    const object = await this.#options.client.get(resources.connectors, resolved.key, { signal });
    return object && { ...connector, metadata: object.metadata as Connector['metadata'], status: object['status'] };
  }

  async #reconcile(text: string, signal: AbortSignal): Promise<void> {
    const subject = this.#subject(text);
    if (subject === undefined) return;
    const waitMs = (this.#incomplete.get(text) ?? 0) - this.#now();
    if (waitMs > 0) return this.#queue.add(text, waitMs);
    const connector = await this.#target(subject, signal);
    if (connector === undefined) return;
    const service = await this.#ensureService(subject.resolved, signal);
    const written = await this.#write(text, { connector, resolved: subject.resolved, service }, signal);
    if (service.status !== 'True') this.#queue.add(text, this.#options.serviceRetryMs ?? 30_000);
    if (written === undefined) return;
    this.#options.onStatus?.(subject.resolved.key, written.after);
    const { apiVersion, kind, metadata } = connector;
    const regarding = { apiVersion, kind, ...subject.resolved.key, uid: metadata.uid };
    for (const event of connectorEvents(written.before, written.after)) {
      await this.#options.events.record({ ...event, regarding, action: 'Reconcile', reportingController });
    }
  }

  #ensureService({ key, uid }: ResolvedConnector, signal: AbortSignal) {
    const { client, proxyService, clusterDomain = 'cluster.local' } = this.#options;
    const proxyName = `${proxyService.name}.${proxyService.namespace}.svc.${clusterDomain}`;
    const known = this.#services.get({ namespace: key.namespace, name: serviceNameOf(key) });
    return ensureConnectorService(client, { key, uid }, { proxyName, known, signal });
  }

  #write(text: string, known: Pick<ConnectorFacts, 'connector' | 'resolved' | 'service'>, signal: AbortSignal) {
    const { store, imageHost, interception, clusterDomain = 'cluster.local' } = this.#options;
    const { connector, resolved } = known;
    const connectorClass = store.connectorClass(connector.spec.connectorClassName);
    const facts = { ...known, connectorClass, probes: this.#prober.verdicts(text, resolved.revision) };
    const next = (previous: ConnectorStatus): ConnectorStatus =>
      connectorStatus(facts, previous, { imageHost, clusterDomain, caBundle: interception?.caBundle }, this.#now());
    return this.#writer.write(connector, next, signal);
  }
}

const unreadable = ({ key, uid }: ResolvedConnector): Connector => ({
  apiVersion: connectorApiVersion,
  kind: 'Connector',
  metadata: { ...key, uid },
  spec: { connectorClassName: '', address: '' },
});

/** Whether the status tells of probes of the connector as it is. */
function isProbed(connector: Connector): boolean {
  const { observedGeneration, conditions = [] } = statusOf(connector);
  const isOfThisSpec = observedGeneration === (connector.metadata.generation ?? 0);
  const [liveness, authentication] = ['LivenessReady', 'AuthReady'].map(
    (type) => conditionOf(conditions, type)?.status,
  );
  return isOfThisSpec && liveness === 'True' && (authentication === 'True' || authentication === 'False');
}
