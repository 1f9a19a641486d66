import { join } from 'node:path';
import type { PartName } from '../../real/support/part-names.ts';
import type { ControlPlaneFiles } from './control-plane-files.ts';

/** How a component is started. */
export interface ComponentCommand {
  readonly part: PartName;
  readonly args: readonly string[];
}

export function etcdCommand(options: { folder: string; port: number; peerPort: number }): ComponentCommand {
  const client = `http://127.0.0.1:${options.port}`;
  const peer = `http://127.0.0.1:${options.peerPort}`;
  return {
    part: 'etcd',
    args: [
      '--name=test',
      `--data-dir=${join(options.folder, 'etcd')}`,
      // What a power cut would lose is no loss here, and a disk that others use is slow.
      '--unsafe-no-fsync',
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=test=${peer}`,
    ],
  };
}

export interface ApiServerOptions {
  readonly folder: string;
  readonly files: ControlPlaneFiles;
  readonly etcdPort: number;
  readonly port: number;
  readonly bindAddress: string;
  /** Where pods reach the API server: the endpoint of the Service `kubernetes`. Left out, the Service has none. */
  readonly advertiseAddress?: string;
  readonly serviceCidr: string;
}

export function apiServerCommand(options: ApiServerOptions): ComponentCommand {
  const { folder, files, advertiseAddress } = options;
  const kubelet = files.pair('apiserver-kubelet-client');
  const endpoint =
    advertiseAddress === undefined
      ? ['--endpoint-reconciler-type=none', '--advertise-address=127.0.0.1']
      : [`--advertise-address=${advertiseAddress}`];
  return {
    part: 'kube-apiserver',
    args: [
      `--bind-address=${options.bindAddress}`,
      `--secure-port=${options.port}`,
      ...endpoint,
      `--etcd-servers=http://127.0.0.1:${options.etcdPort}`,
      `--service-cluster-ip-range=${options.serviceCidr}`,
      `--tls-cert-file=${files.pair('apiserver').certificate}`,
      `--tls-private-key-file=${files.pair('apiserver').key}`,
      `--client-ca-file=${files.authority}`,
      `--cert-dir=${join(folder, 'apiserver')}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      // As kubeadm has it; the tokens' own audience is the issuer.
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${files.serviceAccountPublicKey}`,
      `--service-account-signing-key-file=${files.serviceAccountKey}`,
      `--kubelet-client-certificate=${kubelet.certificate}`,
      `--kubelet-client-key=${kubelet.key}`,
      `--kubelet-certificate-authority=${files.authority}`,
      '--kubelet-preferred-address-types=InternalIP',
    ],
  };
}

export interface ControllerOptions {
  readonly folder: string;
  readonly files: ControlPlaneFiles;
  readonly port: number;
}

export function controllerManagerCommand({ folder, files, port }: ControllerOptions): ComponentCommand {
  return {
    part: 'kube-controller-manager',
    args: [
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--kubeconfig=${files.kubeconfig('kube-controller-manager')}`,
      `--cert-dir=${join(folder, 'controller-manager')}`,
      '--leader-elect=false',
      '--use-service-account-credentials=true',
      `--root-ca-file=${files.authority}`,
      `--service-account-private-key-file=${files.serviceAccountKey}`,
      `--cluster-signing-cert-file=${files.authority}`,
      `--cluster-signing-key-file=${files.authorityKey}`,
      // A kubelet that a test stops for a while must not cost its node the pods.
      '--node-monitor-grace-period=5m',
    ],
  };
}

export function schedulerCommand({ folder, files, port }: ControllerOptions): ComponentCommand {
  return {
    part: 'kube-scheduler',
    args: [
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--kubeconfig=${files.kubeconfig('kube-scheduler')}`,
      `--cert-dir=${join(folder, 'scheduler')}`,
      '--leader-elect=false',
    ],
  };
}
