import { describe, expect, it, onTestFinished } from 'vitest';
import { startServingCaReconciler } from '../../controller/serving-ca.ts';
import { caBundlePatch, startWebhookConfigurationReconciler } from '../../controller/webhook-configuration.ts';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { requireParts } from '../real/support/parts.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { productNamespace, useControlPlane } from './control-plane.ts';
import { servingRules, webhookConfigurationRules } from './rules.ts';
import { log } from './silent-log.ts';

const name = 'oci-connector';
const webhookNames = ['namespaces.connectors.cpaas.io', 'pods.connectors.cpaas.io'];

interface Configuration extends KubernetesObject {
  readonly webhooks: readonly { readonly name: string; readonly clientConfig: { readonly caBundle?: string } }[];
}

/** As the chart makes it: one webhook by its Service, the other by a URL. */
function configuration(clientConfig: { caBundle?: string } = {}): Configuration {
  const service = { name: 'oci-connector-webhook', namespace: productNamespace, path: '/mutate' };
  const places = [{ service }, { url: 'https://127.0.0.1:8443/mutate' }];
  const rule = { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] };
  const webhooks = webhookNames.map((webhook, i) => ({
    name: webhook,
    clientConfig: { ...places[i], ...clientConfig },
    ...{ admissionReviewVersions: ['v1'], sideEffects: 'None', failurePolicy: 'Ignore', rules: [rule] },
    // No pod of the test cluster waits for a webhook that nobody serves.
    namespaceSelector: { matchLabels: { never: 'true' } },
  }));
  return { metadata: { name }, webhooks };
}

/** A certificate that is rotated by hand. */
function certificateOf(caBundle: string) {
  const listeners = new Set<() => void>();
  return {
    caBundle,
    onChange(listener: () => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    rotate(next: string) {
      this.caBundle = next;
      for (const listener of listeners) listener();
    },
    listeners,
  };
}

describe('the patch of a webhook configuration', () => {
  const wanted = btoa('CA');
  const [first, second] = webhookNames;
  const of = (...bundles: (string | undefined)[]) => ({
    metadata: { name },
    webhooks: bundles.map((caBundle, i) => ({
      name: webhookNames[i] ?? '',
      clientConfig: { url: 'https://x', ...(caBundle === undefined ? {} : { caBundle }) },
    })),
  });

  it.each([
    { rule: 'changes nothing that is true', current: of(wanted, wanted), patch: [] },
    { rule: 'has nothing to change without webhooks', current: { metadata: { name } }, patch: [] },
    {
      rule: 'adds what is missing where it is missing, and tests that it is',
      current: of(wanted, undefined),
      patch: [
        { op: 'test', path: '/webhooks/1/name', value: second },
        { op: 'test', path: '/webhooks/1/clientConfig', value: { url: 'https://x' } },
        { op: 'add', path: '/webhooks/1/clientConfig/caBundle', value: wanted },
      ],
    },
    {
      rule: 'replaces what is wrong, and tests what it was',
      current: of('b2xk', wanted),
      patch: [
        { op: 'test', path: '/webhooks/0/name', value: first },
        { op: 'test', path: '/webhooks/0/clientConfig', value: { url: 'https://x', caBundle: 'b2xk' } },
        { op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: wanted },
      ],
    },
  ])('$rule', ({ current, patch }) => {
    expect(caBundlePatch(current, 'CA')).toEqual(patch);
  });
});

requireParts(
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
)('what clients of the webhook trust', () => {
  const cluster = useControlPlane({ rules: webhookConfigurationRules, ownRules: servingRules });
  const configurations = resources.mutatingWebhookConfigurations;
  const configMap = { namespace: productNamespace, name: 'oci-connector-serving-ca' };
  const [oldCa, newCa] = [makeSelfSigned().cert, makeSelfSigned().cert];

  const bundles = async () => {
    const current = await cluster.admin.get<Configuration>(configurations, { name });
    return current?.webhooks.map(({ clientConfig }) => atob(clientConfig.caBundle ?? ''));
  };
  const both = (bundle: string) => [bundle, bundle];
  const leading = (caBundle: string) => {
    const leadership = new AbortController();
    const certificate = certificateOf(caBundle);
    return {
      leadership,
      certificate,
      options: { client: cluster.client, certificate, log, signal: leadership.signal },
    };
  };
  const start = (caBundle: string) => {
    const { leadership, certificate, options } = leading(caBundle);
    const reconciler = startWebhookConfigurationReconciler(options);
    onTestFinished(() => reconciler.close());
    return { leadership, certificate, reconciler };
  };
  const apply = (clientConfig?: { caBundle?: string }) => {
    onTestFinished(() => cluster.admin.delete(configurations, { name }));
    return cluster.admin.create(configurations, configuration(clientConfig));
  };

  it('is in every webhook of the configuration, also after a rotation', async () => {
    await apply();
    const { certificate } = start(oldCa);
    await expect.poll(bundles).toEqual(both(oldCa));
    certificate.rotate(oldCa + newCa);
    await expect.poll(bundles).toEqual(both(oldCa + newCa));
  });

  it('is put into a configuration that comes later', async () => {
    start(oldCa);
    await apply();
    await expect.poll(bundles).toEqual(both(oldCa));
  });

  it('is repaired when somebody edits the configuration, and what else was edited stays', async () => {
    await apply({ caBundle: btoa(newCa) });
    start(oldCa);
    await expect.poll(bundles).toEqual(both(oldCa));
    const edits = [
      { op: 'replace', path: '/webhooks/0/clientConfig/caBundle', value: btoa(newCa) },
      { op: 'remove', path: '/webhooks/1/clientConfig/caBundle' },
      { op: 'add', path: '/webhooks/1/timeoutSeconds', value: 7 },
    ];
    await cluster.admin.patch(configurations, { name }, edits, { type: 'json' });
    await expect.poll(bundles).toEqual(both(oldCa));
    const current = await cluster.admin.get<Configuration>(configurations, { name });
    expect(current?.webhooks[1]).toMatchObject({ timeoutSeconds: 7 });
  });

  it('is repaired when the configuration is applied again as the chart has it', async () => {
    await apply();
    start(oldCa);
    await expect.poll(bundles).toEqual(both(oldCa));
    const current = await cluster.admin.get<Configuration>(configurations, { name });
    const metadata = { name, resourceVersion: current?.metadata.resourceVersion ?? '' };
    await cluster.admin.replace(configurations, { ...configuration(), metadata });
    await expect.poll(bundles).toEqual(both(oldCa));
  });

  it('is left alone once the leadership has ended', async () => {
    const { leadership, certificate, reconciler } = start(oldCa);
    leadership.abort();
    await reconciler.close();
    expect(certificate.listeners.size).toBe(0);
    await apply();
    expect(await bundles()).toEqual(both(''));
  });

  it('is in a ConfigMap for agents, which is kept too', async () => {
    const { certificate, options } = leading(oldCa);
    const reconciler = startServingCaReconciler({ ...options, namespace: productNamespace });
    onTestFinished(() => reconciler.close());
    const read = async () => (await cluster.admin.get(resources.configMaps, configMap))?.['data'];
    await expect.poll(read).toEqual({ 'ca.crt': oldCa });
    certificate.rotate(oldCa + newCa);
    await expect.poll(read).toEqual({ 'ca.crt': oldCa + newCa });
    await cluster.admin.patch(resources.configMaps, configMap, { data: { 'ca.crt': newCa } });
    await expect.poll(read).toEqual({ 'ca.crt': oldCa + newCa });
    await cluster.admin.delete(resources.configMaps, configMap);
    await expect.poll(read).toEqual({ 'ca.crt': oldCa + newCa });
  });
});
