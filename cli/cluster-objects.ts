import { ClusterStore } from '../connectors/cluster-store.ts';
import { type KubernetesClient, openKubernetesClient } from '../platform/kubernetes/client.ts';
import { type Informer, startInformer } from '../platform/kubernetes/informer.ts';
import { type KubernetesObject, keyText, resources } from '../platform/kubernetes/object.ts';
import { startObjectWatches } from '../platform/kubernetes/object-watches.ts';
import type { Logger } from '../platform/logger.ts';
import type { ControllerSettings } from './controller-settings.ts';

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
  const client = parts.use(await openKubernetesClient({ kubeconfig: settings.kubeconfig }));
  const watchAll = (
    resource: (typeof resources)[keyof typeof resources],
    transform?: (object: KubernetesObject) => KubernetesObject,
  ) =>
    parts.use(
      startInformer<KubernetesObject>({
        client,
        resource,
        ...(transform && { transform }),
        onError: (err) => log.warn({ err, resource: resource.plural }, 'a watch broke and is started again'),
      }),
    );
  const namespaces = watchAll(resources.namespaces, slimNamespace);
  const secrets = parts.use(
    startObjectWatches<KubernetesObject>({
      client,
      resource: resources.secrets,
      transform: slimSecret,
      onError: (err, key) => log.warn({ err, secret: keyText(key) }, 'a Secret cannot be read: it is tried again'),
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
