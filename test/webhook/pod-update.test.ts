import { describe, expect, it } from 'vitest';
import type { MutationInput } from '../../webhook/mutate-pod.ts';
import { asksFor, at, imageOf, mutate, podOf, podWith, proxied, type Raw } from './fixtures.ts';

const update = (pod: Raw, oldPod: Raw, input: Partial<MutationInput> = {}) =>
  mutate(pod, { oldPod, operation: 'UPDATE', ...input });
const secret = { imagePullSecrets: [{ name: 'oci-connector-pull' }] };
const app = (image: string, more: Raw = {}) => podOf(image, { spec: { ...secret, ...more } });

describe('an update of a pod', () => {
  it('rewrites an image that differs, and changes nothing else', () => {
    const pod = podOf('harbor.example.com/app:v2', { annotations: asksFor('registry-config'), spec: secret });
    const { patch, warnings } = update(pod, app(proxied('demo/harbor', 'app:v1')));
    expect(patch).toEqual([
      { op: 'replace', path: '/spec/containers/0/image', value: proxied('demo/harbor', 'app:v2') },
    ]);
    expect(warnings).toEqual([]);
  });

  it('leaves an image that is the same, rewritten or not', () => {
    const pod = app('harbor.example.com/app:v1');
    const decision = update(pod, app('harbor.example.com/app:v1'));
    expect(decision).toMatchObject({ outcome: 'Decided', patch: [], images: [] });
    expect(decision.pod).toBe(pod);
  });

  it('compares images of the same name, whatever their order', () => {
    const a = { name: 'a', image: 'harbor.example.com/a:v1' };
    const b = { name: 'b', image: 'harbor.example.com/b:v1' };
    const newB = { name: 'b', image: 'harbor.example.com/b:v2' };
    const { patch } = update(podWith({ containers: [newB, a], ...secret }), podWith({ containers: [a, b] }));
    expect(patch).toEqual([{ op: 'replace', path: '/spec/containers/0/image', value: proxied('demo/harbor', 'b:v2') }]);
  });

  it('sees init containers and image volumes', () => {
    const podAt = (tag: string) =>
      podWith({
        containers: [{ name: 'app', image: 'harbor.example.com/app' }],
        initContainers: [{ name: 'init', image: `harbor.example.com/init:${tag}` }],
        volumes: [{ name: 'models', image: { reference: `harbor.example.com/models:${tag}` } }],
        ...secret,
      });
    expect(update(podAt('v2'), podAt('v1')).patch).toHaveLength(2);
  });

  it('has nothing to do the second time', () => {
    const old = app('harbor.example.com/app:v1');
    const once = update(app('harbor.example.com/app:v2'), old);
    const twice = update(once.pod as Raw, old);
    expect(twice).toMatchObject({ patch: [], images: [{ reason: 'AlreadyProxied' }] });
  });

  it('leaves changed images that match nothing', () => {
    expect(update(app('ghcr.io/org/app:v2'), app('ghcr.io/org/app:v1')).patch).toEqual([]);
  });

  it('rewrites without a pull secret, which cannot be added any more, but warns', () => {
    const decision = update(podOf('harbor.example.com/app:v2'), podOf('harbor.example.com/app:v1'));
    expect(imageOf(decision.pod)).toBe(proxied('demo/harbor', 'app:v2'));
    expect(decision.pod).not.toHaveProperty('spec.imagePullSecrets');
    expect(decision.warnings).toEqual([expect.stringContaining('no pull secret "oci-connector-pull"')]);
  });

  it.each([
    ['of a pod that did not opt in', { namespace: 'plain' }],
    ['of the status', { subresource: 'status' }],
    ['of the size', { subresource: 'resize' }],
    ['of a binding', { subresource: 'binding' }],
    ['without a readable old pod', { oldPod: null }],
  ])('%s changes nothing', (_what, input) => {
    const pod = app('harbor.example.com/app:v2');
    const decision = update(pod, app('harbor.example.com/app:v1'), input);
    expect(decision.patch).toEqual([]);
    expect(decision.pod).toBe(pod);
  });

  it('of a static pod changes nothing', () => {
    const annotations = { 'kubernetes.io/config.mirror': 'hash' };
    const pod = podOf('harbor.example.com/app:v2', { annotations, spec: secret });
    expect(update(pod, podOf('harbor.example.com/app:v1', { annotations }))).toMatchObject({
      outcome: 'NotCovered',
      patch: [],
    });
  });

  it('of a Windows pod changes nothing', () => {
    const os = { os: { name: 'windows' } };
    const decision = update(app('harbor.example.com/app:v2', os), app('harbor.example.com/app:v1', os));
    expect(decision).toMatchObject({ patch: [], images: [{ reason: 'Windows' }] });
  });
});

describe('a creation of a subresource', () => {
  it.each(['binding', 'eviction', 'ephemeralcontainers'])('%s changes nothing', (subresource) => {
    expect(mutate(podOf('nginx'), { subresource })).toMatchObject({ outcome: 'NotCovered', patch: [] });
  });
});

describe('an update of ephemeral containers', () => {
  const withDebug = (containers: Raw[], more: Raw = secret) =>
    podWith({
      containers: [{ name: 'app', image: 'harbor.example.com/app' }],
      ephemeralContainers: containers,
      ...more,
    });
  const old = { name: 'old', image: 'harbor.example.com/tools:v1' };
  const fresh = { name: 'fresh', image: 'harbor.example.com/tools:v2' };
  const ephemeral = (pod: Raw, oldPod: Raw, input: Partial<MutationInput> = {}) =>
    update(pod, oldPod, { subresource: 'ephemeralcontainers', ...input });

  it('rewrites the new ones only', () => {
    const decision = ephemeral(withDebug([old, fresh]), withDebug([old]));
    expect(decision.patch).toEqual([
      { op: 'replace', path: '/spec/ephemeralContainers/1/image', value: proxied('demo/harbor', 'tools:v2') },
    ]);
    expect(decision.warnings).toEqual([]);
  });

  it('rewrites the first one of a pod that had none', () => {
    const before = podWith({ containers: [{ name: 'app', image: 'harbor.example.com/app' }], ...secret });
    expect(ephemeral(withDebug([fresh]), before).patch).toHaveLength(1);
  });

  it.each(['status', 'resize'])('is none when the update is of the %s', (subresource) => {
    expect(ephemeral(withDebug([fresh]), withDebug([]), { subresource })).toMatchObject({ outcome: 'NotCovered' });
  });

  it('does not look at the other containers', () => {
    const before = podWith({ containers: [{ name: 'app', image: 'harbor.example.com/another' }], ...secret });
    expect(at(ephemeral(withDebug([fresh]), before).pod, 'spec.containers.0.image')).toBe('harbor.example.com/app');
  });

  it.each([
    ['without pull secrets', {}],
    ['with other pull secrets', { imagePullSecrets: [{ name: 'mine' }, null] }],
  ])('leaves them in a pod %s, and says why', (_what, more) => {
    const pod = withDebug([fresh], more);
    const decision = ephemeral(pod, withDebug([], more));
    expect(decision.pod).toBe(pod);
    expect(decision.images).toMatchObject([{ reason: 'NoPullIdentity', original: fresh.image }]);
    expect(decision.images[0]).not.toHaveProperty('rewritten');
    expect(decision.warnings).toEqual([
      expect.stringContaining('container "fresh" is left alone: the pod has no pull'),
    ]);
    expect(decision.auditAnnotations).toEqual({ decision: 'NoPullIdentity=1', connectors: 'demo/harbor' });
  });

  it('leaves them where only the update brings the pull secret, which the API server drops', () => {
    const decision = ephemeral(withDebug([fresh]), withDebug([], {}));
    expect(decision.patch).toEqual([]);
    expect(decision.images).toMatchObject([{ reason: 'NoPullIdentity' }]);
  });

  it('needs no pull secret where pulls need none', () => {
    const settings = { proxyHost: 'localhost:7450', pullSecretName: undefined };
    expect(ephemeral(withDebug([fresh], {}), withDebug([], {}), { settings }).patch).toHaveLength(1);
  });
});
