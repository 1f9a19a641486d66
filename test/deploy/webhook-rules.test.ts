import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { injectLabel } from '../../connectors/labels.ts';
import { type KubernetesClient, KubernetesError, openKubernetesClient } from '../../platform/kubernetes/client.ts';
import { resources } from '../../platform/kubernetes/object.ts';
import { type ControlPlane, startControlPlane } from '../cluster/support/control-plane.ts';
import { requireParts } from '../real/support/parts.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { applyChart, dryRun, kubectlFor } from './support/api.ts';
import { releaseNamespace, renderChart } from './support/chart.ts';

/** A webhook that admits everything, and remembers what it was asked about. */
async function startRecorder() {
  const asked: string[] = [];
  const { key, cert } = makeSelfSigned();
  const server = createServer({ key, cert }, async (request, response) => {
    const { request: review } = JSON.parse(await text(request));
    asked.push(`${review.operation} ${review.resource.resource}${review.subResource ? `/${review.subResource}` : ''}`);
    response.setHeader('content-type', 'application/json');
    const answer = { uid: review.uid, allowed: true };
    response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/mutate`;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { asked, url, cert, close };
}

requireParts(
  'etcd',
  'kube-apiserver',
  'kubectl',
  'helm',
)('the webhook configuration', () => {
  let plane: ControlPlane;
  let client: KubernetesClient;
  let recorder: Awaited<ReturnType<typeof startRecorder>>;

  const podIn = (namespace: string, metadata: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace, ...metadata },
    spec: { automountServiceAccountToken: false, containers: [{ name: 'app', image: 'app:v1' }] },
  });
  const create = (namespace: string, metadata: object = {}) =>
    dryRun(client, `/api/v1/namespaces/${namespace}/pods`, podIn(namespace, metadata));
  const askedBy = async (action: () => Promise<unknown>) => {
    recorder.asked.length = 0;
    await action();
    return [...recorder.asked];
  };

  beforeAll(async () => {
    recorder = await startRecorder();
    plane = await startControlPlane();
    client = await openKubernetesClient({ kubeconfig: plane.kubeconfig });
    await applyChart(kubectlFor(plane.kubeconfig), await renderChart({ webhook: { url: recorder.url } }));
    const caBundle = Buffer.from(recorder.cert).toString('base64');
    const patch = [0, 1].map((i) => ({ op: 'add', path: `/webhooks/${i}/clientConfig/caBundle`, value: caBundle }));
    await client.patch(resources.mutatingWebhookConfigurations, { name: 'oci-connector' }, patch, { type: 'json' });
    for (const [name, labels] of [
      ['in', { [injectLabel]: 'true' }],
      ['out', {}],
      ['kube-system', { [injectLabel]: 'true' }],
      [releaseNamespace, { [injectLabel]: 'true' }],
    ] as const) {
      await client.patch(
        resources.namespaces,
        { name },
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
        { type: 'apply', fieldManager: 'test' },
      );
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } };
      await client.create(resources.serviceAccounts, account);
    }
    const isCalled = async () => (await askedBy(() => create('in').catch(() => undefined))).length > 0;
    await vi.waitUntil(isCalled, { timeout: 30_000, interval: 100 });
  });

  afterAll(async () => {
    await client?.close();
    await plane?.stop();
    recorder?.close();
  });

  const labelled = (value: string) => ({ labels: { [injectLabel]: value } });
  const once = ['CREATE pods'];
  test.each<[string, string, object, string[]]>([
    ['a pod of a namespace that opted in', 'in', {}, once],
    ['a pod there that opts in as well', 'in', labelled('true'), once],
    ['a pod there that opts out', 'in', labelled('false'), []],
    ['a pod elsewhere', 'out', {}, []],
    ['a pod elsewhere that opts in', 'out', labelled('true'), once],
    ['a pod elsewhere that opts out', 'out', labelled('false'), []],
    ['a pod of kube-system', 'kube-system', labelled('true'), []],
    ['a pod of the product', releaseNamespace, labelled('true'), []],
  ])('asks about %s: %s %j', async (_, namespace, metadata, asked) => {
    expect(await askedBy(() => create(namespace, metadata))).toEqual(asked);
  });

  test('asks about a pod that is there when its images change, and not else', async () => {
    await client.create(resources.pods, podIn('in', { finalizers: ['example.com/kept'] }));
    const key = { namespace: 'in', name: 'p' };
    const patch = async (change: object, subresource?: string) => {
      const asked = await askedBy(() =>
        client.patch(resources.pods, key, change, { ...(subresource && { subresource }) }),
      );
      // An API server whose cache was late begins again, and asks again.
      return [...new Set(asked)];
    };
    expect(await patch({ metadata: { labels: { a: 'b' } } })).toEqual([]);
    expect(await patch({ status: { message: 'x' } }, 'status')).toEqual([]);
    expect(await patch({ spec: { containers: [{ name: 'app', image: 'app:v2' }] } })).toEqual(['UPDATE pods']);
    const debug = { spec: { ephemeralContainers: [{ name: 'debug', image: 'debug' }] } };
    expect(await patch(debug, 'ephemeralcontainers')).toEqual(['UPDATE pods/ephemeralcontainers']);
    await client.delete(resources.pods, key);
    expect(await patch({ metadata: { finalizers: null } })).toEqual([]);
  });

  test('lets one setting decide while nobody answers, where a namespace has opted in; elsewhere nobody waits', async () => {
    recorder.close();
    const failure = await create('in').catch((error: Error) => error);
    expect(failure).toBeInstanceOf(KubernetesError);
    expect((failure as Error).message).toContain('failed calling webhook "namespaces.connectors.cpaas.io"');
    await create('out', labelled('true'));
    await create('kube-system');
  });
});
