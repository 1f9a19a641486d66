import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { hotReload } from '../../certs/hot-reload.ts';
import type { ServingCertificate } from '../../certs/serving-certificate.ts';
import { openSharedCertificate } from '../../controller/serving-certificate.ts';
import { startWebhookConfigurationReconciler } from '../../controller/webhook-configuration.ts';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { requireParts } from '../real/support/parts.ts';
import { productNamespace, useControlPlane } from './control-plane.ts';
import { servingRules, webhookConfigurationRules } from './rules.ts';
import { log } from './silent-log.ts';

const MINUTE_MS = 60_000;
// A CA is an hour old when it gets a successor; everything happens within the minutes around now, because the API
// server goes by the real clock.
const lifetimes = { caLifeMs: 90 * MINUTE_MS, leafLifeMs: 3 * MINUTE_MS, overlapMs: MINUTE_MS };
const name = 'oci-connector';
const configurations = resources.mutatingWebhookConfigurations;

requireParts(
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
)('a rotation of the serving certificate', () => {
  const cluster = useControlPlane({ rules: webhookConfigurationRules, ownRules: servingRules });

  const openReplica = async (now: () => number) => {
    const onError = (error: unknown) => expect.unreachable(String(error));
    const names = ['127.0.0.1'];
    const shared = { client: cluster.client, namespace: productNamespace, names, lifetimes, now, onError };
    const certificate = await openSharedCertificate(shared);
    onTestFinished(() => certificate.close());
    return certificate;
  };

  /** A webhook that admits everything, over a new connection each time. Knows the paths that it was called by. */
  const startWebhook = async (certificate: ServingCertificate) => {
    const paths = new Set<string>();
    const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
      paths.add(new URL(request.url ?? '', 'https://x').pathname);
      const review = (await json(request)) as { request: { uid: string } };
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify({ ...review, response: { uid: review.request.uid, allowed: true } }));
    });
    hotReload(server, certificate);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, paths };
  };

  const install = async (url: string) => {
    onTestFinished(() => cluster.admin.delete(configurations, { name }));
    const rule = { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] };
    const webhook = { name: 'namespaces.connectors.cpaas.io', clientConfig: { url }, rules: [rule] };
    const policy = { failurePolicy: 'Fail', sideEffects: 'None', admissionReviewVersions: ['v1'], timeoutSeconds: 5 };
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': 'default' } };
    const webhooks = [{ ...webhook, ...policy, namespaceSelector }];
    await cluster.admin.create<KubernetesObject>(configurations, { metadata: { name }, webhooks });
  };

  let count = 0;
  const createConfigMap = () => {
    count += 1;
    const metadata = { namespace: 'default', name: `created-${count}` };
    return cluster.admin.create<KubernetesObject>(resources.configMaps, { metadata });
  };
  const publishedBundle = async () => {
    const current = await cluster.admin.get<KubernetesObject & { webhooks: { clientConfig: { caBundle?: string } }[] }>(
      configurations,
      { name },
    );
    return atob(current?.webhooks[0]?.clientConfig.caBundle ?? '');
  };

  it('fails no admission, whichever replica is the first to notice', async () => {
    const real = Date.now();
    const clock = { minute: -60 };
    const now = () => real + clock.minute * MINUTE_MS;
    const serving = await openReplica(now);
    const leading = await openReplica(now);
    const advanceTo = async (minute: number) => {
      clock.minute = minute;
      await serving.check();
      await leading.check();
    };
    await advanceTo(-1);
    const { url, paths } = await startWebhook(serving);
    await install(`${url}/start`);
    const reconciler = startWebhookConfigurationReconciler({
      ...{ client: cluster.client, certificate: leading, log, signal: new AbortController().signal },
    });
    onTestFinished(() => reconciler.close());

    /** The API server has taken over what is published when it calls the path that was written after it. */
    const isTakenOver = async (path: string) => {
      await expect.poll(publishedBundle).toBe(leading.caBundle);
      const patch = [{ op: 'replace', path: '/webhooks/0/clientConfig/url', value: `${url}${path}` }];
      await cluster.admin.patch(configurations, { name }, patch, { type: 'json' });
      await expect
        .poll(
          () =>
            createConfigMap()
              .then(() => paths.has(path))
              .catch(() => false),
          { timeout: 10_000 },
        )
        .toBe(true);
    };
    await isTakenOver('/first');

    const ending = new AbortController();
    const failures: unknown[] = [];
    const load = (async () => {
      while (!ending.signal.aborted) await createConfigMap().catch((error) => failures.push(error));
    })();
    const issuers = new Set<string>();
    for (const minute of [0, 0.9, 1, 1.9, 3.9, 4]) {
      await advanceTo(minute);
      issuers.add(new X509Certificate(serving.current.cert).issuer);
      await isTakenOver(`/minute-${minute}`);
    }
    ending.abort();
    await load;
    expect(failures).toEqual([]);
    expect(issuers.size).toBe(2);
    expect(leading.caBundle.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
    expect(count).toBeGreaterThan(20);
  }, 60_000);
});
