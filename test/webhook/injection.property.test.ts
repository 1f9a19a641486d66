import fc from 'fast-check';
import { expect, it } from 'vitest';
import { container, list, namespace, pod, sorted } from './arbitrary-pods.ts';
import { at, mutate, type Raw } from './fixtures.ts';

/** Containers are as they were but for images, and for variables and mounts of ours behind their own. */
function checkKept(before: unknown, after: unknown): void {
  const [old, young] = [before, after].map((pod) => (pod as { spec?: Raw } | undefined)?.spec);
  if (old === undefined || old === null || young === undefined) return;
  for (const list of ['containers', 'initContainers', 'ephemeralContainers']) {
    if (!Array.isArray(old[list])) continue;
    for (const [index, container] of old[list].entries()) {
      const now = (young[list] as Raw[])[index];
      for (const field of ['env', 'volumeMounts']) checkBegins(container?.[field], now?.[field]);
      const rest = (value: Raw) => ({ ...value, image: 0, env: 0, volumeMounts: 0 });
      expect(sorted(rest(now as Raw))).toEqual(sorted(rest(container)));
    }
  }
  const volumes = old['volumes'];
  if (Array.isArray(volumes)) checkVolumes(volumes, young['volumes'] as unknown[]);
}

/** Volumes of the pod's own stay in their places, but for the image of those that have one. */
function checkVolumes(before: readonly unknown[], after: readonly unknown[]): void {
  expect(after.length - before.length).toBeLessThanOrEqual(1);
  for (const [index, volume] of before.entries()) {
    if (!(volume as Raw | null)?.['image']) expect(sorted(after[index])).toEqual(sorted(volume));
  }
}

/** A list that was there is still there, with more behind it at most. */
function checkBegins(before: unknown, after: unknown): void {
  if (!Array.isArray(before)) {
    if (before !== undefined && before !== null) expect(after).toEqual(before);
    return;
  }
  expect((after as unknown[]).slice(0, before.length)).toEqual(before);
  const names = before.map((item) => item?.name);
  for (const { name: added, mountPath } of (after as Raw[]).slice(before.length)) {
    if (mountPath === undefined) expect(names).not.toContain(added);
    else expect(added).toBe('oci-connector-config');
  }
}

it('only adds: mounts, variables and everything else of the containers are as they were', () => {
  fc.assert(
    fc.property(pod, namespace, (before, ns) => checkKept(before, mutate(before, { namespace: ns }).pod)),
    { numRuns: 400 },
  );
});

it('adds to new ephemeral containers only, and twice is once', () => {
  fc.assert(
    fc.property(pod, list(container), namespace, (before, added, ns) => {
      const oldPod = mutate(before, { namespace: ns }).pod as { spec?: Raw };
      const present = oldPod.spec?.['ephemeralContainers'];
      const ephemeralContainers = [...(Array.isArray(present) ? present : []), ...added];
      const asked = { ...oldPod, spec: { ...oldPod.spec, ephemeralContainers } };
      const input = { oldPod, operation: 'UPDATE', subresource: 'ephemeralcontainers', namespace: ns } as const;
      const decision = mutate(asked, input);
      for (const { op, path } of decision.patch) {
        expect(['add', 'replace']).toContain(op);
        expect(path).toMatch(/^\/spec\/ephemeralContainers\/\d+\/(image|(env|volumeMounts)(\/\d+)?)$/);
      }
      const once = decision.pod;
      checkKept(asked, once);
      expect(JSON.stringify(mutate(once, input).pod)).toBe(JSON.stringify(once));
    }),
    { numRuns: 400 },
  );
});

it('is seen at work by these pods', () => {
  const pods = fc.sample(pod, { numRuns: 300, seed: 1 });
  const places = ['spec.containers.0', 'spec.initContainers.0'];
  const equipped = pods.filter((before) => {
    const after = mutate(before).pod;
    return places.some(
      (place) => JSON.stringify(at(after, `${place}.env`)) !== JSON.stringify(at(before, `${place}.env`)),
    );
  });
  expect(equipped.length).toBeGreaterThan(10);
});
