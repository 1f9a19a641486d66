import { describe, expect, test } from 'vitest';
import { findPart } from '../../real/support/find-part.ts';
import { markMissing } from '../../real/support/missing-parts.ts';
import type { PartName } from '../../real/support/part-names.ts';
import { requireParts } from '../../real/support/parts.ts';
import type { ContainerdVersion } from './node-files.ts';

const commonParts = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-proxy',
  'kubelet',
  'kubectl',
  'coredns',
  'runc',
  'host-local',
  'busybox',
  'ip',
  'iptables',
  'mount',
] as const satisfies readonly PartName[];

const runtimeParts = {
  '2': ['containerd-2', 'ctr-2', 'containerd-shim-runc-v2'],
  '1.6': ['containerd', 'ctr'],
} as const satisfies Record<ContainerdVersion, readonly PartName[]>;

/** What a cluster is made of. */
export function clusterParts(version: ContainerdVersion): readonly PartName[] {
  return [...commonParts, ...runtimeParts[version]];
}

/**
 * `describe` for a suite that needs a cluster on this machine, and further real parts. Where a part, or root, is
 * missing the suite is skipped and listed at the end of the run; with CI=true it fails instead.
 */
export function requireCluster(
  version: ContainerdVersion,
  ...parts: readonly PartName[]
): (suite: string, body: () => void) => void {
  const all = [...clusterParts(version), ...parts];
  if (process.getuid?.() === 0) return requireParts(...all);
  if (process.env['CI'] !== 'true') {
    const missing = all.filter((name) => findPart(name) === undefined);
    return (suite, body) => describe.skip(markMissing(suite, ['root', ...missing]), body);
  }
  return (suite) =>
    describe(suite, () => {
      test('runs as root', () => expect(process.getuid?.()).toBe(0));
    });
}
