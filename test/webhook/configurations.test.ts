import { describe, expect, it } from 'vitest';
import { asksFor, at, chooses, mutate, podOf, podWith, proxied, type Raw } from './fixtures.ts';

const volumeName = 'oci-connector-config';
const volumeFor = (connectors: string, names: string) => ({
  name: volumeName,
  csi: {
    driver: 'connectors-csi',
    readOnly: true,
    volumeAttributes: { connectors, 'configuration.names': names, 'token.expiration': '30m' },
  },
});
const mountAt = (mountPath: string) => ({ name: volumeName, mountPath, readOnly: true });
const volumesOf = (pod: unknown) => at(pod, 'spec.volumes') as Raw[] | undefined;
const attributesOf = (pod: unknown) => at(pod, 'spec.volumes.0.csi.volumeAttributes');
const variables = (directory: string) => [
  { name: 'DOCKER_CONFIG', value: directory },
  { name: 'REGISTRY_AUTH_FILE', value: `${directory}/config.json` },
];
const flags = { name: 'BUILDKITD_FLAGS', value: '--config=/etc/connectors/harbor/buildkitd.toml' };
const asking = (names: string, spec: Raw = {}) =>
  podOf('harbor.example.com/app', { annotations: asksFor(names), spec });

describe('client configurations', () => {
  it('come as one read-only volume that every container and init container mounts', () => {
    const { pod, warnings } = mutate(
      podWith(
        {
          initContainers: [{ name: 'init', image: 'ghcr.io/org/init' }],
          containers: [
            { name: 'build', image: 'harbor.example.com/builder' },
            { name: 'side', image: 'nginx' },
          ],
        },
        { annotations: asksFor('registry-config,buildkitd') },
      ),
    );
    expect(warnings).toEqual([]);
    expect(volumesOf(pod)).toEqual([volumeFor('demo/harbor,demo/hub', 'registry-config,buildkitd')]);
    for (const place of ['initContainers.0', 'containers.0', 'containers.1']) {
      expect(at(pod, `spec.${place}.volumeMounts`)).toEqual([
        mountAt('/etc/connectors/harbor'),
        mountAt('/etc/connectors/hub'),
      ]);
      expect(at(pod, `spec.${place}.env`)).toEqual([...variables('/etc/connectors/harbor'), flags]);
    }
  });

  it('keep the volumes, mounts and variables of the pod in front', () => {
    const container = {
      name: 'app',
      image: 'harbor.example.com/app',
      env: [{ name: 'A', value: 'b' }, null],
      volumeMounts: [{ name: 'data', mountPath: '/data' }, 'odd'],
    };
    const spec = { containers: [container], volumes: [{ name: 'data', emptyDir: {} }] };
    const { pod } = mutate(podWith(spec, { annotations: asksFor('registry-config') }));
    expect(volumesOf(pod)).toEqual([{ name: 'data', emptyDir: {} }, volumeFor('demo/harbor', 'registry-config')]);
    expect(at(pod, 'spec.containers.0.volumeMounts')).toEqual([
      ...container.volumeMounts,
      mountAt('/etc/connectors/harbor'),
    ]);
    expect(at(pod, 'spec.containers.0.env')).toEqual([...container.env, ...variables('/etc/connectors/harbor')]);
  });

  it.each([
    ['a', undefined],
    ['dockerd', undefined],
    ['dockerd,buildkitd', [flags]],
    ['registry-config', variables('/etc/connectors/harbor')],
    ['registry-config,docker-config', variables('/etc/connectors/harbor')],
    ['buildkitd,docker-config', [flags, ...variables('/etc/connectors/harbor')]],
  ])('%s sets the variables %j', (names, env) => {
    expect(at(mutate(asking(names)).pod, 'spec.containers.0.env')).toEqual(env);
  });

  it.each([
    [[{ name: 'DOCKER_CONFIG', value: '' }], ['REGISTRY_AUTH_FILE']],
    [[{ name: 'REGISTRY_AUTH_FILE', valueFrom: {} }], ['DOCKER_CONFIG']],
    [[{ name: 'DOCKER_CONFIG' }, { name: 'REGISTRY_AUTH_FILE' }], []],
  ])('leave variables that the container sets: %j', (env, added) => {
    const containers = [{ name: 'app', image: 'harbor.example.com/app', env }];
    const { pod } = mutate(podWith({ containers }, { annotations: asksFor('registry-config') }));
    const after = at(pod, 'spec.containers.0.env') as Raw[];
    expect(after.slice(0, env.length)).toEqual(env);
    expect(after.slice(env.length).map((variable) => variable['name'])).toEqual(added);
  });

  describe('are those of', () => {
    it.each([
      [
        'the chosen connector',
        podOf('nginx', { annotations: { ...asksFor('a'), ...chooses('harbor') } }),
        'demo/harbor',
      ],
      [
        'the chosen connector, whatever the images are',
        podOf(proxied('kube-public/quay', 'x'), { annotations: { ...asksFor('a'), ...chooses('harbor') } }),
        'demo/harbor',
      ],
      [
        'the images, in order',
        podWith(
          {
            containers: [
              { name: 'a', image: 'nginx' },
              { name: 'b', image: 'harbor.example.com/b' },
              { name: 'c', image: 'redis' },
            ],
          },
          { annotations: asksFor('a') },
        ),
        'demo/hub,demo/harbor',
      ],
      [
        'images already ours',
        podOf(proxied('kube-public/quay', 'x'), { annotations: asksFor('a') }),
        'kube-public/quay',
      ],
      [
        'the namespace, by name, for images without a connector',
        podOf('ghcr.io/org/app', { annotations: asksFor('a') }),
        'demo/broken,demo/harbor,demo/harbor-team,demo/hub,demo/twin-a,demo/twin-b',
      ],
      [
        'the namespace, for images of connectors that do not exist',
        podOf(proxied('mars/rover', 'x'), { annotations: asksFor('a') }),
        'demo/broken,demo/harbor,demo/harbor-team,demo/hub,demo/twin-a,demo/twin-b',
      ],
    ])('%s', (_what, pod, connectors) => {
      expect(attributesOf(mutate(pod).pod)).toMatchObject({ connectors });
    });
  });

  it('mount connectors of the same name once', () => {
    const containers = [
      { name: 'a', image: proxied('demo/harbor', 'a') },
      { name: 'b', image: proxied('plain/harbor', 'b') },
    ];
    const { pod } = mutate(podWith({ containers }, { annotations: asksFor('buildkitd') }));
    expect(attributesOf(pod)).toMatchObject({ connectors: 'demo/harbor,plain/harbor' });
    expect(at(pod, 'spec.containers.0.volumeMounts')).toEqual([mountAt('/etc/connectors/harbor')]);
  });

  it('may be asked for by the namespace, and the pod wins', () => {
    const inherited = mutate(podOf('harbor.example.com/app'), { namespace: 'chosen' });
    expect(attributesOf(inherited.pod)).toMatchObject({ 'configuration.names': 'buildkitd' });
    const own = mutate(asking('dockerd'), { namespace: 'chosen' });
    expect(attributesOf(own.pod)).toMatchObject({ 'configuration.names': 'dockerd' });
    expect(volumesOf(mutate(asking(''), { namespace: 'chosen' }).pod)).toBeUndefined();
  });

  it.each([
    [' registry-config , buildkitd ', 'registry-config,buildkitd'],
    ['registry-config,!.env,!http.proxy', 'registry-config,!.env,!http.proxy'],
    ['a,a,,b', 'a,b'],
  ])('reads the names %j as %j', (text, names) => {
    const { pod, warnings } = mutate(asking(text));
    expect(attributesOf(pod)).toMatchObject({ 'configuration.names': names });
    expect(warnings).toEqual([]);
  });

  it.each(['Registry', '../etc', 'a b', '!', '!../x', '-a', 'a'.repeat(64), 'ä'])(
    'leaves out the name %j with a warning',
    (name) => {
      const { pod, warnings } = mutate(asking(`buildkitd,${name}`));
      expect(attributesOf(pod)).toMatchObject({ 'configuration.names': 'buildkitd' });
      expect(warnings).toEqual([expect.stringContaining('is not the name of a configuration')]);
      expect(volumesOf(mutate(asking(name)).pod)).toBeUndefined();
    },
  );

  it('need a connector: without any there is no volume, and a warning', () => {
    const { pod, warnings } = mutate(asking('registry-config'), { namespace: 'bare' });
    expect(volumesOf(pod)).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('namespace bare has no connector')]);
  });

  it('need the chosen connector: no other takes its place', () => {
    const annotations = { ...asksFor('registry-config'), ...chooses('nowhere') };
    const { pod, warnings } = mutate(podOf('harbor.example.com/app', { annotations }));
    expect(volumesOf(pod)).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('there is no connector demo/nowhere')]);
  });

  describe('give way to', () => {
    it.each([
      ['a volume of the same name', [{ name: volumeName, emptyDir: {} }]],
      [
        'a volume of the driver with settings of its own',
        [
          {
            name: volumeName,
            csi: { driver: 'connectors-csi', readOnly: true, volumeAttributes: { 'connector.name': 'x' } },
          },
        ],
      ],
      [
        'a volume of our shape with another driver',
        [{ name: volumeName, csi: { ...volumeFor('demo/hub', 'a').csi, driver: 'another' } }],
      ],
      [
        'a volume of our shape that can be written to',
        [{ name: volumeName, csi: { ...volumeFor('demo/hub', 'a').csi, readOnly: false } }],
      ],
      ['volumes that are no list', { odd: true }],
    ])('%s, with a warning', (_what, volumes) => {
      const { pod, warnings } = mutate(asking('registry-config', { volumes }));
      expect(volumesOf(pod)).toEqual(volumes);
      expect(at(pod, 'spec.containers.0')).toEqual({ name: 'app', image: proxied('demo/harbor', 'app') });
      expect(warnings).toEqual([expect.stringContaining('in the way')]);
    });

    it.each([
      '/etc/connectors/harbor',
      '/etc/connectors/harbor/',
      '/etc/connectors/harbor/certs',
      '/etc//connectors/./harbor',
    ])('a mount at %s, with a warning', (mountPath) => {
      const own = { name: 'mine', mountPath };
      const containers = [
        { name: 'app', image: 'harbor.example.com/app', volumeMounts: [own] },
        { name: 'side', image: 'harbor.example.com/side' },
      ];
      const { pod, warnings } = mutate(podWith({ containers }, { annotations: asksFor('registry-config') }));
      expect(at(pod, 'spec.containers.0.volumeMounts')).toEqual([own]);
      expect(at(pod, 'spec.containers.0.env')).toBeUndefined();
      expect(at(pod, 'spec.containers.1.volumeMounts')).toEqual([mountAt('/etc/connectors/harbor')]);
      expect(warnings).toEqual([expect.stringContaining('container "app" has a mount of its own')]);
    });
  });

  it('are not mounted where containers times connectors would make very many mounts', () => {
    const podOfSize = (length: number) => {
      const containers = Array.from({ length }, (_, at) => (at === 0 ? { name: 'app', image: 'ghcr.io/org/app' } : {}));
      return podWith({ containers }, { annotations: asksFor('buildkitd') });
    };
    expect(volumesOf(mutate(podOfSize(166)).pod)).toHaveLength(1);
    const { pod, warnings } = mutate(podOfSize(167));
    expect(volumesOf(pod)).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('1002 mounts')]);
  });

  it('leave mounts beside theirs alone', () => {
    const own = { name: 'mine', mountPath: '/etc/connectors/harbor-other' };
    const containers = [{ name: 'app', image: 'harbor.example.com/app', volumeMounts: [own] }];
    const { pod, warnings } = mutate(podWith({ containers }, { annotations: asksFor('buildkitd') }));
    expect(at(pod, 'spec.containers.0.volumeMounts')).toEqual([own, mountAt('/etc/connectors/harbor')]);
    expect(warnings).toEqual([]);
  });

  it('follow when another webhook adds a container with another connector', () => {
    const once = mutate(asking('registry-config')).pod as Raw;
    const spec = once['spec'] as Raw;
    const injected = {
      ...once,
      spec: { ...spec, containers: [{ name: 'side', image: 'quay.io/org/side' }, ...(spec['containers'] as Raw[])] },
    };
    const { pod } = mutate(injected);
    expect(volumesOf(pod)).toEqual([volumeFor('kube-public/quay,demo/harbor', 'registry-config')]);
    expect(at(pod, 'spec.containers.1.volumeMounts')).toEqual([
      mountAt('/etc/connectors/harbor'),
      mountAt('/etc/connectors/quay'),
    ]);
    expect(mutate(pod).patch).toEqual([]);
  });

  it('are taken for ours in whichever order the API server writes their fields', () => {
    const { pod } = mutate(asking('registry-config'));
    const { volumeAttributes } = at(pod, 'spec.volumes.0.csi') as { volumeAttributes: Raw };
    const reordered = structuredClone(pod) as { spec: { volumes: Raw[] } };
    reordered.spec.volumes[0] = {
      csi: {
        volumeAttributes: Object.fromEntries(Object.entries(volumeAttributes).reverse()),
        readOnly: true,
        driver: 'connectors-csi',
      },
      name: volumeName,
    };
    const decision = mutate(reordered);
    expect(decision.pod).toBe(reordered);
    expect(decision.warnings).toEqual([]);
  });
});
