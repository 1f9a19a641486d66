import fc from 'fast-check';
import jsonPatch from 'fast-json-patch';
import { expect, it } from 'vitest';
import { parseImageReference } from '../../connectors/image-reference.ts';
import type { MutationInput } from '../../webhook/mutate-pod.ts';
import { frozen, longNamespace, mutate, type Raw } from './fixtures.ts';

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

const env = fc.array(raw({ name: fc.constantFrom('DOCKER_CONFIG', 'REGISTRY_AUTH_FILE', 'X'), value: fc.string() }), {
  maxLength: 2,
});
const mounts = fc.array(
  raw({
    name: fc.constantFrom('oci-connector-config', 'data'),
    mountPath: fc.constantFrom(
      '/etc/connectors/harbor',
      '/etc/connectors/hub/',
      '/etc/connectors/quay/x',
      '/etc',
      '/data',
    ),
  }),
  { maxLength: 2 },
);
const container = raw({
  name,
  image,
  imagePullPolicy: fc.constantFrom('Always', 'IfNotPresent', 'Never'),
  env,
  volumeMounts: mounts,
});
const volume = fc.oneof(
  raw({ name, image: raw({ reference: image, pullPolicy: fc.constantFrom('Always', 'Never') }) }),
  raw({
    name: fc.constantFrom('oci-connector-config', 'data'),
    csi: raw({ driver: fc.constantFrom('connectors-csi', 'x') }),
    emptyDir: fc.constant({}),
  }),
);
const list = (item: fc.Arbitrary<unknown>) =>
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
    'docker-config',
    '!.env',
    'A,b',
    '',
  ),
  'connectors.cpaas.io/decision': fc.oneof(
    fc.string(),
    junk.map((images) => JSON.stringify({ version: 1, images })),
  ),
});
const labels = raw({
  'connectors.cpaas.io/proxy-inject': fc.constantFrom('true', 'true', 'true', 'true', 'false', 'x'),
});
const mirror = rarely({}, { 'kubernetes.io/config.mirror': 'hash' });
const pod = raw({
  metadata: raw({ name, labels, annotations: fc.tuple(annotations, mirror).map(([a, m]) => ({ ...a, ...m })) }),
  spec,
});
const namespace = fc.constantFrom('demo', 'demo', 'demo', 'chosen', 'bare', 'plain', 'unheard-of', longNamespace);

const allowed = [
  /^\/metadata\/annotations$/,
  /^\/metadata\/annotations\/connectors\.cpaas\.io~1decision$/,
  /^\/spec\/(containers|initContainers|ephemeralContainers)\/\d+\/image$/,
  /^\/spec\/volumes\/\d+\/image\/reference$/,
  /^\/spec\/imagePullSecrets(\/\d+)?$/,
  /^\/spec\/volumes(\/\d+)?$/,
  /^\/spec\/(containers|initContainers)\/\d+\/(env|volumeMounts)(\/\d+)?$/,
];
const allowedOnUpdate = allowed.slice(2, 4);

/** What must be true of a pod that is patched, whatever it was. */
function checkPatch(before: unknown, input: Partial<MutationInput>): void {
  const text = JSON.stringify(before);
  const decision = mutate(frozen(before), input);
  expect(JSON.stringify(before)).toBe(text);
  const paths = input.operation === 'UPDATE' ? allowedOnUpdate : allowed;
  for (const { op, path } of decision.patch) {
    expect(['add', 'replace']).toContain(op);
    expect(paths.some((pattern) => pattern.test(path))).toBe(true);
  }
  const applied = jsonPatch.applyPatch(
    JSON.parse(text),
    decision.patch.map((operation) => ({ ...operation })),
    true,
  ).newDocument;
  expect(JSON.stringify(sorted(applied))).toBe(JSON.stringify(sorted(decision.pod)));
  if (decision.patch.length === 0) expect(sorted(decision.pod)).toEqual(sorted(before));
  for (const { original, rewritten, reason } of decision.images) {
    expect(rewritten !== undefined).toBe(reason === 'Rewritten');
    if (rewritten !== undefined) checkRewriting(original, rewritten);
  }
  for (const warning of decision.warnings) expect(warning).toMatch(/^[\x20-\x7e]{1,255}$/);
}

function checkRewriting(original: string, rewritten: string): void {
  const [from, to] = [parseImageReference(original), parseImageReference(rewritten)];
  if (!from.ok || !to.ok) throw new Error('an image that is none was rewritten');
  expect(to.reference.suffix).toBe(from.reference.suffix);
  expect(rewritten.startsWith('localhost:7450/namespaces/')).toBe(true);
  expect(to.reference.path.endsWith(`/${from.reference.path}`)).toBe(true);
}

/** Objects as lists of entries by key, so that not even a key named `__proto__` is lost in the comparison. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, child]) => [key, sorted(child)] as const);
  return { entries: entries.sort(([a], [b]) => (a < b ? -1 : 1)) };
}

it('patches nothing but what it may, and the patch makes exactly the pod that was decided on', () => {
  fc.assert(
    fc.property(pod, namespace, (before, ns) => checkPatch(before, { namespace: ns })),
    { numRuns: 1000 },
  );
});

it('patches images only on updates', () => {
  const subresource = fc.constantFrom('', 'ephemeralcontainers', 'status');
  fc.assert(
    fc.property(pod, pod, namespace, subresource, (before, oldPod, ns, sub) =>
      checkPatch(before, { oldPod, operation: 'UPDATE', subresource: sub, namespace: ns }),
    ),
    { numRuns: 500 },
  );
});

it('decides the same the second time: twice is once, byte for byte', () => {
  fc.assert(
    fc.property(pod, namespace, (before, ns) => {
      const once = mutate(before, { namespace: ns });
      const twice = mutate(once.pod, { namespace: ns });
      expect(twice.patch).toEqual([]);
      expect(JSON.stringify(twice.pod)).toBe(JSON.stringify(once.pod));
    }),
    { numRuns: 1000 },
  );
});

it('settles after another webhook has added a container', () => {
  fc.assert(
    fc.property(pod, container, fc.nat(3), (before, added, index) => {
      const once = mutate(before).pod as { spec?: { containers?: unknown } };
      const containers = once.spec?.containers;
      if (!Array.isArray(containers)) return;
      const meddled = { ...once, spec: { ...once.spec, containers: containers.toSpliced(index, 0, added) } };
      const twice = mutate(meddled).pod;
      expect(JSON.stringify(mutate(twice).pod)).toBe(JSON.stringify(twice));
    }),
    { numRuns: 500 },
  );
});

it('never touches a pod that has not opted in', () => {
  fc.assert(
    fc.property(pod, fc.constantFrom('plain', 'unheard-of'), (before, ns) => {
      const own = (before['metadata'] as { labels?: Raw } | null | undefined)?.labels?.[
        'connectors.cpaas.io/proxy-inject'
      ];
      fc.pre(own !== 'true');
      const decision = mutate(before, { namespace: ns });
      expect(decision.pod).toBe(before);
      expect(decision.patch).toEqual([]);
    }),
  );
});

it('takes any JSON for a pod', () => {
  fc.assert(fc.property(fc.jsonValue(), namespace, (before, ns) => checkPatch(before, { namespace: ns })));
});
