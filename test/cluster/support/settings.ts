import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Everything by which a cluster can be told from the rest of the machine. There is one cluster to a machine. */
export interface ClusterSettings {
  /** Holds all files. Its sockets have longer paths, and a Unix socket's path has at most 108 bytes. */
  readonly folder: string;
  /** Interface to which pods are joined; the node's address is on it. */
  readonly bridge: string;
  /** The cgroup of all pods, below the root of each hierarchy. */
  readonly cgroup: string;
  readonly nodeName: string;
  /** First three numbers of the pods' and the Services' addresses; each has 254 of them. */
  readonly podNetwork: string;
  readonly serviceNetwork: string;
}

export const defaultSettings: ClusterSettings = {
  folder: join(tmpdir().length > 40 ? '/tmp' : tmpdir(), 'oc-node'),
  bridge: 'oc0',
  cgroup: 'oc-node',
  nodeName: 'oc-node',
  podNetwork: '10.88.0',
  serviceNetwork: '10.96.0',
};

/** The node's address, where the API server, cluster DNS and the registries of tests listen: pods reach no loopback address of the node. */
export function bridgeAddress(settings: ClusterSettings): string {
  return `${settings.podNetwork}.1`;
}

export function podCidr(settings: ClusterSettings): string {
  return `${settings.podNetwork}.0/24`;
}

export function serviceCidr(settings: ClusterSettings): string {
  return `${settings.serviceNetwork}.0/24`;
}

/** containerd's socket. */
export function containerdSocket(settings: ClusterSettings): string {
  return join(settings.folder, 'containerd/c.sock');
}
