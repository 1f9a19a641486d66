import { describe, expect, it } from 'vitest';
import type { MutationInput } from '../../webhook/mutate-pod.ts';
import { catalogueOf, connectorClass, variable } from './classes.ts';
import { asksFor, at, mutate, podOf, proxied, type Raw } from './fixtures.ts';

const catalogue = catalogueOf({ first: 'narrow', second: 'narrow' }, [
  connectorClass('narrow', {
    tool: { mountPath: '/opt/tool', env: [variable('TOOL', '$(MOUNT_PATH)/tool.json')] },
    other: { env: [variable('OTHER', 'x')] },
  }),
]);
const paths = ['/etc/connectors/first', '/opt/tool'];
const ours = (mountPath: string) => ({ name: 'oci-connector-config', mountPath, readOnly: true });
const env = [variable('TOOL', '/opt/tool/tool.json')];
const debug = { name: 'debug', image: 'busybox', targetContainerName: 'app', securityContext: { runAsUser: 0 } };

const annotations = asksFor('tool');
const running = mutate(podOf('harbor.example.com/app', { annotations }), { catalogue }).pod as Raw;
const bare = mutate(podOf('harbor.example.com/app'), { catalogue }).pod as Raw;

/** The pod with other parts of its spec. */
const withSpec = (pod: Raw, more: Raw): Raw => ({ ...pod, spec: { ...(pod['spec'] as Raw), ...more } });
const withDebug = (pod: Raw, ...ephemeralContainers: Raw[]) => withSpec(pod, { ephemeralContainers });
const volumesOf = (pod: Raw) => at(pod, 'spec.volumes') as Raw[];

function update(pod: Raw, oldPod: Raw, input: Partial<MutationInput> = {}) {
  const ask = { oldPod, operation: 'UPDATE', subresource: 'ephemeralcontainers', catalogue, ...input } as const;
  const decision = mutate(pod, ask);
  expect(mutate(decision.pod, ask).patch).toEqual([]);
  return decision;
}

describe('a new ephemeral container', () => {
  it('has the files and the variables of the other containers, and nothing else changes', () => {
    const { pod, warnings } = update(withDebug(running, debug), running);
    expect(pod).toEqual(withDebug(running, { ...debug, volumeMounts: paths.map(ours), env }));
    expect(warnings).toEqual([]);
  });

  it('has them by the volume, whatever the annotations say by now', () => {
    const changed = { ...running, metadata: { ...(running['metadata'] as Raw), annotations: asksFor('other') } };
    const { pod } = update(withDebug(changed, debug), changed);
    expect(at(pod, 'spec.ephemeralContainers.0.env')).toEqual(env);
    expect(at(pod, 'spec.volumes')).toBe(at(running, 'spec.volumes'));
  });

  it('leaves the older ones as they are', () => {
    const before = withDebug(running, { ...debug, name: 'old' });
    const { pod } = update(withDebug(running, { ...debug, name: 'old' }, debug), before);
    expect(at(pod, 'spec.ephemeralContainers.0')).toEqual({ ...debug, name: 'old' });
    expect(at(pod, 'spec.ephemeralContainers.1.env')).toEqual(env);
  });

  it('has its image rewritten as well', () => {
    const { pod } = update(withDebug(running, { ...debug, image: 'harbor.example.com/tools' }), running);
    expect(at(pod, 'spec.ephemeralContainers.0')).toMatchObject({ image: proxied('demo/first', 'tools'), env });
  });

  it('has the files where its image is left alone for want of a pull identity', () => {
    const anonymous = withSpec(running, { imagePullSecrets: [] });
    const image = 'harbor.example.com/tools';
    const { pod, images } = update(withDebug(anonymous, { ...debug, image }), anonymous);
    expect(images).toMatchObject([{ reason: 'NoPullIdentity' }]);
    expect(at(pod, 'spec.ephemeralContainers.0')).toMatchObject({ image, env });
  });

  it('keeps its own mounts and variables, with warnings', () => {
    const own = { volumeMounts: [{ name: 'mine', mountPath: '/opt' }], env: [variable('TOOL', 'mine')] };
    const { pod, warnings } = update(withDebug(running, { ...debug, ...own }), running);
    expect(at(pod, 'spec.ephemeralContainers.0.volumeMounts')).toEqual([...own.volumeMounts, ours(paths[0] ?? '')]);
    expect(at(pod, 'spec.ephemeralContainers.0.env')).toEqual(own.env);
    expect(warnings).toEqual([
      expect.stringContaining('container "debug" has a mount of its own at /opt/tool'),
      expect.stringContaining('container "debug" sets TOOL itself'),
    ]);
  });

  it('has no variables where the connectors are gone by now, but the files', () => {
    const { pod } = update(withDebug(running, debug), running, { catalogue: catalogueOf({ another: 'narrow' }, []) });
    expect(at(pod, 'spec.ephemeralContainers.0')).toMatchObject({ volumeMounts: [ours(paths[0] ?? '')] });
  });

  const volume = volumesOf(running)[0];
  const withAttributes = (volumeAttributes: Raw): Raw => {
    const csi = volume?.['csi'] as Raw;
    return {
      ...volume,
      csi: { ...csi, volumeAttributes: { ...(csi['volumeAttributes'] as Raw), ...volumeAttributes } },
    };
  };
  it.each<[string, Raw, Raw]>([
    ['a pod without the volume', bare, bare],
    ['a pod whose annotation came later', { ...bare, metadata: { name: 'a', annotations } }, bare],
    ['a pod that has the volume by this update only, which the API server drops', running, bare],
    ['a pod with a volume of its own by that name', ...twice({ name: 'oci-connector-config', emptyDir: {} })],
    ['a pod with a volume of its own by the driver', ...twice(withAttributes({ 'connector.name': 'first' }))],
    ['a pod whose volume names no connector', ...twice(withAttributes({ connectors: '../../etc,a/b/c' }))],
    ['a pod that opted out', ...labelled('false')],
    ['a pod for Windows', ...both(withSpec(running, { os: { name: 'windows' } }))],
    ['a static pod', ...both({ ...running, metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' } } })],
  ])('of %s has nothing', (_what, pod, oldPod) => {
    expect(update(withDebug(pod, debug), oldPod).patch).toEqual([]);
  });

  it('has nothing by an update of the pod itself', () => {
    expect(update(withDebug(running, debug), running, { subresource: '' }).patch).toEqual([]);
  });

  it('is not mounted a thousand times, however many there are', () => {
    const many = Array.from({ length: 501 }, (_, index) => ({ ...debug, name: `d${index}` }));
    const { patch, warnings } = update(withDebug(running, ...many), running);
    expect(patch).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('1002 mounts')]);
  });

  it('takes no time for a volume that names what no volume can', () => {
    const names = Array.from({ length: 200_000 }, () => 'tool').join(',');
    const connectors = Array.from({ length: 200_000 }, (_, index) => `c${index}`).join(',');
    const [pod] = twice(withAttributes({ connectors, 'configuration.names': names }));
    const { patch } = update(withDebug(pod, debug), pod);
    expect(patch).toMatchObject([
      { value: Array.from({ length: 64 }, (_, index) => ours(`/etc/connectors/c${index}`)) },
    ]);
  });
});

function both(pod: Raw): [Raw, Raw] {
  return [pod, pod];
}

function twice(volume: Raw): [Raw, Raw] {
  return both(withSpec(running, { volumes: [volume] }));
}

function labelled(value: string): [Raw, Raw] {
  return both({ ...running, metadata: { labels: { 'connectors.cpaas.io/proxy-inject': value } } });
}
