import fc from 'fast-check';
import jsonPatch from 'fast-json-patch';
import { expect, it } from 'vitest';
import { parseImageReference } from '../../connectors/image-reference.ts';
import type { MutationInput } from '../../webhook/mutate-pod.ts';
import { container, namespace, pod, sorted } from './arbitrary-pods.ts';
import { frozen, mutate, type Raw } from './fixtures.ts';

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
const allowedOnEphemeral = [
  /^\/spec\/ephemeralContainers\/\d+\/image$/,
  /^\/spec\/ephemeralContainers\/\d+\/(env|volumeMounts)(\/\d+)?$/,
];

const pathsAllowed = ({ operation, subresource }: Partial<MutationInput>): readonly RegExp[] =>
  operation !== 'UPDATE' ? allowed : subresource === 'ephemeralcontainers' ? allowedOnEphemeral : allowedOnUpdate;

/** What must be true of a pod that is patched, whatever it was. */
function checkPatch(before: unknown, input: Partial<MutationInput>): void {
  const text = JSON.stringify(before);
  const decision = mutate(frozen(before), input);
  expect(JSON.stringify(before)).toBe(text);
  const paths = pathsAllowed(input);
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
