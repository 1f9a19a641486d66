import { ClusterStore } from '../connectors/cluster-store.ts';
import { type KubernetesClient, KubernetesError, openKubernetesClient } from '../platform/kubernetes/client.ts';
import { type Informer, startInformer } from '../platform/kubernetes/informer.ts';
import { type KubernetesObject, keyText, resources } from '../platform/kubernetes/object.ts';
import { startObjectWatches } from '../platform/kubernetes/object-watches.ts';
import type { Logger } from '../platform/logger.ts';
import type { ControllerSettings } from './controller-settings.ts';
import { unreadable } from './unreadable-file.ts';

/** What every replica knows of the cluster, kept current by watches. */
export interface ClusterObjects {
  readonly client: KubernetesClient;
  readonly namespaces: Informer<KubernetesObject>;
  readonly store: ClusterStore;
}

/** Opens the client and begins to watch; nothing is waited for. */
export async function openClusterObjects(
  settings: ControllerSettings,
  log: Logger,
  parts: AsyncDisposableStack,
): Promise<ClusterObjects> {
  const tell = watchFailures(log);
  const { kubeconfig } = settings;
  const opened = openKubernetesClient({ kubeconfig });
  const client = parts.use(
    await (kubeconfig === undefined ? opened : opened.catch(unreadable('--kubeconfig', kubeconfig, 'a kubeconfig'))),
  );
  const watchAll = (
    resource: (typeof resources)[keyof typeof resources],
    transform?: (object: KubernetesObject) => KubernetesObject,
  ) =>
    parts.use(
      startInformer<KubernetesObject>({
        client,
        resource,
        ...(transform && { transform }),
        onError: (error) => tell(error, resource.plural),
      }),
    );
  const namespaces = watchAll(resources.namespaces, slimNamespace);
  const secrets = parts.use(
    startObjectWatches<KubernetesObject>({
      client,
      resource: resources.secrets,
      transform: slimSecret,
      onError: (error, key) => tell(error, `Secret ${keyText(key)}`),
    }),
  );
  const store = new ClusterStore({
    connectors: watchAll(resources.connectors),
    classes: watchAll(resources.connectorClasses),
    namespaces,
    secrets,
    sharedNamespace: settings.sharedNamespace,
    secretNamespaces: settings.secretsNamespaces,
  });
  parts.defer(() => store.close());
  return { client, namespaces, store };
}

const tellEveryMs = 30_000;

/**
 * One line for each kind of failure in half a minute: with the API server away, thousands of watches fail, and again at
 * each try. What happens every day, as a version that is too old, is told at debug.
 */
function watchFailures(log: Logger): (error: unknown, watched: string) => void {
  const told = new Map<string, number>();
  return (error, watched) => {
    const { status, reason, message } = error instanceof KubernetesError ? error : { message: String(error) };
    const line = { watched, status, reason, failure: message };
    const kind = `${status} ${reason}`;
    const isRoutine = status === 410 || status === 429;
    if (isRoutine || performance.now() - (told.get(kind) ?? Number.NEGATIVE_INFINITY) < tellEveryMs) {
      log.debug(line, 'a watch broke and is started again');
      return;
    }
    told.set(kind, performance.now());
    log.warn(line, 'a watch broke and is started again, and so may others');
  };
}

/** Of thousands of namespaces only what is decided by is kept. */
function slimNamespace({ apiVersion = 'v1', kind = 'Namespace', metadata }: KubernetesObject): KubernetesObject {
  const { name, uid, resourceVersion, labels, annotations, deletionTimestamp } = metadata;
  const kept = { name, uid, resourceVersion, labels, annotations, deletionTimestamp };
  return { apiVersion, kind, metadata: withoutUndefined(kept) as KubernetesObject['metadata'] };
}

function slimSecret({ apiVersion = 'v1', kind = 'Secret', metadata, type, data }: KubernetesObject): KubernetesObject {
  const { name, namespace, uid, resourceVersion } = metadata;
  const kept = withoutUndefined({ name, namespace, uid, resourceVersion }) as KubernetesObject['metadata'];
  return { apiVersion, kind, metadata: kept, ...withoutUndefined({ type, data }) };
}

const withoutUndefined = (object: object): object =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
