import { readFile } from 'node:fs/promises';
import { partPath } from '../../real/support/find-part.ts';
import { findComponent, logPath, startComponent, stopComponent } from './component-process.ts';
import {
  apiServerCommand,
  type ComponentCommand,
  controllerManagerCommand,
  etcdCommand,
  schedulerCommand,
} from './control-plane-commands.ts';
import type { ControlPlaneFiles } from './control-plane-files.ts';
import { mustRun, tryRun } from './machine.ts';
import {
  type CredentialProviders,
  containerdCommand,
  dnsCommand,
  kubeletCommand,
  proxyCommand,
} from './node-commands.ts';
import type { ContainerdVersion, NodePorts } from './node-files.ts';
import { isServing, waitUntil } from './readiness.ts';
import { bridgeAddress, type ClusterSettings, containerdSocket, serviceCidr } from './settings.ts';

export interface ClusterPorts extends NodePorts {
  readonly api: number;
  readonly etcd: number;
  readonly etcdPeer: number;
  readonly controllerManager: number;
  readonly scheduler: number;
}

export interface ComponentsOptions {
  readonly settings: ClusterSettings;
  readonly files: ControlPlaneFiles;
  readonly ports: ClusterPorts;
  readonly url: string;
  readonly containerd: ContainerdVersion;
  readonly isPersistent: boolean;
  readonly apiServerFlags: readonly string[];
  readonly credentialProviders: CredentialProviders | undefined;
}

interface Component {
  readonly command: ComponentCommand;
  isReady(): Promise<boolean>;
}

export const componentNames = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'containerd',
  'kubelet',
  'kube-proxy',
  'coredns',
] as const;

export type ComponentName = (typeof componentNames)[number];

export interface StopOptions {
  /** By default SIGTERM; SIGKILL is a crash. */
  readonly signal?: NodeJS.Signals;
  /** How long the signal may take before SIGKILL follows, by default 5 s. */
  readonly timeoutMs?: number;
}

/** The processes of a cluster, by name. */
export interface Components {
  /** Starts a component and waits until it is ready. Rejects with the end of its log where it does not become so. */
  start(name: ComponentName): Promise<void>;
  stop(name: ComponentName, options?: StopOptions): Promise<void>;
  restart(name: ComponentName, options?: StopOptions): Promise<void>;
  /** Of the running component, or undefined. */
  pid(name: ComponentName): number | undefined;
  /** All that it said since the cluster was started. */
  log(name: ComponentName): Promise<string>;
}

export function makeComponents(options: ComponentsOptions): Components {
  const { isPersistent } = options;
  const { folder } = options.settings;
  const components: Record<ComponentName, Component> = { ...controlPlane(options), ...node(options) };
  const log = (name: ComponentName) => readFile(logPath(folder, name), 'utf8');
  const start = async (name: ComponentName) => {
    const { command, isReady } = components[name];
    await startComponent({ folder, name, command, isPersistent });
    const isAlive = () => findComponent(folder, name) !== undefined;
    try {
      await waitUntil({ what: `${name} is ready`, isReady, isAlive });
    } catch (error) {
      const lines = (await log(name)).trimEnd().split('\n').slice(-20);
      throw new Error(`${name} is not ready; it said last:\n${lines.join('\n')}`, { cause: error });
    }
  };
  const stop = (name: ComponentName, { signal = 'SIGTERM', timeoutMs = 5_000 }: StopOptions = {}) =>
    stopComponent(folder, name, signal, timeoutMs);
  return {
    start,
    stop,
    restart: async (name, stopOptions) => {
      await stop(name, stopOptions);
      await start(name);
    },
    pid: (name) => findComponent(folder, name)?.pid,
    log,
  };
}

function controlPlane({ settings, files, ports, url, apiServerFlags }: ComponentsOptions) {
  const { folder } = settings;
  const apiServer = apiServerCommand({
    folder,
    files,
    etcdPort: ports.etcd,
    port: ports.api,
    bindAddress: bridgeAddress(settings),
    advertiseAddress: bridgeAddress(settings),
    serviceCidr: serviceCidr(settings),
  });
  const local = (scheme: string, port: number, path: string) => isServing(`${scheme}://127.0.0.1:${port}${path}`);
  return {
    etcd: {
      command: etcdCommand({ folder, port: ports.etcd, peerPort: ports.etcdPeer }),
      isReady: () => local('http', ports.etcd, '/health'),
    },
    'kube-apiserver': {
      command: { ...apiServer, args: [...apiServer.args, ...apiServerFlags] },
      isReady: () => isServing(`${url}/readyz`, files.admin),
    },
    'kube-controller-manager': {
      command: controllerManagerCommand({ folder, files, port: ports.controllerManager }),
      isReady: () => local('https', ports.controllerManager, '/healthz'),
    },
    'kube-scheduler': {
      command: schedulerCommand({ folder, files, port: ports.scheduler }),
      isReady: () => local('https', ports.scheduler, '/healthz'),
    },
  };
}

function node({ settings, files, ports, containerd, credentialProviders }: ComponentsOptions) {
  const local = (port: number, path: string) => isServing(`http://127.0.0.1:${port}${path}`);
  return {
    containerd: {
      command: containerdCommand(settings, containerd),
      isReady: async () => (await tryRun(...ctrCommand(settings, containerd, ['version']))).code === 0,
    },
    kubelet: {
      command: kubeletCommand(settings, files, credentialProviders),
      isReady: () => local(ports.kubeletHealth, '/healthz'),
    },
    'kube-proxy': { command: proxyCommand(settings), isReady: () => local(ports.proxyHealth, '/healthz') },
    coredns: { command: dnsCommand(settings), isReady: () => local(ports.dnsReady, '/ready') },
  };
}

/** Runs ctr in the kubelet's namespace of containerd. Throws what it said where it fails. */
export function runCtr(
  settings: ClusterSettings,
  version: ContainerdVersion,
  args: readonly string[],
): Promise<string> {
  return mustRun(...ctrCommand(settings, version, args));
}

function ctrCommand(
  settings: ClusterSettings,
  version: ContainerdVersion,
  args: readonly string[],
): [program: string, args: string[]] {
  const program = partPath(version === '2' ? 'ctr-2' : 'ctr');
  return [program, ['--address', containerdSocket(settings), '--namespace', 'k8s.io', ...args]];
}
