import { describe, expect, it } from 'vitest';
import { buildCatalogue } from '../../connectors/catalogue.ts';
import type { Document } from '../../connectors/schema.ts';
import { buildWebhook } from '../../webhook/server.ts';
import { connectorOf } from '../connectors/documents.ts';
import {
  at,
  catalogue,
  entriesOf,
  imageOf,
  mutate,
  optedIn,
  podOf,
  podWith,
  proxied,
  type Raw,
  settings,
} from './fixtures.ts';

const image = 'harbor.example.com/app:v1';
const withSecret = { imagePullSecrets: [{ name: 'oci-connector-pull' }] };
const labelled = { labels: optedIn };
const optedOut = { labels: { 'connectors.cpaas.io/proxy-inject': 'false' } };

describe('a pod that the API server sends for its namespace’s label', () => {
  const by = { selectedBy: 'namespace', namespace: 'plain' } as const;

  it('is in, although the store does not know of the label yet', () => {
    expect(mutate(podOf(image), { namespace: 'plain' }).outcome).toBe('NotOptedIn');
    const { outcome, pod } = mutate(podOf(image), by);
    expect(outcome).toBe('Decided');
    expect(imageOf(pod)).toBe(proxied('plain/harbor', 'app:v1'));
    expect(at(pod, 'spec.imagePullSecrets')).toEqual([{ name: 'oci-connector-pull' }]);
  });

  it('is in, although the store does not know of the namespace at all', () => {
    const own: Document = connectorOf({}, { namespace: 'young' });
    const { pod } = mutate(podOf(image), { ...by, namespace: 'young', catalogue: buildCatalogue([own]) });
    expect(imageOf(pod)).toBe(proxied('young/harbor', 'app:v1'));
  });

  it('is out by its own label', () => {
    expect(mutate(podOf(image, optedOut), by).outcome).toBe('OptedOut');
  });
});

describe('a pod that the API server sends for its own label', () => {
  const by = { selectedBy: 'pod', namespace: 'plain' } as const;

  it('is rewritten where it names the pull secret', () => {
    const { pod } = mutate(podOf(image, { ...labelled, spec: withSecret }), by);
    expect(imageOf(pod)).toBe(proxied('plain/harbor', 'app:v1'));
    expect(at(pod, 'spec.imagePullSecrets')).toEqual(withSecret.imagePullSecrets);
  });

  it.each<[string, Raw]>([
    ['no pull secret', {}],
    ['another pull secret', { imagePullSecrets: [{ name: 'own' }] }],
    ['odd pull secrets', { imagePullSecrets: [null, 'oci-connector-pull', { other: 1 }] }],
  ])('is left alone with %s, and the reason says why', (_what, spec) => {
    const pod = podOf(image, { ...labelled, spec });
    const decision = mutate(pod, by);
    expect(imageOf(decision.pod)).toBe(image);
    expect(at(decision.pod, 'spec')).toEqual(at(pod, 'spec'));
    expect(entriesOf(decision.pod)).toMatchObject([{ original: image, reason: 'NoPullIdentity' }]);
    expect(decision.warnings.join()).toContain('has no pull secret "oci-connector-pull": its namespace has no label');
  });

  it('keeps the reasons of images that are not for us', () => {
    const pod = podWith(
      {
        containers: [
          { name: 'a', image },
          { name: 'b', image: 'nginx' },
        ],
      },
      labelled,
    );
    const { images } = mutate(pod, by);
    expect(images.map(({ reason }) => reason)).toEqual(['NoPullIdentity', 'NoConnector']);
  });

  it('needs no secret where the kubelet identifies pulls', () => {
    const { pod } = mutate(podOf(image, labelled), { ...by, settings: { ...settings, pullSecretName: undefined } });
    expect(imageOf(pod)).toBe(proxied('plain/harbor', 'app:v1'));
  });

  it('is left alone when its image changes later, too', () => {
    const update = { ...by, operation: 'UPDATE', oldPod: podOf('nginx', labelled) } as const;
    const decision = mutate(podOf(image, labelled), update);
    expect(decision.images).toMatchObject([{ reason: 'NoPullIdentity' }]);
    expect(decision.patch).toEqual([]);
    const own = { ...update, oldPod: podOf('nginx', { ...labelled, spec: withSecret }) };
    const { pod } = mutate(podOf(image, { ...labelled, spec: withSecret }), own);
    expect(imageOf(pod)).toBe(proxied('plain/harbor', 'app:v1'));
  });

  it('gets nothing new when it is looked at again', () => {
    for (const spec of [{}, withSecret]) {
      const first = mutate(podOf(image, { ...labelled, spec }), by).pod;
      expect(mutate(first, by).patch).toEqual([]);
    }
  });
});

describe('a pod for a node without an agent', () => {
  const agentless = [
    { label: 'type', value: 'virtual-kubelet' },
    { label: 'empty', value: '' },
  ];
  const more = { settings: { ...settings, agentless } };

  it.each<[string, unknown, string]>([
    ['selects it', { type: 'virtual-kubelet' }, 'AgentlessNode'],
    ['selects it among others', { type: 'virtual-kubelet', zone: 'a' }, 'AgentlessNode'],
    ['selects an empty value', { empty: '' }, 'AgentlessNode'],
    ['selects another value', { type: 'other' }, 'Rewritten'],
    ['selects another label', { kind: 'virtual-kubelet' }, 'Rewritten'],
    ['selects nothing', undefined, 'Rewritten'],
    ['selects in an odd way', ['type'], 'Rewritten'],
    ['selects a Windows node', { 'kubernetes.io/os': 'windows', type: 'virtual-kubelet' }, 'Windows'],
  ])('that %s', (_what, nodeSelector, reason) => {
    const decision = mutate(podOf(image, { spec: { nodeSelector } }), more);
    expect(decision.images).toMatchObject([{ original: image, reason }]);
    if (reason !== 'Rewritten') {
      expect(imageOf(decision.pod)).toBe(image);
      expect(at(decision.pod, 'spec.imagePullSecrets')).toBeUndefined();
      expect(entriesOf(decision.pod)).toMatchObject([{ reason }]);
    }
  });

  it('is left alone in updates and for ephemeral containers', () => {
    const spec = { nodeSelector: { type: 'virtual-kubelet' }, ...withSecret };
    const oldPod = podOf('nginx', { spec });
    const update = { ...more, operation: 'UPDATE', oldPod } as const;
    expect(mutate(podOf(image, { spec }), update).images).toMatchObject([{ reason: 'AgentlessNode' }]);
    const ephemeral = podOf('nginx', { spec: { ...spec, ephemeralContainers: [{ name: 'e', image }] } });
    const decision = mutate(ephemeral, { ...update, subresource: 'ephemeralcontainers' });
    expect(decision.images).toMatchObject([{ reason: 'AgentlessNode' }]);
  });
});

describe('an image of a connector that is', () => {
  const status = (value: string) => ({ conditions: [{ type: 'Ready', status: value, reason: 'Because' }] });
  const keep = { params: [{ name: 'whenUnavailable', value: 'keep' }] };
  const rewrite = { params: [{ name: 'whenUnavailable', value: 'rewrite' }] };

  it.each<[string, object, object | undefined, string]>([
    ['not ready, and is to be kept', keep, status('False'), 'ConnectorNotReady'],
    ['ready, and is to be kept', keep, status('True'), 'Rewritten'],
    ['not probed yet, and is to be kept', keep, undefined, 'Rewritten'],
    ['of unknown state, and is to be kept', keep, status('Unknown'), 'Rewritten'],
    ['not ready, and is to be rewritten', rewrite, status('False'), 'Rewritten'],
    ['not ready, and says nothing', {}, status('False'), 'Rewritten'],
  ])('%s', (_what, spec, found, reason) => {
    const connector = { ...connectorOf(spec), ...(found && { status: found }) } as Document;
    const built = buildCatalogue([connector]);
    const decision = mutate(podOf(image), { catalogue: built, selectedBy: 'namespace' });
    expect(decision.images).toMatchObject([{ reason, connector: { namespace: 'demo', name: 'harbor' } }]);
    expect(imageOf(decision.pod)).toBe(reason === 'Rewritten' ? proxied('demo/harbor', 'app:v1') : image);
    if (reason === 'Rewritten') return;
    expect(at(decision.pod, 'spec.imagePullSecrets')).toBeUndefined();
    expect(JSON.stringify(entriesOf(decision.pod))).toContain('ConnectorNotReady');
  });

  it('chosen by name, and not ready, is kept as well', () => {
    const connector = { ...connectorOf(keep), status: status('False') } as Document;
    const annotations = { 'connectors.cpaas.io/connector': 'demo/harbor' };
    const decision = mutate(podOf(image, { annotations }), {
      catalogue: buildCatalogue([connector]),
      selectedBy: 'namespace',
    });
    expect(decision.images).toMatchObject([{ reason: 'ConnectorNotReady' }]);
  });
});

describe('the paths of the webhook', () => {
  const review = (request: Raw) => ({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u',
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace: 'plain',
      ...request,
    },
  });
  const open = (more = {}) => buildWebhook({ store: { catalogue }, ...settings, logger: false, ...more });
  const post = async (url: string, pod: unknown, more = {}) => {
    const app = open(more);
    const answer = await app.inject({ method: 'POST', url, payload: review({ object: pod }) });
    await app.close();
    return { statusCode: answer.statusCode, ...answer.json() };
  };

  it.each<[string, object, string | undefined]>([
    ['/mutate', {}, undefined],
    ['/mutate/namespaces?timeout=5s', {}, 'Rewritten=1'],
    ['/mutate/pods', labelled, 'NoPullIdentity=1'],
    ['/mutate', labelled, 'Rewritten=1'],
  ])('%s, for a pod with %j', async (url, parts, decision) => {
    const { response } = await post(url, podOf(image, parts));
    expect(response.allowed).toBe(true);
    expect(response.auditAnnotations?.decision).toBe(decision);
  });

  it('are asked by POST, and there is no other', async () => {
    const app = open();
    for (const url of ['/mutate/namespaces', '/mutate/pods']) {
      const answer = await app.inject(url);
      expect(answer).toMatchObject({ statusCode: 405, headers: { allow: 'POST' } });
    }
    expect(await app.inject({ method: 'POST', url: '/mutate/toString' })).toMatchObject({ statusCode: 404 });
    expect(await app.inject({ method: 'POST', url: '/constructor' })).toMatchObject({ statusCode: 404 });
    await app.close();
  });

  it('tell how long each answer took', async () => {
    const seconds: number[] = [];
    await post('/mutate', podOf(image), { onAnswer: (value: number) => seconds.push(value) });
    expect(seconds).toEqual([expect.any(Number)]);
    expect(seconds[0]).toBeLessThan(10);
  });
});
