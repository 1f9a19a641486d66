/** Pods as nobody writes them, near enough to real ones that there is something to do. */
import fc from 'fast-check';
import { longNamespace, type Raw } from './fixtures.ts';

const digest = `sha256:${'d'.repeat(64)}`;
const image = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          '',
          'docker.io/',
          'harbor.example.com/',
          'harbor.example.com/team/',
          'quay.io/',
          'ghcr.io/',
          'twin.example.com/',
          'broken.example.com:443/',
          'localhost:7450/namespaces/demo/connectors/harbor/',
          'c-hub.demo.svc/',
        ),
        fc.constantFrom('nginx', 'org/app', 'a/b/c_d', 'r'.repeat(150)),
        fc.constantFrom('', ':v1', `@${digest}`, `:v1@${digest}`),
      )
      .map((parts) => parts.join('')),
  },
  fc.string(),
  fc.jsonValue(),
);
const junk = fc.jsonValue({ maxDepth: 2 });
const name = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor') },
  fc.string(),
  junk,
);
const unknownFields = fc.dictionary(
  fc.constantFrom('x', '__proto__', 'constructor', 'toString', 'futureField', 'a/b~c'),
  junk,
  { maxKeys: 3 },
);

/** A record whose fields are mostly what they ought to be, now and then absent or junk, beside fields that nobody knows. */
function raw(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Raw> {
  const absent = fc.constant(undefined);
  const odd = Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, fc.oneof({ weight: 20, arbitrary: value }, junk, absent)]),
  );
  return fc
    .tuple(unknownFields, fc.record(odd))
    .map(([unknown, known]) => ({ ...unknown, ...JSON.parse(JSON.stringify(known)) }));
}
const rarely = <T>(usual: T, rare: T): fc.Arbitrary<T> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, fc.constant(rare));

const env = fc.array(
  raw({ name: fc.constantFrom('DOCKER_CONFIG', 'REGISTRY_AUTH_FILE', 'TOOL_CONFIG', 'X'), value: fc.string() }),
  {
    maxLength: 2,
  },
);
const mounts = fc.array(
  raw({
    name: fc.constantFrom('oci-connector-config', 'data'),
    mountPath: fc.constantFrom(
      '/etc/connectors/harbor',
      '/etc/connectors/hub/',
      '/etc/connectors/quay/x',
      '/etc',
      'opt//tool/',
      '/etc/docker/certs.d',
      '/data',
    ),
  }),
  { maxLength: 2 },
);
export const container = raw({
  name,
  image,
  imagePullPolicy: fc.constantFrom('Always', 'IfNotPresent', 'Never'),
  env,
  envFrom: fc.array(raw({ prefix: fc.constantFrom('', 'DOCKER_') }), { maxLength: 1 }),
  volumeMounts: mounts,
  volumeDevices: fc.array(raw({ devicePath: fc.constantFrom('/opt/tool', '/dev/x') }), { maxLength: 1 }),
});
const volume = fc.oneof(
  raw({ name, image: raw({ reference: image, pullPolicy: fc.constantFrom('Always', 'Never') }) }),
  raw({
    name: fc.constantFrom('oci-connector-config', 'data'),
    csi: raw({ driver: fc.constantFrom('connectors-csi', 'x') }),
    emptyDir: fc.constant({}),
  }),
);
export const list = (item: fc.Arbitrary<unknown>) =>
  fc.array(fc.oneof({ weight: 9, arbitrary: item }, junk), { maxLength: 3 });

const spec = raw({
  containers: list(container),
  initContainers: list(container),
  ephemeralContainers: list(container),
  volumes: list(volume),
  imagePullSecrets: list(raw({ name: fc.constantFrom('oci-connector-pull', 'mine') })),
  os: rarely({ name: 'linux' }, { name: 'windows' }),
  nodeSelector: rarely({}, { 'kubernetes.io/os': 'windows' }),
});
const annotations = raw({
  'connectors.cpaas.io/connector': fc.constantFrom(
    ...[undefined, undefined, undefined, 'demo/harbor', 'hub', 'kube-public/quay', 'demo/nowhere', '//'],
  ),
  'connectors.cpaas.io/configurations': fc.constantFrom(
    'registry-config,buildkitd',
    'docker-config,dockerd,tool',
    'tool,!.env',
    'nobody',
    '!.env',
    'A,b',
    '',
  ),
  'connectors.cpaas.io/configuration-params': fc.constantFrom('{"tool":{}}', '{"tool":{"x":"y"}}', '{', '{}'),
  'connectors.cpaas.io/decision': fc.oneof(
    fc.string(),
    junk.map((images) => JSON.stringify({ version: 1, images })),
  ),
});
const labels = raw({
  'connectors.cpaas.io/proxy-inject': fc.constantFrom('true', 'true', 'true', 'true', 'false', 'x'),
});
const mirror = rarely({}, { 'kubernetes.io/config.mirror': 'hash' });
export const pod = raw({
  metadata: raw({ name, labels, annotations: fc.tuple(annotations, mirror).map(([a, m]) => ({ ...a, ...m })) }),
  spec,
});
export const namespace = fc.constantFrom(
  'demo',
  'demo',
  'demo',
  'chosen',
  'bare',
  'plain',
  'unheard-of',
  longNamespace,
);

/** Objects as lists of entries by key, so that not even a key named `__proto__` is lost in the comparison. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, child]) => [key, sorted(child)] as const);
  return { entries: entries.sort(([a], [b]) => (a < b ? -1 : 1)) };
}
