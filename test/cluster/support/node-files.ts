import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { partPath } from '../../real/support/find-part.ts';
import type { ControlPlaneFiles } from './control-plane-files.ts';
import { bridgeAddress, type ClusterSettings, containerdSocket, podCidr } from './settings.ts';

/** containerd 2.x as built for the tests, or Debian's 1.6. */
export type ContainerdVersion = '2' | '1.6';

/** The address and name that the pause image has in containerd. */
export const pauseImage = 'localhost/pause:1';

export interface NodePorts {
  readonly kubelet: number;
  readonly kubeletHealth: number;
  readonly proxyHealth: number;
  readonly proxyMetrics: number;
  readonly dnsHealth: number;
  readonly dnsReady: number;
}

export interface NodeFilesOptions {
  readonly settings: ClusterSettings;
  readonly files: ControlPlaneFiles;
  readonly ports: NodePorts;
  readonly containerd: ContainerdVersion;
  /** Fields of the KubeletConfiguration, over those that stand here. */
  readonly kubeletConfiguration: Readonly<Record<string, unknown>>;
}

/** Writes the configuration of containerd, CNI, kubelet, kube-proxy and CoreDNS. */
export async function writeNodeFiles(options: NodeFilesOptions): Promise<void> {
  const { settings } = options;
  const paths = nodePaths(settings);
  for (const folder of [dirname(containerdSocket(settings)), paths.cni, paths.registryHosts]) {
    await mkdir(folder, { recursive: true });
  }
  await writeFile(paths.containerd, formatContainerd(settings, options.containerd));
  await writeFile(join(paths.cni, '10-bridge.conflist'), JSON.stringify(cniConfiguration(settings)));
  await writeFile(paths.kubelet, JSON.stringify(kubeletConfiguration(options)));
  await writeFile(paths.proxy, JSON.stringify(proxyConfiguration(options)));
  await writeFile(paths.dnsHosts, '');
  // An empty root, so that any other name does not exist.
  await writeFile(paths.dnsRoot, '. 1 IN SOA ns. admin. 1 3600 3600 3600 1\n. 1 IN NS ns.\n');
  await writeFile(paths.dns, formatCorefile(options));
}

export function nodePaths({ folder }: ClusterSettings) {
  return {
    containerd: join(folder, 'containerd.toml'),
    cni: join(folder, 'cni'),
    /** A folder `HOST` or `HOST_PORT_` with a hosts.toml for each registry that is to be reached in another way: containerd 2.x only. */
    registryHosts: join(folder, 'certs.d'),
    kubelet: join(folder, 'kubelet.json'),
    /** The kubelet's --root-dir, which it makes a shared mount: what is mounted in a pod's own view of it is mounted here. */
    kubeletRoot: join(folder, 'kubelet'),
    proxy: join(folder, 'kube-proxy.json'),
    dns: join(folder, 'Corefile'),
    dnsRoot: join(folder, 'root.zone'),
    /** As /etc/hosts, for pods: names outside the cluster. CoreDNS reads it again within a second. */
    dnsHosts: join(folder, 'dns-hosts'),
  };
}

function formatContainerd(settings: ClusterSettings, version: ContainerdVersion): string {
  const { folder } = settings;
  const socket = containerdSocket(settings);
  const common = `root = "${folder}/containerd/root"
state = "${folder}/containerd/state"
oom_score = 0
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/containerd/opt"
`;
  return version === '2'
    ? `version = 3\n${common}${formatCri2(settings)}`
    : `version = 2\n${common}${formatCri1(settings)}`;
}

// restrict_oom_score_adj: a container of the tests may lack CAP_SYS_RESOURCE. Network namespaces are mounted below the
// folder, so that they go with it.
function formatCri2(settings: ClusterSettings): string {
  const { folder } = settings;
  const paths = nodePaths(settings);
  return `[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "${pauseImage}"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "${paths.registryHosts}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    runtime_path = "${partPath('containerd-shim-runc-v2')}"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      Root = "${folder}/runc"
      SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["${dirname(partPath('host-local'))}"]
    conf_dir = "${paths.cni}"
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.nri.v1.nri"]
  disable = true
`;
}

function formatCri1(settings: ClusterSettings): string {
  const { folder } = settings;
  return `[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "${folder}/runc"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${dirname(partPath('host-local'))}"
    conf_dir = "${nodePaths(settings).cni}"
`;
}

/** Name of the network: results of CNI outside the folder begin with it. */
export const networkName = 'oc-node';

function cniConfiguration(settings: ClusterSettings) {
  return {
    cniVersion: '1.0.0',
    name: networkName,
    plugins: [
      {
        type: 'bridge',
        bridge: settings.bridge,
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: join(settings.folder, 'ipam'),
          ranges: [[{ subnet: podCidr(settings) }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  };
}

function kubeletConfiguration({ settings, files, ports, kubeletConfiguration }: NodeFilesOptions) {
  const { folder } = settings;
  const serving = files.pair('kubelet-serving');
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: bridgeAddress(settings),
    port: ports.kubelet,
    readOnlyPort: 0,
    healthzBindAddress: '127.0.0.1',
    healthzPort: ports.kubeletHealth,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: files.authority },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: serving.certificate,
    tlsPrivateKeyFile: serving.key,
    containerRuntimeEndpoint: `unix://${containerdSocket(settings)}`,
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${settings.cgroup}`,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    // Less than its own score a process without CAP_SYS_RESOURCE may not have.
    oomScoreAdj: 0,
    localStorageCapacityIsolation: false,
    podLogsDir: join(folder, 'pod-logs'),
    volumePluginDir: join(folder, 'volume-plugins'),
    clusterDNS: [bridgeAddress(settings)],
    clusterDomain: 'cluster.local',
    // Not the machine's: what a pod finds must not depend on where the tests run.
    resolvConf: '',
    // Volumes with requiresRepublish are published again as often.
    syncFrequency: '10s',
    maxPods: 250,
    nodeStatusUpdateFrequency: '5s',
    imageMinimumGCAge: '24h',
    imageGCHighThresholdPercent: 100,
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    makeIPTablesUtilChains: false,
    serializeImagePulls: false,
    registryPullQPS: 0,
    ...kubeletConfiguration,
  };
}

function proxyConfiguration({ settings, files, ports }: NodeFilesOptions) {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: files.kubeconfig('kube-proxy') },
    mode: 'iptables',
    bindAddress: bridgeAddress(settings),
    healthzBindAddress: `127.0.0.1:${ports.proxyHealth}`,
    metricsBindAddress: `127.0.0.1:${ports.proxyMetrics}`,
    hostnameOverride: settings.nodeName,
    clusterCIDR: podCidr(settings),
    detectLocalMode: 'ClusterCIDR',
    oomScoreAdj: 0,
    // Zero leaves the machine's own limits as they are.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    iptables: { localhostNodePorts: false, minSyncPeriod: '100ms', syncPeriod: '30s' },
  };
}

function formatCorefile({ settings, files, ports }: NodeFilesOptions): string {
  // Nothing is cached, and no name is asked of this machine's resolver: a test sees what is, the same everywhere.
  return `.:53 {
  bind ${bridgeAddress(settings)}
  errors
  health 127.0.0.1:${ports.dnsHealth}
  ready 127.0.0.1:${ports.dnsReady}
  hosts ${nodePaths(settings).dnsHosts} {
    ttl 1
    reload 1s
    fallthrough
  }
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${files.kubeconfig('coredns')} test
    ttl 1
    fallthrough in-addr.arpa
  }
  file ${nodePaths(settings).dnsRoot} .
}
`;
}
