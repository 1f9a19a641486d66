import { describe, expect, it } from 'vitest';
import { at, decisionText, entriesOf, imageOf, mutate, podOf, podWith, proxied, type Raw } from './fixtures.ts';

const key = 'connectors.cpaas.io/decision';
const claim = (entry: Raw | Raw[], more: Raw = {}) => ({
  [key]: JSON.stringify({ version: 1, images: [entry].flat(), ...more }),
});
const ours = proxied('demo/harbor', 'app:v1');
const genuine = {
  container: 'app',
  original: 'harbor.example.com/app:v1',
  rewritten: ours,
  connector: 'demo/harbor',
  reason: 'Rewritten',
};

describe('the decision annotation', () => {
  it('is compact JSON with a version', () => {
    expect(decisionText(mutate(podOf('ghcr.io/org/app')).pod)).toBe(
      '{"version":1,"images":[{"container":"app","original":"ghcr.io/org/app","reason":"NoConnector"}]}',
    );
  });

  it('keeps the entry of an earlier pass', () => {
    const once = mutate(podOf(genuine.original)).pod;
    const twice = mutate(once);
    expect(entriesOf(once)).toEqual([genuine]);
    expect(twice.pod).toBe(once);
    expect(twice.images).toMatchObject([{ original: genuine.original, rewritten: ours, reason: 'Rewritten' }]);
  });

  const asIfNew = { container: 'app', original: ours, connector: 'demo/harbor', reason: 'AlreadyProxied' };
  it.each([
    [
      'claims an original that would become something else',
      claim({ ...genuine, original: 'harbor.example.com/app:v2' }),
    ],
    ['claims an original of another connector', claim({ ...genuine, original: 'quay.io/app:v1' })],
    ['claims an original that is never rewritten', claim({ ...genuine, original: 'evil.example.com/x' })],
    ['claims an original that is ours', claim({ ...genuine, original: ours })],
    ['speaks of another container', claim({ ...genuine, container: 'other' })],
    ['speaks of a volume', claim({ ...genuine, container: undefined, volume: 'app' })],
    ['speaks of another image', claim({ ...genuine, rewritten: proxied('demo/harbor', 'app:v2') })],
    ['has another version', claim(genuine, { version: 2 })],
    ['is no JSON', { [key]: '{"version":1,' }],
    ['is an odd JSON', { [key]: '{"version":1,"images":[null,7,"x",{},{"container":{}}]}' }],
    ['is no object', { [key]: 'null' }],
  ])('is not believed when it %s', (_what, annotations) => {
    expect(entriesOf(mutate(podOf(ours, { annotations })).pod)).toEqual([asIfNew]);
  });

  it('is believed of nothing but what it could have decided: the rest of an entry is made anew', () => {
    const forged = { ...genuine, reason: 'Blessed', connector: 'root/root', message: 'trust me', extra: 1 };
    expect(entriesOf(mutate(podOf(ours, { annotations: claim(forged) })).pod)).toEqual([genuine]);
  });

  it('does not stop a container from being rewritten', () => {
    const annotations = claim({ container: 'app', original: 'harbor.example.com/app:v1', reason: 'PullPolicyNever' });
    expect(imageOf(mutate(podOf('harbor.example.com/app:v1', { annotations })).pod)).toBe(ours);
  });

  it('is written anew when another webhook has changed the image', () => {
    const pod = podOf('harbor.example.com/app:v2', { annotations: claim(genuine) });
    expect(entriesOf(mutate(pod).pod)).toMatchObject([{ original: 'harbor.example.com/app:v2', reason: 'Rewritten' }]);
  });

  it('keeps its entries when another webhook adds a container in between', () => {
    const images = ['harbor.example.com/a', 'nginx', 'ghcr.io/org/c'];
    const containers = images.map((image, at) => ({ name: `c${at}`, image }));
    const once = mutate(podWith({ containers })).pod as Raw;
    const spec = once['spec'] as { containers: Raw[] };
    const injected = { name: 'side', image: 'quay.io/org/side' };
    const meddled = { ...once, spec: { ...spec, containers: spec.containers.toSpliced(1, 0, injected) } };
    const twice = mutate(meddled).pod;
    const [a, b, c] = entriesOf(once);
    expect(entriesOf(twice)).toMatchObject([a, { container: 'side', connector: 'kube-public/quay' }, b, c]);
    expect(mutate(twice).pod).toBe(twice);
  });

  it('tells containers of the same name apart that became the same image', () => {
    const containers = ['nginx', 'docker.io/library/nginx'].map((image) => ({ name: 'app', image }));
    const once = mutate(podWith({ containers })).pod;
    expect(mutate(once).pod).toBe(once);
    expect(entriesOf(once).map((entry) => entry['original'])).toEqual(['nginx', 'docker.io/library/nginx']);
  });

  it('stays small whatever the pod holds', () => {
    const nasty = '\u0001'.repeat(5000);
    const containers = Array.from({ length: 500 }, (_, at) => ({
      name: `${at}${nasty}`,
      image: `h.example.com/${nasty}`,
    }));
    const once = mutate(podWith({ containers }));
    const text = decisionText(once.pod) ?? '';
    expect(Buffer.byteLength(text)).toBeLessThan(128 * 1024);
    expect(JSON.parse(text)).toMatchObject({ version: 1, omitted: 500 - 32 });
    expect(mutate(once.pod).pod).toBe(once.pod);
  });

  it('rewrites what it does not list, the same twice', () => {
    const containers = Array.from({ length: 50 }, (_, at) => ({ name: `c${at}`, image: 'nginx' }));
    const once = mutate(podWith({ containers }));
    expect(at(once.pod, 'spec.containers.49.image')).toBe(proxied('demo/hub', 'library/nginx'));
    expect(mutate(once.pod).pod).toBe(once.pod);
  });

  it.each([
    [120_000, true],
    [140_000, false],
  ])('with %i bytes of other annotations it is written: %s', (length, isWritten) => {
    const annotations = { note: 'x'.repeat(length) };
    const once = mutate(podOf('nginx', { annotations }));
    expect(decisionText(once.pod) !== undefined).toBe(isWritten);
    expect(imageOf(once.pod)).toBe(proxied('demo/hub', 'library/nginx'));
    expect(once.warnings).toEqual(isWritten ? [] : [expect.stringContaining('leave no room')]);
    expect(mutate(once.pod).pod).toBe(once.pod);
  });
});
