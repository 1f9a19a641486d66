import { describe, expect, it } from 'vitest';
import {
  at,
  chooses,
  entriesOf,
  imageOf,
  longConnector,
  longNamespace,
  mutate,
  optedIn,
  podOf,
  podWith,
  proxied,
} from './fixtures.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('opting in', () => {
  const label = (value: unknown) => ({ 'connectors.cpaas.io/proxy-inject': value });
  it.each([
    ['demo', undefined, 'Decided'],
    ['demo', null, 'Decided'],
    ['demo', label('true'), 'Decided'],
    ['demo', label('false'), 'OptedOut'],
    ['plain', undefined, 'NotOptedIn'],
    ['plain', label('true'), 'Decided'],
    ['plain', label('false'), 'OptedOut'],
    ['shouting', undefined, 'NotOptedIn'],
    ['unheard-of', undefined, 'NotOptedIn'],
    ['unheard-of', label('true'), 'Decided'],
  ])('in namespace %s with pod labels %j the outcome is %s', (namespace, labels, outcome) => {
    const pod = podOf('harbor.example.com/app', { labels });
    const decision = mutate(pod, { namespace });
    expect(decision.outcome).toBe(outcome);
    expect(decision.warnings).toEqual([]);
    if (outcome === 'Decided') return;
    expect(decision).toMatchObject({ patch: [], images: [], auditAnnotations: {} });
    expect(decision.pod).toBe(pod);
  });

  it.each(['yes', 'True', '', 1, null])('ignores the value %j of the pod with a warning', (value) => {
    const pod = podOf('harbor.example.com/app', { labels: label(value) });
    for (const [namespace, outcome] of [
      ['demo', 'Decided'],
      ['plain', 'NotOptedIn'],
    ] as const) {
      const decision = mutate(pod, { namespace });
      expect(decision.outcome).toBe(outcome);
      expect(decision.warnings).toEqual([expect.stringContaining('proxy-inject')]);
    }
  });

  it('goes by the namespace of the request and not by that of the pod', () => {
    const inPlain = { ...podOf('harbor.example.com/app'), metadata: { name: 'web', namespace: 'demo' } };
    expect(mutate(inPlain, { namespace: 'plain' }).patch).toEqual([]);
    const inDemo = { ...podOf('harbor.example.com/app'), metadata: { name: 'web', namespace: 'plain' } };
    expect(imageOf(mutate(inDemo).pod)).toBe(proxied('demo/harbor', 'app'));
  });
});

describe('rewriting', () => {
  it.each([
    ['harbor.example.com/app', 'demo/harbor', 'app'],
    ['harbor.example.com/app:v1', 'demo/harbor', 'app:v1'],
    [`harbor.example.com/a/b:v1@${digest}`, 'demo/harbor', `a/b:v1@${digest}`],
    [`harbor.example.com/a/b@${digest}`, 'demo/harbor', `a/b@${digest}`],
    ['HARBOR.example.com:443/App/x'.toLowerCase(), 'demo/harbor', 'app/x'],
    ['harbor.example.com/team/app:v1', 'demo/harbor-team', 'team/app:v1'],
    ['harbor.example.com/teams/app:v1', 'demo/harbor', 'teams/app:v1'],
    ['nginx', 'demo/hub', 'library/nginx'],
    ['nginx:1.27', 'demo/hub', 'library/nginx:1.27'],
    ['docker.io/nginx', 'demo/hub', 'library/nginx'],
    ['index.docker.io/library/nginx', 'demo/hub', 'library/nginx'],
    ['bitnami/redis:7', 'demo/hub', 'bitnami/redis:7'],
    ['quay.io/org/tool', 'kube-public/quay', 'org/tool'],
  ])('%s becomes an image of connector %s with name %s', (image, connector, rest) => {
    const { pod, images } = mutate(podOf(image));
    expect(imageOf(pod)).toBe(proxied(connector, rest));
    expect(images).toMatchObject([{ original: image, rewritten: imageOf(pod), reason: 'Rewritten' }]);
    const entry = { container: 'app', original: image, rewritten: imageOf(pod), connector, reason: 'Rewritten' };
    expect(entriesOf(pod)).toEqual([entry]);
  });

  it('reaches containers, init containers, ephemeral containers and image volumes', () => {
    const { pod } = mutate(
      podWith({
        initContainers: [{ name: 'init', image: 'harbor.example.com/init' }],
        containers: [{ name: 'app', image: 'harbor.example.com/app' }],
        ephemeralContainers: [{ name: 'debug', image: 'harbor.example.com/debug' }],
        volumes: [
          { name: 'scratch', emptyDir: {} },
          { name: 'models', image: { reference: 'harbor.example.com/models', pullPolicy: 'IfNotPresent' } },
        ],
      }),
    );
    expect(imageOf(pod)).toBe(proxied('demo/harbor', 'app'));
    expect(at(pod, 'spec.initContainers.0.image')).toBe(proxied('demo/harbor', 'init'));
    expect(at(pod, 'spec.ephemeralContainers.0.image')).toBe(proxied('demo/harbor', 'debug'));
    expect(at(pod, 'spec.volumes.1.image')).toEqual({
      reference: proxied('demo/harbor', 'models'),
      pullPolicy: 'IfNotPresent',
    });
    expect(entriesOf(pod).map((entry) => entry['container'] ?? `volume ${entry['volume']}`)).toEqual([
      'app',
      'init',
      'debug',
      'volume models',
    ]);
  });

  it('names the connectors that lost by name', () => {
    const { images } = mutate(podOf('twin.example.com/app'));
    expect(images).toMatchObject([
      { connector: { namespace: 'demo', name: 'twin-a' }, rivals: [{ namespace: 'demo', name: 'twin-b' }] },
    ]);
  });

  it('goes to a connector that cannot be used, with a warning that says why', () => {
    const { pod, warnings } = mutate(podOf('broken.example.com/app'));
    expect(imageOf(pod)).toBe(proxied('demo/broken', 'app'));
    expect(warnings).toEqual(['connector demo/broken cannot be used at present: SecretNotFound']);
  });

  it('never takes a connector of another namespace by itself', () => {
    expect(imageOf(mutate(podOf('ghcr.io/org/app')).pod)).toBe('ghcr.io/org/app');
  });
});

describe('images that are left alone', () => {
  const longest = 255 - proxied(`${longNamespace}/${longConnector}`, '').length;
  const cases: [what: string, reason: string, pod: Record<string, unknown>, namespace?: string][] = [
    ['no connector matches', 'NoConnector', podOf('ghcr.io/org/app')],
    ['no connector of the registry at that port', 'NoConnector', podOf('harbor.example.com:8443/app')],
    [
      'it is never pulled',
      'PullPolicyNever',
      podWith({ containers: [{ name: 'app', image: 'harbor.example.com/app', imagePullPolicy: 'Never' }] }),
    ],
    ['it is ours, in the path form', 'AlreadyProxied', podOf(proxied('demo/harbor', 'app:v1'))],
    ['it is ours, of a connector unknown', 'AlreadyProxied', podOf(proxied('mars/rover', 'app:v1'))],
    ['it is ours, in the host form', 'AlreadyProxied', podOf('c-harbor.demo.svc.cluster.local/app:v1')],
    [
      'its name would be too long',
      'NameTooLong',
      podOf(`harbor.example.com/${'r'.repeat(longest + 1)}:v1`),
      longNamespace,
    ],
    ['it is no image reference', 'InvalidReference', podOf('harbor.example.com/App')],
    ['it is empty', 'InvalidReference', podOf('')],
    [
      'the pod is static',
      'StaticPod',
      podOf('harbor.example.com/app', { annotations: { 'kubernetes.io/config.mirror': 'hash' } }),
    ],
    [
      'the pod is for Windows by its os',
      'Windows',
      podOf('harbor.example.com/app', { spec: { os: { name: 'windows' } } }),
    ],
    [
      'the pod is for Windows by its node selector',
      'Windows',
      podOf('harbor.example.com/app', { spec: { nodeSelector: { 'kubernetes.io/os': 'windows' } } }),
    ],
    [
      'the chosen connector has another address',
      'ConnectorNotMatching',
      podOf('quay.io/org/app', { annotations: chooses('harbor') }),
    ],
    [
      'the chosen connector does not exist',
      'ConnectorUnknown',
      podOf('harbor.example.com/app', { annotations: chooses('demo/nowhere') }),
    ],
  ];

  it.each(cases)('because %s: %s', (_what, reason, pod, namespace = 'demo') => {
    const decision = mutate(pod, { namespace });
    expect(imageOf(decision.pod)).toBe(imageOf(pod));
    expect(entriesOf(decision.pod)).toMatchObject([{ container: 'app', original: imageOf(pod), reason }]);
    expect(entriesOf(decision.pod)[0]).not.toHaveProperty('rewritten');
  });

  it('a name of exactly 255 characters is rewritten, and one more is warned of', () => {
    const fits = mutate(podOf(`harbor.example.com/${'r'.repeat(longest)}:v1`), { namespace: longNamespace });
    expect(`${imageOf(fits.pod)}`).toHaveLength(255 + ':v1'.length);
    expect(fits.warnings).toEqual([]);
    const tooLong = mutate(podOf(`harbor.example.com/${'r'.repeat(longest + 1)}:v1`), { namespace: longNamespace });
    expect(tooLong.warnings).toEqual([expect.stringContaining('container "app" is left alone')]);
    expect(tooLong.warnings[0]).toContain('256 characters');
  });

  it('an image volume that is never pulled stays', () => {
    const reference = 'harbor.example.com/models';
    const containers = [{ name: 'app', image: 'harbor.example.com/app' }];
    const volumes = [{ name: 'models', image: { reference, pullPolicy: 'Never' } }];
    const { pod } = mutate(podWith({ containers, volumes }));
    expect(at(pod, 'spec.volumes.0.image.reference')).toBe(reference);
    expect(entriesOf(pod)[1]).toEqual({ volume: 'models', original: reference, reason: 'PullPolicyNever' });
  });

  it('says what is wrong with a reference', () => {
    expect(entriesOf(mutate(podOf('harbor.example.com/App')).pod)[0]).toMatchObject({
      message: 'the repository "App" must be lower case',
    });
  });

  it.each([
    ['static', { annotations: { 'kubernetes.io/config.mirror': 'hash' } }],
    ['Windows', { spec: { os: { name: 'windows' } } }],
  ])('a %s pod gets the decision and nothing else', (_kind, parts) => {
    const annotations = {
      ...('annotations' in parts ? parts.annotations : {}),
      'connectors.cpaas.io/configurations': 'registry-config',
    };
    const pod = podOf(proxied('demo/harbor', 'app'), { ...parts, annotations });
    const { pod: after, patch } = mutate(pod);
    expect(patch.map(({ op, path }) => `${op} ${path}`)).toEqual([
      'add /metadata/annotations/connectors.cpaas.io~1decision',
    ]);
    expect(at(after, 'spec')).toBe(pod['spec']);
  });
});

describe('the explicit choice', () => {
  it.each([
    ['demo/harbor', 'harbor.example.com/team/app', proxied('demo/harbor', 'team/app')],
    ['harbor', 'harbor.example.com/team/app', proxied('demo/harbor', 'team/app')],
    ['harbor-team', 'harbor.example.com/team/app', proxied('demo/harbor-team', 'team/app')],
    ['harbor-team', 'harbor.example.com/team', proxied('demo/harbor-team', 'team')],
    ['harbor-team', 'harbor.example.com/teams/app', undefined],
    ['harbor-team', 'nginx', undefined],
    ['hub', 'nginx', proxied('demo/hub', 'library/nginx')],
    ['twin-b', 'twin.example.com/app', proxied('demo/twin-b', 'app')],
    ['other/ghcr', 'ghcr.io/org/app', proxied('other/ghcr', 'org/app')],
    ['kube-public/quay', 'quay.io/org/app', proxied('kube-public/quay', 'org/app')],
  ])('of %s makes %s %s', (choice, image, expected) => {
    const { pod, warnings } = mutate(podOf(image, { annotations: chooses(choice) }));
    expect(imageOf(pod)).toBe(expected ?? image);
    expect(warnings).toEqual([]);
  });

  it('may stand on the namespace, and the one on the pod wins', () => {
    const image = 'harbor.example.com/team/app';
    const byNamespace = mutate(podOf(image), { namespace: 'chosen' });
    expect(imageOf(byNamespace.pod)).toBe(proxied('demo/harbor', 'team/app'));
    const byPod = mutate(podOf(image, { annotations: chooses('demo/harbor-team') }), { namespace: 'chosen' });
    expect(imageOf(byPod.pod)).toBe(proxied('demo/harbor-team', 'team/app'));
  });

  it.each([
    ['demo/nowhere', 'there is no connector demo/nowhere'],
    ['nowhere', 'there is no connector demo/nowhere'],
    ['', 'not <namespace>/<name>'],
    ['a/b/c', 'not <namespace>/<name>'],
    ['Demo/Harbor', 'not <namespace>/<name>'],
    ['demo/härbor\n', 'not <namespace>/<name>'],
  ])('of %j leaves all images and warns: %s', (choice, warning) => {
    const pod = podOf('harbor.example.com/app', { annotations: { ...chooses(choice) } });
    const decision = mutate(pod);
    expect(decision.pod).toMatchObject({ spec: pod['spec'] });
    expect(decision.warnings).toEqual([expect.stringContaining(warning)]);
    expect(entriesOf(decision.pod)).toMatchObject([{ reason: 'ConnectorUnknown' }]);
  });

  it('of a connector without a readable address warns of the address', () => {
    const annotations = chooses('plain/unreadable');
    const { warnings, images } = mutate(podOf('registry.example.com/app', { annotations }));
    expect(images).toMatchObject([{ reason: 'ConnectorNotMatching' }]);
    expect(warnings).toEqual(['connector plain/unreadable cannot be used at present: AddressInvalid']);
  });
});

describe('the pull secret', () => {
  const own = [{ name: 'mine' }];
  it.each([
    ['is added for a rewritten image', 'nginx', undefined, [{ name: 'oci-connector-pull' }]],
    ['is added for an image that is ours', proxied('demo/hub', 'a'), undefined, [{ name: 'oci-connector-pull' }]],
    ['is not added for other images', 'ghcr.io/org/app', undefined, undefined],
    ['goes behind those of the pod', 'nginx', own, [...own, { name: 'oci-connector-pull' }]],
    ['is not added twice', 'nginx', [{ name: 'oci-connector-pull' }, ...own], [{ name: 'oci-connector-pull' }, ...own]],
    ['takes the place of null', 'nginx', null, [{ name: 'oci-connector-pull' }]],
    ['leaves odd entries', 'nginx', [null, 7, {}], [null, 7, {}, { name: 'oci-connector-pull' }]],
    ['leaves what is no list', 'nginx', 'mine', 'mine'],
  ])('%s', (_what, image, imagePullSecrets, expected) => {
    const pod = podOf(image, { spec: imagePullSecrets === undefined ? {} : { imagePullSecrets } });
    expect(at(mutate(pod).pod, 'spec.imagePullSecrets')).toEqual(expected);
  });

  it('is not added where pulls need none', () => {
    const { pod } = mutate(podOf('nginx'), { settings: { proxyHost: 'localhost:7450', pullSecretName: undefined } });
    expect(pod).not.toHaveProperty('spec.imagePullSecrets');
    expect(imageOf(pod)).toBe(proxied('demo/hub', 'library/nginx'));
  });
});

describe('audit annotations', () => {
  it('count the reasons and name the connectors', () => {
    const containers = ['nginx', 'redis', 'harbor.example.com/app', 'ghcr.io/org/app'].map((image, at) => ({
      name: `c${at}`,
      image,
    }));
    expect(mutate(podWith({ containers })).auditAnnotations).toEqual({
      decision: 'Rewritten=3,NoConnector=1',
      connectors: 'demo/hub,demo/harbor',
    });
  });
});

describe('what does not look like a pod', () => {
  it.each([
    undefined,
    null,
    7,
    'pod',
    [],
    {},
    { metadata: {} },
    { spec: {} },
    { metadata: null, spec: { containers: [{ name: 'app', image: 'nginx' }] } },
    { metadata: { labels: optedIn, annotations: [] }, spec: {} },
    { metadata: { labels: optedIn }, spec: null },
  ])('is left alone: %j', (pod) => {
    const decision = mutate(pod);
    expect(decision).toEqual({
      outcome: 'Malformed',
      pod,
      patch: [],
      images: [],
      warnings: [],
      auditAnnotations: {},
    });
  });

  it.each([
    { containers: null },
    { containers: {} },
    { containers: 'nginx' },
    { containers: [null, 7, 'nginx', [], {}] },
    { containers: [{ name: 'app', image: 7 }] },
    { containers: [{ name: 'app', image: null }] },
    { volumes: [{ name: 'models', image: 'nginx' }, { image: { reference: {} } }] },
    {},
  ])('has nothing to decide about: %j', (spec) => {
    const pod = podWith(spec, { annotations: { 'connectors.cpaas.io/configurations': 'registry-config' } });
    const decision = mutate(pod);
    expect(decision.pod).toBe(pod);
    expect(decision.patch).toEqual([]);
  });

  it('does not hinder what does: odd entries stay beside rewritten ones', () => {
    const { pod } = mutate(podWith({ containers: [null, { image: 'nginx' }, 'x', { name: 7, image: 'redis' }] }));
    expect(at(pod, 'spec.containers')).toEqual([
      null,
      { image: proxied('demo/hub', 'library/nginx') },
      'x',
      { name: 7, image: proxied('demo/hub', 'library/redis') },
    ]);
    expect(entriesOf(pod)).toMatchObject([{ container: 'containers[1]' }, { container: 'containers[3]' }]);
  });
});

it.each([
  [1000, 'Decided'],
  [1001, 'Malformed'],
])('a pod of %i images is %s', (length, outcome) => {
  const pod = podWith({ containers: Array.from({ length }, (_, at) => ({ name: `c${at}`, image: 'nginx' })) });
  const decision = mutate(pod);
  expect(decision.outcome).toBe(outcome);
  if (outcome === 'Decided') return expect(at(decision.pod, 'spec.containers.999.image')).not.toBe('nginx');
  expect(decision.pod).toBe(pod);
  expect(decision.warnings).toEqual(['the pod is left alone: it has more than 1000 images']);
});

describe('warnings', () => {
  it('are ASCII, short, and few', () => {
    const image = `harbor.example.com/${'r'.repeat(200)}`;
    const containers = Array.from({ length: 30 }, (_, at) => ({ name: `ü${at}${'x'.repeat(300)}`, image }));
    const { warnings } = mutate(podWith({ containers }), { namespace: longNamespace });
    expect(warnings).toHaveLength(8);
    expect(warnings.at(-1)).toBe('23 more warnings');
    for (const warning of warnings) expect(warning).toMatch(/^[\x20-\x7e]{1,255}$/);
  });
});
