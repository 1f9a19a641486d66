import { join } from 'node:path';
import { request } from 'undici';
import { expect } from 'vitest';
import { type KubernetesClient, openKubernetesClient } from '../../../platform/kubernetes/client.ts';
import type { KubernetesObject } from '../../../platform/kubernetes/object.ts';
import { requestToken } from '../../../platform/kubernetes/token-request.ts';
import type { Credential } from '../../real/support/token-issuer.ts';
import { type Cluster, type ClusterOptions, startCluster } from './cluster.ts';
import { makeBusyboxImage, writeImageArchive } from './image-archive.ts';
import type { ContainerdVersion } from './node-files.ts';
import { type PrivateRegistry, startPrivateRegistry } from './private-registry.ts';
import { type ChartValues, installProduct, productNamespace } from './product.ts';
import { waitUntil } from './readiness.ts';

/** What no pod, no node and no log may ever show. */
export const credential: Credential = { username: 'robot', password: 'canary-of-the-registry-4f1d0c7b' };
/** Of a namespace that opted in, with a connector of the same name as its registry's product. */
export const namespace = 'shop';
export const connectorName = 'harbor';
/** An image that is on the node, and is nobody's secret. */
export const publicImage = 'localhost/tools:1';

/** A cluster with the product in it, and a private registry. */
export interface Scene {
  readonly cluster: Cluster;
  readonly registry: PrivateRegistry;
  readonly client: KubernetesClient;
  apply(...objects: readonly object[]): Promise<void>;
  /** Pushes an image that no node has seen; returns its name as an author of pods writes it. */
  freshImage(repository?: string): Promise<string>;
  /** A token as the kubelet has it for the pods of a namespace. */
  pullToken(ofNamespace?: string): Promise<string>;
  close(): Promise<void>;
}

export async function openScene(
  version: ContainerdVersion = '2',
  values: ChartValues = {},
  options: Omit<ClusterOptions, 'containerd'> = {},
): Promise<Scene> {
  await using parts = new AsyncDisposableStack();
  const cluster = parts.use(await startCluster({ ...options, containerd: version }));
  const registry = await startPrivateRegistry(cluster.bridgeAddress, credential);
  parts.defer(() => registry.close());
  const client = parts.use(await openKubernetesClient({ kubeconfig: cluster.kubeconfig }));
  const archive = join(cluster.folder, 'tools.tar');
  await writeImageArchive(archive, publicImage, await makeBusyboxImage());
  await cluster.importImage(archive);
  await installProduct(cluster, values);
  const apply = async (...items: readonly object[]) => {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    await cluster.kubectl(['apply', '--filename=-'], { input });
  };
  await apply(optedIn(namespace), ...connectorTo(registry.origin, { namespace, name: connectorName }));
  await isReady(cluster, namespace, connectorName);
  let images = 0;
  const kept = parts.move();
  return {
    cluster,
    registry,
    client,
    apply,
    freshImage: async (repository = 'private/app') => {
      images += 1;
      const seed = `${repository} ${images}`;
      return registry.push(`${repository}:v${images}`, await makeBusyboxImage({ seed }));
    },
    pullToken: async (ofNamespace = namespace) => {
      const account = { namespace: ofNamespace, name: 'oci-connector-puller' };
      const { token } = await requestToken(client, account, { audiences: ['oci-connector'], expirationSeconds: 3600 });
      return token;
    },
    close: () => kept.disposeAsync(),
  };
}

export const isReady = (cluster: Cluster, ofNamespace: string, name: string): Promise<string> =>
  cluster.kubectl(['wait', '-n', ofNamespace, `connector/${name}`, '--for=condition=Ready', '--timeout=30s']);

export const optedIn = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'connectors.cpaas.io/proxy-inject': 'true' } },
});

export const plainNamespace = (name: string): object => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

/** A Connector with a Secret of its own. */
export function connectorTo(
  address: string,
  key: { readonly namespace: string; readonly name: string },
  { username, password }: Credential = credential,
): object[] {
  const secret = `${key.name}-robot`;
  return [
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace: key.namespace, name: secret },
      type: 'cpaas.io/distribution-registry-token',
      stringData: { username, password },
    },
    {
      apiVersion: 'connectors.alauda.io/v1alpha1',
      kind: 'Connector',
      metadata: { namespace: key.namespace, name: key.name },
      spec: { connectorClassName: 'oci', address, auth: { name: 'tokenAuth', secretRef: { name: secret } } },
    },
  ];
}

export interface PodOptions {
  readonly namespace?: string;
  readonly spec?: object;
  readonly metadata?: object;
}

/** A pod that ends at once when it is told to, and asks the registry each time. */
export function podOf(name: string, image: string, options: PodOptions = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: options.namespace ?? namespace, ...options.metadata },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'app', image, imagePullPolicy: 'Always' }],
      ...options.spec,
    },
  };
}

interface Pod extends KubernetesObject {
  readonly spec: {
    readonly containers: readonly { readonly image: string }[];
    readonly initContainers?: readonly { readonly image: string }[];
    readonly ephemeralContainers?: readonly { readonly image: string }[];
    readonly volumes?: readonly { readonly image?: { readonly reference: string } }[];
  };
  readonly status?: {
    readonly containerStatuses?: readonly { readonly restartCount: number; readonly imageID: string }[];
    readonly ephemeralContainerStatuses?: readonly { readonly state: { readonly running?: object } }[];
  };
}

export async function readPod({ cluster }: Scene, name: string, ofNamespace = namespace): Promise<Pod> {
  return JSON.parse(await cluster.kubectl(['get', 'pod', '-n', ofNamespace, name, '--output=json']));
}

/** Waits until a pod is ready; what its events say is in the error where it does not become so. */
export async function runs({ cluster }: Scene, pod: string, ofNamespace = namespace): Promise<void> {
  const wait = ['wait', '-n', ofNamespace, `pod/${pod}`, '--for=condition=Ready', '--timeout=40s'];
  const { code } = await cluster.tryKubectl(wait);
  if (code !== 0) throw new Error(`pod ${pod} does not run:\n${await eventsOf({ cluster }, pod, ofNamespace)}`);
}

export function eventsOf({ cluster }: Pick<Scene, 'cluster'>, name: string, ofNamespace = namespace): Promise<string> {
  const shown = '{range .items[*]}{.reason}: {.message}{.note}{"\\n"}{end}';
  const selector = `--field-selector=involvedObject.name=${name}`;
  return cluster.kubectl(['get', 'events', '-n', ofNamespace, selector, `--output=jsonpath=${shown}`]);
}

/** Waits until an event of an object says `pattern`. */
export async function eventSays(scene: Scene, name: string, pattern: RegExp, ofNamespace = namespace): Promise<void> {
  await waitUntil({
    what: `an event of ${name} says ${pattern}`,
    isReady: async () => pattern.test(await eventsOf(scene, name, ofNamespace)),
    timeoutMs: 40_000,
  });
}

interface ConnectorStatus {
  readonly status?: {
    readonly conditions?: readonly { type: string; status: string; reason: string; message: string }[];
    readonly proxy?: {
      readonly httpAddress?: { readonly url?: string; readonly CACerts?: string };
      readonly nodeAddress?: string;
    };
  };
}

export async function readConnector(
  { cluster }: Scene,
  name: string,
  ofNamespace = namespace,
): Promise<ConnectorStatus> {
  return JSON.parse(await cluster.kubectl(['get', 'connector', '-n', ofNamespace, name, '--output=json']));
}

/** Waits until a connector's condition has this status and reason; returns its message. */
export async function conditionBecomes(
  scene: Scene,
  name: string,
  wanted: { readonly type: string; readonly status: string; readonly reason: string },
  ofNamespace = namespace,
): Promise<string> {
  let last: object | undefined;
  let message = '';
  const isReadyNow = async () => {
    const { status } = await readConnector(scene, name, ofNamespace);
    const condition = status?.conditions?.find(({ type }) => type === wanted.type);
    last = condition;
    message = condition?.message ?? '';
    return condition?.status === wanted.status && condition.reason === wanted.reason;
  };
  await waitUntil({ what: `${name} has ${JSON.stringify(wanted)}`, isReady: isReadyNow, timeoutMs: 30_000 }).catch(
    (error) => {
      throw new Error(`${error.message}; it was last ${JSON.stringify(last)}`);
    },
  );
  return message;
}

/** Answers of the agent to the host's own requests, as containerd makes them. */
export async function pullThroughAgent(
  path: string,
  token: string,
  { connector = connectorName, ofNamespace = namespace }: { connector?: string; ofNamespace?: string } = {},
): Promise<{ status: number; body: Buffer }> {
  const url = `http://localhost:7450/v2/namespaces/${ofNamespace}/connectors/${connector}/${path}`;
  const authorization = `Basic ${Buffer.from(`oci-connector:${token}`).toString('base64')}`;
  const accept = 'application/vnd.oci.image.manifest.v1+json';
  // A connection for each: clients in Go try again by themselves when one that they kept was closed meanwhile.
  const { statusCode, body } = await request(url, { headers: { authorization, accept }, reset: true });
  return { status: statusCode, body: Buffer.from(await body.arrayBuffer()) };
}

/** Names of the product's pods of a component. */
export async function productPods({ cluster }: Scene, component: 'controller' | 'node' | 'csi'): Promise<string[]> {
  const selector = `--selector=app.kubernetes.io/component=${component}`;
  const names = await cluster.kubectl([
    'get',
    'pods',
    '-n',
    productNamespace,
    selector,
    '--output=jsonpath={.items[*].metadata.name}',
  ]);
  expect(names).not.toBe('');
  return names.split(' ');
}
