import { join } from 'node:path';
import type { ComponentCommand } from './control-plane-commands.ts';
import type { ControlPlaneFiles } from './control-plane-files.ts';
import { type ContainerdVersion, nodePaths } from './node-files.ts';
import { bridgeAddress, type ClusterSettings } from './settings.ts';

export function containerdCommand(settings: ClusterSettings, version: ContainerdVersion): ComponentCommand {
  return {
    part: version === '2' ? 'containerd-2' : 'containerd',
    args: ['--config', nodePaths(settings).containerd],
  };
}

/** Where the kubelet finds exec credential providers. */
export interface CredentialProviders {
  /** Path of the CredentialProviderConfig. */
  readonly configuration: string;
  readonly programs: string;
}

export function kubeletCommand(
  settings: ClusterSettings,
  files: ControlPlaneFiles,
  providers: CredentialProviders | undefined,
): ComponentCommand {
  const { kubelet, kubeletRoot } = nodePaths(settings);
  const providerFlags =
    providers === undefined
      ? []
      : [
          `--image-credential-provider-config=${providers.configuration}`,
          `--image-credential-provider-bin-dir=${providers.programs}`,
        ];
  return {
    part: 'kubelet',
    args: [
      `--config=${kubelet}`,
      `--kubeconfig=${files.kubeconfig('kubelet')}`,
      `--root-dir=${kubeletRoot}`,
      `--cert-dir=${join(kubeletRoot, 'pki')}`,
      `--hostname-override=${settings.nodeName}`,
      `--node-ip=${bridgeAddress(settings)}`,
      '--v=2',
      ...providerFlags,
    ],
  };
}

export function proxyCommand(settings: ClusterSettings): ComponentCommand {
  return { part: 'kube-proxy', args: [`--config=${nodePaths(settings).proxy}`, '--v=2'] };
}

export function dnsCommand(settings: ClusterSettings): ComponentCommand {
  return { part: 'coredns', args: ['-conf', nodePaths(settings).dns] };
}
