import { callerAudience } from '../connectors/pull-identity.ts';
import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import type { EventRecorder } from '../platform/kubernetes/events.ts';
import type { Informer } from '../platform/kubernetes/informer.ts';
import type { KubernetesObject, Resource } from '../platform/kubernetes/object.ts';
import { WorkQueue } from '../platform/kubernetes/work-queue.ts';
import { reportFailure, reportForeign } from './namespace-events.ts';
import { hasOptedIn } from './namespace-objects.ts';
import { type OptInSettings, optIn, optOut } from './namespace-opt-in.ts';
import { watchOurObjects } from './namespace-watches.ts';
import type { PullSecret } from './pull-secret.ts';
import { type LeadingOptions, logFailures, type Reconciler, whileLeading } from './reconciler.ts';

export interface NamespaceReconcilerOptions extends LeadingOptions {
  readonly client: KubernetesClient;
  readonly events: Pick<EventRecorder, 'record'>;
  /** All namespaces. */
  readonly namespaces: Informer<KubernetesObject>;
  /** The product's own namespace: it and kube-system never opt in. */
  readonly ownNamespace: string;
  readonly settings: Pick<OptInSettings, 'imageHost' | 'pullIdentity'> & Partial<OptInSettings>;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** How often to look for tokens that have to be renewed; 30,000 when absent. */
  readonly sweepMs?: number;
  /** Namespaces at once; 8 when absent. */
  readonly concurrency?: number;
}

export interface NamespaceReconciler extends Reconciler {
  /** Renews the tokens that are due. A timer calls it. */
  sweep(): void;
}

/**
 * Gives each namespace that opted in what identifies the pulls of its pods, keeps it, and takes it away again. What is
 * watched are our objects alone, by their names, so that RBAC can be limited to them: after a restart their state is
 * read from there, also of namespaces that opted out meanwhile.
 */
export function startNamespaceReconciler(options: NamespaceReconcilerOptions): NamespaceReconciler {
  const { client, namespaces, ownNamespace, log, now = Date.now, sweepMs = 30_000, concurrency = 8 } = options;
  const parts = new AsyncDisposableStack();
  const ours = watchOurObjects(options, parts);
  const watched = [ours.accounts, ours.roleBindings, ours.pullSecrets];
  const deps = {
    client,
    settings: { ...defaults, ...options.settings },
    now,
    seen: ours.seen,
    onForeign: (resource: Resource, object: KubernetesObject) => reportForeign(options.events, resource, object),
    onRenewal: (namespace: string, reason: string) =>
      log.debug({ namespace, reason }, 'another token in the pull secret'),
  };

  const logFailure = logFailures(log, 'a namespace cannot opt in or out');
  const queue = parts.use(
    new WorkQueue({
      concurrency,
      work: reconcile,
      onError: (err, namespace, attempt) => {
        logFailure(err, namespace, attempt);
        // By then it is no more a matter of two writes at the same time.
        if (attempt === 3) void reportFailure(options.events, namespace, err);
      },
    }),
  );

  async function reconcile(name: string, signal: AbortSignal): Promise<void> {
    const namespace = namespaces.get({ name });
    // Where the namespace ends, nothing can be made, and all is removed with it.
    if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) return;
    const isIn = hasOptedIn(namespace) && ![ownNamespace, 'kube-system'].includes(name);
    await (isIn ? optIn : optOut)({ ...deps, signal }, name);
  }

  // Before all is seen, everything would look as if it was missing.
  const isSynced = () => [namespaces, ...watched].every((informer) => informer.isSynced);
  const add = (namespace: string | undefined) => {
    if (namespace !== undefined && isSynced()) queue.add(namespace);
  };
  for (const informer of watched) parts.defer(informer.onChange(({ key }) => add(key.namespace)));
  parts.defer(
    namespaces.onChange(({ key, current, previous }) => {
      if ([current, previous].some((namespace) => namespace !== undefined && hasOptedIn(namespace))) add(key.name);
    }),
  );

  // Rejects when an informer is closed before.
  Promise.all([namespaces, ...watched].map((informer) => informer.synced())).then(
    () => {
      for (const namespace of namespaces.list()) if (hasOptedIn(namespace)) add(namespace.metadata.name);
      for (const informer of watched) for (const { metadata } of informer.list()) add(metadata.namespace);
    },
    () => {},
  );
  const sweep = sweeper(ours.pullSecrets, now, add);
  const timer = setInterval(sweep, sweepMs).unref();
  parts.defer(() => clearInterval(timer));

  return { ...whileLeading(options, parts), sweep };
}

const defaults = { audience: callerAudience, tokenSeconds: 3600, clusterRole: 'connector-puller' };

/** The queue repeats what fails; asking again at each sweep would undo its waits. */
function sweeper(pullSecrets: Informer<PullSecret>, now: () => number, add: (namespace: string | undefined) => void) {
  const asked = new WeakSet<PullSecret>();
  return () => {
    for (const secret of pullSecrets.list()) {
      if (secret.token === undefined || now() < secret.token.renewAt || asked.has(secret)) continue;
      asked.add(secret);
      add(secret.metadata.namespace);
    }
  };
}
