import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ControlPlane, startControlPlane } from '../cluster/support/control-plane.ts';
import { type Kubectl, kubectlFor } from '../deploy/support/api.ts';
import { requireParts } from '../real/support/parts.ts';
import { asksFor, at, mutate, podOf, type Raw } from './fixtures.ts';

requireParts(
  'etcd',
  'kube-apiserver',
  'kubectl',
)('a pod with client configurations, in a real API server', () => {
  let plane: ControlPlane;
  let kubectl: Kubectl;
  const read = async (): Promise<Raw> => JSON.parse(await kubectl(['get', 'pod', 'app', '-n', 'demo', '-o', 'json']));

  beforeAll(async () => {
    plane = await startControlPlane();
    kubectl = kubectlFor(plane.kubeconfig);
    await kubectl(['create', 'namespace', 'demo']);
    await kubectl(['create', 'serviceaccount', 'default', '-n', 'demo']);
    const initContainers = [{ name: 'sidecar', image: 'busybox', restartPolicy: 'Always' }];
    const annotations = asksFor('registry-config,dockerd,tool');
    const pod = podOf('harbor.example.com/app', { annotations, spec: { initContainers } });
    const metadata = { name: 'app', namespace: 'demo', annotations };
    await kubectl(['create', '-f', '-'], [mutate({ ...pod, metadata }).pod as Raw]);
  });

  afterAll(() => plane?.stop());

  test('is created, and with all that the API server adds deciding again changes nothing', async () => {
    expect(mutate(await read())).toMatchObject({ patch: [], warnings: [] });
  });

  test('takes what a new ephemeral container gets', async () => {
    const oldPod = await read();
    const spec = { ...(oldPod['spec'] as Raw), ephemeralContainers: [{ name: 'debug', image: 'busybox' }] };
    const input = { oldPod, operation: 'UPDATE', subresource: 'ephemeralcontainers' } as const;
    const { pod } = mutate({ ...oldPod, spec }, input);
    const file = join(dirname(plane.kubeconfig), 'pod.json');
    await writeFile(file, JSON.stringify(pod));
    await kubectl(['replace', '--raw', '/api/v1/namespaces/demo/pods/app/ephemeralcontainers', '-f', file]);
    const stored = await read();
    for (const field of ['env', 'volumeMounts']) {
      const path = `spec.ephemeralContainers.0.${field}`;
      expect(at(stored, path)).toEqual(at(pod, path));
      expect(at(stored, path)).not.toHaveLength(0);
    }
  });
});
