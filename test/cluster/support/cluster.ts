import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { partPath } from '../../real/support/find-part.ts';
import type { ProgramResult } from '../../real/support/program.ts';
import { makeCgroup } from './cgroups.ts';
import { lockCluster } from './cluster-lock.ts';
import { findComponent } from './component-process.ts';
import { type ClusterPorts, type Components, type ComponentsOptions, makeComponents, runCtr } from './components.ts';
import { writeControlPlaneFiles } from './control-plane-files.ts';
import { findFreePorts } from './free-port.ts';
import { makePauseImage, writeImageArchive } from './image-archive.ts';
import { mustRun, tryRun } from './machine.ts';
import { type ContainerdVersion, nodePaths, pauseImage, writeNodeFiles } from './node-files.ts';
import { makeBridge } from './node-network.ts';
import { changeNodeSettings } from './node-settings.ts';
import { ask, waitUntil } from './readiness.ts';
import { listRemains, removeRemains } from './remains.ts';
import { bridgeAddress, type ClusterSettings, defaultSettings } from './settings.ts';

export interface ClusterOptions
  extends Partial<Pick<ComponentsOptions, 'containerd' | 'isPersistent' | 'apiServerFlags'>> {
  readonly credentialProviders?: NonNullable<ComponentsOptions['credentialProviders']>;
  /** Fields of the KubeletConfiguration. */
  readonly kubeletConfiguration?: Readonly<Record<string, unknown>>;
  /** How long another process's cluster is waited for, by default 15 minutes. */
  readonly lockTimeoutMs?: number;
  readonly settings?: ClusterSettings;
}

export interface KubectlOptions {
  readonly input?: string;
  /** By default 60 s. */
  readonly timeoutMs?: number;
}

/** A real Kubernetes of one node, on this machine. Components are stopped and started by name. */
export interface Cluster extends Components, AsyncDisposable {
  readonly folder: string;
  /** Path of a kubeconfig whose user may do everything. */
  readonly kubeconfig: string;
  /** `https://host:port` of the API server, for this machine and for pods. */
  readonly url: string;
  readonly nodeName: string;
  /** The node's own address, where servers listen that pods are to reach. */
  readonly bridgeAddress: string;
  readonly containerd: ContainerdVersion;
  /** Files that containerd (`registryHosts`) and cluster DNS (`dnsHosts`) read again when they change; the kubelet's folder. */
  readonly paths: Readonly<Pick<ReturnType<typeof nodePaths>, 'registryHosts' | 'dnsHosts' | 'kubeletRoot'>>;
  /** Runs kubectl as administrator. Returns its stdout; throws what it said where it fails. */
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<string>;
  /** The same, whatever the exit code. */
  tryKubectl(args: readonly string[], options?: KubectlOptions): Promise<ProgramResult>;
  /** Runs ctr in the kubelet's namespace of containerd. Returns its stdout; throws what it said where it fails. */
  ctr(...args: string[]): Promise<string>;
  /** Puts an archive in OCI layout into containerd and waits until the kubelet can use it. `name` where the archive holds none. */
  importImage(archive: string, name?: string): Promise<void>;
  /** Ends the cluster and leaves nothing of it. */
  close(): Promise<void>;
}

/**
 * Starts a cluster and waits until its node is ready. Before that it waits for the cluster of another process to end,
 * and removes what a crash left of one. Throws where a developer's cluster is running. Needs root.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { settings = defaultSettings, isPersistent = false } = options;
  const unlock = await lockCluster(settings.folder, options.lockTimeoutMs ?? 15 * 60 * 1000);
  let isClosed = false;
  const remove = async () => {
    if (isClosed) return;
    isClosed = true;
    await removeRemains(settings);
    unlock();
  };
  if (isPersistentRunning(settings)) {
    unlock();
    throw new Error(`the cluster of 'npm run cluster:up' is running: end it with 'npm run cluster:down'`);
  }
  try {
    if ((await listRemains(settings)).length > 0) await removeRemains(settings);
    const { components, ...cluster } = await prepareCluster(settings, options);
    await startComponents(cluster, components);
    if (isPersistent) await writeFile(persistentMarker(settings), '');
    return { ...cluster, ...components, close: remove, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Ends the cluster of `npm run cluster:up`, or removes what a crash left of any. Throws while another process has one. */
export async function removeCluster(settings: ClusterSettings = defaultSettings): Promise<void> {
  const unlock = await lockCluster(settings.folder, 0);
  try {
    await removeRemains(settings);
  } finally {
    unlock();
  }
}

type PreparedCluster = Omit<Cluster, keyof Components | 'close' | typeof Symbol.asyncDispose> & {
  isNodeReady(): Promise<boolean>;
};

async function prepareCluster(
  settings: ClusterSettings,
  { containerd = '2', isPersistent = false, apiServerFlags = [], ...options }: ClusterOptions,
): Promise<PreparedCluster & { components: Components }> {
  const { folder, nodeName } = settings;
  const address = bridgeAddress(settings);
  await mkdir(folder, { recursive: true });
  await makeBridge(settings);
  await changeNodeSettings(folder);
  await makeCgroup(settings.cgroup);
  const ports = await choosePorts();
  const url = `https://${address}:${ports.api}`;
  const files = await writeControlPlaneFiles({
    folder,
    url,
    serverNames: [address],
    serviceAddress: `${settings.serviceNetwork}.1`,
    node: { name: nodeName, names: [nodeName, address] },
  });
  const { kubeletConfiguration = {}, credentialProviders } = options;
  await writeNodeFiles({ settings, files, ports, containerd, kubeletConfiguration });
  const kubeconfig = files.kubeconfig('admin');
  // kubectl's WebSockets lose what a program says before kubectl has made the stream for it ("Unknown stream id").
  const env = { KUBECONFIG: kubeconfig, HOME: folder, KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false' };
  const ctr = (...args: string[]) => runCtr(settings, containerd, args);
  return {
    folder,
    kubeconfig,
    url,
    nodeName,
    bridgeAddress: address,
    containerd,
    paths: nodePaths(settings),
    kubectl: (args, run) => mustRun(partPath('kubectl'), args, { ...run, env }),
    tryKubectl: (args, run) => tryRun(partPath('kubectl'), args, { ...run, env }),
    ctr,
    importImage: (archive, name) => importImage(ctr, archive, name),
    isNodeReady: async () => readNodeReady((await ask(`${url}/api/v1/nodes/${nodeName}`, files.admin))?.body),
    components: makeComponents({
      settings,
      files,
      ports,
      url,
      containerd,
      isPersistent,
      apiServerFlags,
      credentialProviders,
    }),
  };
}

async function choosePorts(): Promise<ClusterPorts> {
  const free = await findFreePorts(11);
  const next = () => free.pop() ?? 0;
  return {
    api: next(),
    etcd: next(),
    etcdPeer: next(),
    controllerManager: next(),
    scheduler: next(),
    kubelet: next(),
    kubeletHealth: next(),
    proxyHealth: next(),
    proxyMetrics: next(),
    dnsHealth: next(),
    dnsReady: next(),
  };
}

/** Each as soon as what it needs is there: two processors do this in about ten seconds. */
async function startComponents(cluster: PreparedCluster, { start }: Components): Promise<void> {
  const startRuntime = async () => {
    await start('containerd');
    const archive = join(cluster.folder, 'pause.tar');
    await writeImageArchive(archive, pauseImage, await makePauseImage());
    await cluster.importImage(archive);
  };
  const startApi = async () => {
    await start('etcd');
    await start('kube-apiserver');
  };
  await Promise.all([startApi(), startRuntime()]);
  const rest = ['kubelet', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy', 'coredns'] as const;
  await Promise.all(rest.map(start));
  await waitUntil({ what: 'the node is ready', isReady: () => cluster.isNodeReady() });
}

function readNodeReady(body = '{}'): boolean {
  const { status, spec }: NodeObject = JSON.parse(body);
  const isReady = status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  // Until the node's controller has seen it ready, a taint keeps pods away.
  return isReady && !(spec?.taints ?? []).some(({ key }) => key === 'node.kubernetes.io/not-ready');
}

interface NodeObject {
  readonly spec?: { readonly taints?: readonly { readonly key: string }[] };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function importImage(ctr: Cluster['ctr'], archive: string, name: string | undefined): Promise<void> {
  await ctr('images', 'import', ...(name === undefined ? [] : ['--index-name', name]), archive);
  // CRI hears of an image a moment later, and labels what it knows.
  const isKnown = async () => {
    const [, ...images] = (await ctr('images', 'list')).trimEnd().split('\n');
    return images.every((image) => image.includes('io.cri-containerd.image=managed'));
  };
  await waitUntil({ what: `the kubelet can use ${archive}`, isReady: isKnown });
}

function persistentMarker({ folder }: ClusterSettings): string {
  return join(folder, 'persistent');
}

function isPersistentRunning(settings: ClusterSettings): boolean {
  return existsSync(persistentMarker(settings)) && findComponent(settings.folder, 'kube-apiserver') !== undefined;
}
