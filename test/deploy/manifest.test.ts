import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { manifestFile, renderManifest } from '../../deploy/manifests/render.ts';
import { startControlPlane } from '../cluster/support/control-plane.ts';
import { partPath } from '../real/support/find-part.ts';
import { requireParts } from '../real/support/parts.ts';
import { kubectlFor } from './support/api.ts';

requireParts('helm')('the plain manifest', () => {
  test('is what the chart says (npm run generate:manifest)', async () => {
    expect(await readFile(manifestFile, 'utf8')).toBe(await renderManifest(partPath('helm')));
  });
});

requireParts(
  'etcd',
  'kube-apiserver',
  'kubectl',
)('the plain manifest', () => {
  test('is applied in one go, with no warning but that of a field which older clusters refuse, and once more', async () => {
    const plane = await startControlPlane();
    try {
      const kubectl = kubectlFor(plane.kubeconfig);
      // For API servers that know nothing of spec.serviceAccountTokenInSecrets, and refuse it.
      const warnings = [/^Warning: spec.serviceAccountTokenInSecrets is unset.*\n$/];
      const apply = () =>
        kubectl(['apply', '--server-side', '--validate=strict', '-f', manifestFile], [], { warnings });
      expect(await apply()).toContain('daemonset.apps/oci-connector-node serverside-applied');
      expect(await apply()).toContain('daemonset.apps/oci-connector-node serverside-applied');
    } finally {
      await plane.stop();
    }
  });
});
