import { describe, expect, it } from 'vitest';
import { builtinClasses } from '../../connectors/builtin-class.ts';
import type { ConnectorCatalogue } from '../../connectors/catalogue.ts';
import { catalogueOf, connectorClass, type Injected, variable } from './classes.ts';
import { asksFor, at, mutate, podWith, type Raw, settings } from './fixtures.ts';

const volumeName = 'oci-connector-config';
const folder = '/etc/connectors/first';
const ours = (mountPath: string) => ({ name: volumeName, mountPath, readOnly: true });
const own = (mountPath: string) => ({ name: 'mine', mountPath });

const one = (injections: Record<string, Injected | undefined>) =>
  catalogueOf({ first: 'narrow' }, [connectorClass('narrow', injections)]);
const toolClass = one({ tool: { mountPath: '/opt/tool', env: [variable('TOOL', '$(MOUNT_PATH)/tool.json')] } });

const podAsking = (names: string, container: Raw = {}, spec: Raw = {}): Raw =>
  podWith(
    { containers: [{ name: 'app', image: 'harbor.example.com/app', ...container }], ...spec },
    { annotations: asksFor(names) },
  );

/** What the container of a new pod has afterwards, and that deciding again changes nothing. */
function inject(names: string, catalogue: ConnectorCatalogue, container: Raw = {}) {
  const { pod, warnings } = mutate(podAsking(names, container), { catalogue });
  expect(mutate(pod, { catalogue }).patch).toEqual([]);
  return {
    pod,
    warnings,
    mounts: at(pod, 'spec.containers.0.volumeMounts'),
    env: at(pod, 'spec.containers.0.env'),
    attributes: at(pod, 'spec.volumes.0.csi.volumeAttributes'),
  };
}

describe('what a class injects', () => {
  it('is mounted at its path beside the folder of the connector, and told by variables', () => {
    const { mounts, env, warnings } = inject('tool', toolClass);
    expect(mounts).toEqual([ours(folder), ours('/opt/tool')]);
    expect(env).toEqual([variable('TOOL', '/opt/tool/tool.json')]);
    expect(warnings).toEqual([]);
  });

  it.each([
    ['$(MOUNT_PATH)', folder],
    ['--config=$(MOUNT_PATH)/a --root=$(MOUNT_PATH)', `--config=${folder}/a --root=${folder}`],
    ['$(HOME)/$$(MOUNT_PATH)', '$(HOME)/$$(MOUNT_PATH)'],
    ['$$$(MOUNT_PATH)', `$$${folder}`],
    ['fixed', 'fixed'],
    ['', ''],
  ])('has values like %j, as %j', (template, value) => {
    const { env } = inject('x', one({ x: { env: [variable('X', template)] } }));
    expect(env).toEqual([variable('X', value)]);
  });

  it('is that of the first connector whose class has the configuration, whatever else the others have', () => {
    const catalogue = catalogueOf({ first: 'narrow', second: 'wide' }, [
      connectorClass('narrow', { shared: { env: [variable('SHARED', 'narrow')] } }),
      connectorClass('wide', {
        shared: { mountPath: '/opt/wide', env: [variable('SHARED', 'wide'), variable('MORE', 'wide')] },
        wide: { env: [variable('WIDE', '$(MOUNT_PATH)')] },
      }),
    ]);
    const containers = ['harbor', 'second'].map((name) => ({ name, image: `${name}.example.com/app` }));
    const pod = podWith({ containers }, { annotations: asksFor('wide,shared') });
    const decision = mutate(pod, { catalogue });
    expect(decision.warnings).toEqual([]);
    for (const index of [0, 1]) {
      expect(at(decision.pod, `spec.containers.${index}.env`)).toEqual([
        variable('WIDE', folder),
        variable('SHARED', 'narrow'),
      ]);
      expect(at(decision.pod, `spec.containers.${index}.volumeMounts`)).toEqual([
        ours(folder),
        ours('/etc/connectors/second'),
      ]);
    }
  });

  it('reaches init containers, sidecars among them, and leaves everything else of theirs', () => {
    const securityContext = { runAsUser: 1000, readOnlyRootFilesystem: true };
    const initContainers = [
      { name: 'init', image: 'x', securityContext },
      { name: 'sidecar', image: 'x', restartPolicy: 'Always', securityContext },
    ];
    const { pod } = mutate(podAsking('tool', {}, { initContainers }), { catalogue: toolClass });
    for (const [index, container] of initContainers.entries()) {
      expect(at(pod, `spec.initContainers.${index}`)).toEqual({
        ...container,
        volumeMounts: [ours(folder), ours('/opt/tool')],
        env: [variable('TOOL', '/opt/tool/tool.json')],
      });
    }
  });

  it('is not for static pods and Windows', () => {
    const windows = mutate(podAsking('tool', {}, { os: { name: 'windows' } }), { catalogue: toolClass });
    expect(at(windows.pod, 'spec.volumes')).toBeUndefined();
    const annotations = { ...asksFor('tool'), 'kubernetes.io/config.mirror': 'hash' };
    const mirror = podWith({ containers: [{ name: 'app', image: 'x' }] }, { annotations });
    expect(at(mutate(mirror, { catalogue: toolClass }).pod, 'spec.volumes')).toBeUndefined();
  });

  it('can all be used, where the class is the one that the product ships', () => {
    const [shipped] = builtinClasses;
    const names = shipped?.spec.configurations?.map(({ name }) => name) ?? [];
    const { warnings, attributes } = inject(names.join(','), catalogueOf({ first: 'oci' }, []));
    expect(warnings).toEqual([]);
    if (names.length > 0) expect(attributes).toMatchObject({ 'configuration.names': names.join(',') });
  });
});

describe('what is in the way of a mount', () => {
  it.each<[string, Raw[], string[], string | undefined]>([
    ['nothing', [own('/opt/tools')], [folder, '/opt/tool'], '/opt/tool'],
    ['a mount at the same path', [own('/opt/tool')], [folder], folder],
    ['a mount at the same path, spelled otherwise', [own('/opt/./x/..//tool/')], [folder], folder],
    ['a mount at the same path, spelled without its first slash', [own('opt/tool')], [folder], folder],
    ['a mount within it', [own('/opt/tool/cache')], [folder], folder],
    ['a mount that it is within', [own('/opt')], [folder], folder],
    ['a mount that the folder of the connector is within', [own('/etc')], ['/opt/tool'], '/opt/tool'],
    ['mounts at both', [own('/etc/connectors'), own('/opt/tool/x')], [], undefined],
    ['a part of our volume', [{ ...ours('/opt/tool'), subPath: 'tool.json' }], [folder], folder],
    ['a part of our volume by a variable', [{ ...ours('/opt/tool'), subPathExpr: '$(X)' }], [folder], folder],
    ['a mount of our volume that it is within', [ours('/opt')], [folder], folder],
  ])('%s', (_what, volumeMounts, added, place) => {
    const { mounts, env, warnings } = inject('tool', toolClass, { volumeMounts });
    expect(mounts).toEqual([...volumeMounts, ...added.map(ours)]);
    expect(env).toEqual(place === undefined ? undefined : [variable('TOOL', `${place}/tool.json`)]);
    expect(warnings).toHaveLength(2 - added.length);
    for (const warning of warnings) expect(warning).toContain('container "app" has a mount of its own at');
  });

  it('a device', () => {
    const volumeDevices = [{ name: 'disk', devicePath: '/opt/tool' }];
    const { mounts, warnings } = inject('tool', toolClass, { volumeDevices });
    expect(mounts).toEqual([ours(folder)]);
    expect(warnings).toHaveLength(1);
  });

  it('our own volume at the same path is not, and stays as it is written', () => {
    const volumeMounts = [{ name: volumeName, mountPath: '/opt/tool/' }, own('')];
    const { mounts, env, warnings } = inject('tool', toolClass, { volumeMounts });
    expect(mounts).toEqual([...volumeMounts, ours(folder)]);
    expect(env).toEqual([variable('TOOL', '/opt/tool/tool.json')]);
    expect(warnings).toEqual([]);
  });

  it('more mounts than any container has: it is left alone', () => {
    const volumeMounts = Array.from({ length: 1001 }, (_, index) => own(`/data/${index}`));
    const { mounts, env, warnings } = inject('tool', toolClass, { volumeMounts });
    expect(mounts).toEqual(volumeMounts);
    expect(env).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('more than 1000 mounts')]);
  });
});

describe('a mount path of a class', () => {
  const system = ['/', '/bin', '/dev', '/dev/shm', '/proc', '/proc/self', '/sys/fs', '/lib64', '/boot/x'];
  const programs = ['/usr', '/usr/bin', '/usr/lib/x', '/usr/local', '/usr/local/bin', '/usr/share'];
  const shared = ['/etc', '/etc/ssl', '/etc/ssl/certs', '/home', '/root', '/tmp', '/var', '/var/lib', '/opt', '/srv'];
  const secrets = ['/run', '/run/secrets', '/var/run', '/var/run/secrets', '/var/run/secrets/kubernetes.io/x'];
  const mine = ['/etc/connectors', '/etc/connectors/', '/etc/connectors/first', '/etc/connectors/x/y'];
  const disguised = ['//', '/./', '/opt/..', '/opt/../etc/', '/etc//', '/x/../../usr/bin'];
  it.each([...system, ...programs, ...shared, ...secrets, ...mine, ...disguised])('is refused: %s', (mountPath) => {
    const catalogue = one({ tool: { mountPath, env: [variable('TOOL', '$(MOUNT_PATH)')] } });
    const { mounts, env, warnings } = inject('tool', catalogue);
    expect(mounts).toEqual([ours(folder)]);
    expect(env).toEqual([variable('TOOL', folder)]);
    expect(warnings).toEqual([expect.stringContaining('configuration "tool" is not mounted at')]);
  });

  it.each([
    ['/etc/docker', '/etc/docker'],
    ['/etc//docker/', '/etc/docker'],
    ['/etc/ssl/certs/connectors', '/etc/ssl/certs/connectors'],
    ['/etc/connectors-of-mine', '/etc/connectors-of-mine'],
    ['/root/.docker', '/root/.docker'],
    ['/kaniko/.docker', '/kaniko/.docker'],
    ['/usr/local/etc/tool', '/usr/local/etc/tool'],
    ['/var/run/tool', '/var/run/tool'],
    ['/binaries', '/binaries'],
    ['/workspace', '/workspace'],
  ])('is taken: %s', (mountPath, mounted) => {
    const { mounts, warnings } = inject('tool', one({ tool: { mountPath } }));
    expect(mounts).toEqual([ours(folder), ours(mounted)]);
    expect(warnings).toEqual([]);
  });

  it('is refused where it overlaps that of an earlier configuration, and shared where it is the same', () => {
    const catalogue = one({
      a: { mountPath: '/opt/a' },
      same: { mountPath: '/opt/a/' },
      within: { mountPath: '/opt/a/b' },
    });
    const { mounts, warnings } = inject('a,same,within', catalogue);
    expect(mounts).toEqual([ours(folder), ours('/opt/a')]);
    expect(warnings).toEqual([expect.stringContaining('it overlaps that of "a"')]);
  });
});

describe('a variable', () => {
  const x = one({ x: { env: [variable('X', '$(MOUNT_PATH)/x'), variable('Y', 'y')] } });
  it.each<[string, Raw[]]>([
    ['a value', [variable('X', 'mine')]],
    ['an empty value', [variable('X', '')]],
    ['no value', [{ name: 'X' }]],
    ['a source', [{ name: 'X', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }]],
    ['two values, of which the last counts', [variable('X', `${folder}/x`), variable('X', 'mine')]],
  ])('that the container sets by %s stays, with a warning', (_what, set) => {
    const { env, warnings } = inject('x', x, { env: set });
    expect(env).toEqual([...set, variable('Y', 'y')]);
    expect(warnings).toEqual([expect.stringContaining('container "app" sets X itself')]);
  });

  it.each([`${folder}/x`, '/data/files/x'])('that leads to the files already is no reason to warn: %s', (value) => {
    const env = [variable('X', value)];
    const { warnings } = inject('x', x, { env, volumeMounts: [ours('/data/files')] });
    expect(warnings).toEqual([]);
  });

  it('that two configurations set has the value of the first, with a warning where they differ', () => {
    const catalogue = one({
      a: { env: [variable('X', 'a')] },
      same: { env: [variable('X', 'a')] },
      b: { env: [variable('X', 'b'), variable('B', 'b')] },
    });
    expect(inject('a,same', catalogue)).toMatchObject({ env: [variable('X', 'a')], warnings: [] });
    const { env, warnings } = inject('b,a', catalogue);
    expect(env).toEqual([variable('X', 'b'), variable('B', 'b')]);
    expect(warnings).toEqual([expect.stringContaining('configurations "b" and "a" both set X')]);
  });

  it.each(['1X', 'A B', 'A=B', 'Ä', 'a.b'])('whose name not every API server takes is left out: %s', (name) => {
    const { env, warnings } = inject('x', one({ x: { env: [variable(name, 'x'), variable('Y', 'y')] } }));
    expect(env).toEqual([variable('Y', 'y')]);
    expect(warnings).toEqual([expect.stringContaining("is no variable's name")]);
  });

  it.each<[string, unknown, string[]]>([
    ['a ConfigMap', [{ configMapRef: { name: 'settings' } }], ['container "app": X, Y would win']],
    ['an empty prefix', [{ prefix: '', secretRef: { name: 's' } }], ['container "app": X, Y would win']],
    ['a prefix that fits one', [{ prefix: 'X', secretRef: { name: 's' } }], ['container "app": X would win']],
    ['a prefix that fits none', [{ prefix: 'APP_', configMapRef: { name: 's' } }], []],
    ['no source', [], []],
    ['no list', 'odd', []],
  ])('is added with a warning where envFrom may hold it: %s', (_what, envFrom, expected) => {
    const { env, warnings } = inject('x', x, { envFrom });
    expect(env).toEqual([variable('X', `${folder}/x`), variable('Y', 'y')]);
    expect(warnings).toEqual(expected.map((text) => expect.stringContaining(text)));
  });

  it('is not added to an env that is no list', () => {
    expect(inject('x', x, { env: { odd: true } }).env).toEqual({ odd: true });
  });
});

describe('a configuration that no class has', () => {
  it('is left out of the volume, with a warning that names those that exist', () => {
    const { attributes, warnings } = inject('tool,toool,!.env', toolClass);
    expect(attributes).toMatchObject({ 'configuration.names': 'tool,!.env' });
    expect(warnings).toEqual([
      'configuration "toool" is left out, there is none of that name: connector demo/first has "tool"',
    ]);
  });

  it('makes no volume where nothing else is asked for', () => {
    const { pod, warnings } = mutate(podAsking('toool,!.env'), { catalogue: toolClass });
    expect(at(pod, 'spec.volumes')).toBeUndefined();
    expect(warnings).toHaveLength(1);
  });

  it('is not told from the others where no class can be read', () => {
    const { attributes, env, warnings } = inject('tool,toool', catalogueOf({ first: 'nowhere' }, []));
    expect(attributes).toMatchObject({ 'configuration.names': 'tool,toool' });
    expect(env).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('ConnectorClassNotFound')]);
  });

  it('is told from the others where one class can be read, and the list of those is short', () => {
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`c${index}`, undefined]));
    const { warnings } = mutate(
      podWith({ containers: [{ name: 'a', image: 'x' }] }, { annotations: asksFor('nope') }),
      {
        catalogue: catalogueOf({ first: 'nowhere', second: 'many' }, [connectorClass('many', many)]),
      },
    );
    expect(warnings).toEqual([
      'configuration "nope" is left out, there is none of that name: there are "c0", "c1", "c2", "c3", "c4", "c5", 3 more',
    ]);
  });
});

describe('a pod that went through before', () => {
  const before = one({ tool: { mountPath: '/opt/old', env: [variable('TOOL', '$(MOUNT_PATH)/old')] } });
  const once = mutate(podAsking('tool'), { catalogue: before }).pod;

  it.each<[string, Record<string, Injected | undefined>, string[], Raw[], number]>([
    [
      'has another path',
      { tool: { mountPath: '/opt/new', env: [variable('TOOL', '$(MOUNT_PATH)/old')] } },
      [folder, '/opt/old', '/opt/new'],
      [],
      0,
    ],
    [
      'has a path within the old one',
      { tool: { mountPath: '/opt/old/new', env: [variable('TOOL', '$(MOUNT_PATH)/old')] } },
      [folder, '/opt/old'],
      [],
      1,
    ],
    ['has another value', { tool: { env: [variable('TOOL', 'new')] } }, [folder, '/opt/old'], [], 1],
    [
      'has another variable',
      { tool: { env: [variable('NEW', 'new')] } },
      [folder, '/opt/old'],
      [variable('NEW', 'new')],
      0,
    ],
    ['has nothing to inject', { tool: undefined }, [folder, '/opt/old'], [], 0],
    ['is without the configuration', {}, [folder, '/opt/old'], [], 1],
  ])('keeps what it has when its class %s', (_what, injections, paths, env, warned) => {
    const catalogue = one(injections);
    const { pod, warnings } = mutate(once, { catalogue });
    expect(at(pod, 'spec.containers.0.volumeMounts')).toEqual(paths.map(ours));
    expect(at(pod, 'spec.containers.0.env')).toEqual([variable('TOOL', '/opt/old/old'), ...env]);
    expect(warnings).toHaveLength(warned);
    expect(mutate(pod, { catalogue }).patch).toEqual([]);
  });
});

describe('more than a volume takes', () => {
  it('connectors: the first 64 are configured, with a warning', () => {
    const names = Array.from({ length: 70 }, (_, index) => `c${String(index).padStart(2, '0')}`);
    const catalogue = catalogueOf(Object.fromEntries(names.map((name) => [name, 'narrow'])), [
      connectorClass('narrow', { tool: undefined }),
    ]);
    const { pod, warnings } = mutate(podAsking('tool', { image: 'nginx' }), { catalogue });
    const { connectors } = at(pod, 'spec.volumes.0.csi.volumeAttributes') as { connectors: string };
    expect(connectors.split(',')).toEqual(names.slice(0, 64).map((name) => `demo/${name}`));
    expect(warnings).toEqual([expect.stringContaining('the first 64 connectors of 70')]);
  });

  it('names: the first 64 are asked for, with a warning', () => {
    const names = Array.from({ length: 65 }, (_, index) => `c${index}`);
    const { attributes, warnings } = inject(names.join(','), catalogueOf({ first: 'nowhere' }, []));
    expect(attributes).toMatchObject({ 'configuration.names': names.slice(0, 64).join(',') });
    expect(warnings).toContainEqual(expect.stringContaining('the first 64 names of 65'));
  });
});

it('mounts nothing where no CSI driver is installed, and says so', () => {
  const decision = mutate(podAsking('tool'), { catalogue: toolClass, settings: { ...settings, hasCsiDriver: false } });
  expect(at(decision.pod, 'spec.volumes')).toBeUndefined();
  expect(decision.warnings).toContainEqual(expect.stringContaining('the CSI driver is not installed'));
});
