import { beforeEach, expect, it, onTestFinished } from 'vitest';
import type { OpenSealingKeys } from '../../certs/sealing-keys.ts';
import { openSharedInterception } from '../../controller/shared-interception.ts';
import { openSharedSealingKeys, type SharedSealingKeysOptions } from '../../controller/shared-sealing-keys.ts';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { requireParts } from '../real/support/parts.ts';
import { productNamespace, useControlPlane } from './control-plane.ts';
import { sharedRules } from './rules.ts';

const DAY_MS = 24 * 60 * 60_000;
const start = Date.UTC(2026, 0, 1);
const key = { namespace: productNamespace, name: 'oci-connector-sealing' };
const authorityKey = { namespace: productNamespace, name: 'oci-connector-interception' };
const onError = (error: unknown) => expect.unreachable(String(error));

requireParts(
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
)('what replicas share in Secrets', () => {
  const cluster = useControlPlane({ ownRules: sharedRules });

  beforeEach(async () => {
    for (const secret of [key, authorityKey]) await cluster.admin.delete(resources.secrets, secret);
  });

  const open = async (options: Partial<SharedSealingKeysOptions> = {}): Promise<OpenSealingKeys> => {
    const shared = { client: cluster.client, namespace: productNamespace, now: () => start, onError, ...options };
    const keys = await openSharedSealingKeys(shared);
    onTestFinished(() => keys.close());
    return keys;
  };
  const read = async (secret = key) => {
    const found = await cluster.admin.get<KubernetesObject & { data: Record<string, string> }>(
      resources.secrets,
      secret,
    );
    return Object.fromEntries(Object.entries(found?.data ?? {}).map(([name, value]) => [name, atob(value)]));
  };

  it('is one sealing key for replicas that start at once', async () => {
    const replicas = await Promise.all([1, 2, 3, 4].map(() => open()));
    expect(new Set(replicas.map(({ current }) => current.key.toString('hex'))).size).toBe(1);
    const found = await cluster.admin.get(resources.secrets, key);
    expect(found).toMatchObject({
      type: 'Opaque',
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'oci-connector' } },
    });
    expect(Object.keys(await read())).toEqual(['keys.json']);
  });

  it('is one new key where several notice that it is due, found by whoever meets it first', async () => {
    const clock = { now: start };
    const replicas = await Promise.all([1, 2, 3, 4].map(() => open({ now: () => clock.now })));
    const [late, ...others] = replicas;
    clock.now += 7 * DAY_MS;
    await Promise.all(others.map((keys) => keys.check()));
    clock.now += 10 * 60_000;
    await Promise.all(others.map((keys) => keys.check()));
    const sealing = new Set(others.map(({ current }) => current.id));
    expect(sealing.size).toBe(1);
    const [id = ''] = sealing;
    expect(late?.find(id)).toBeUndefined();
    await late?.refresh();
    expect(late?.find(id)).toBeDefined();
  });

  it('comes back when somebody has deleted it', async () => {
    const keys = await open();
    const before = await read();
    await cluster.admin.delete(resources.secrets, key);
    await keys.check();
    expect(await read()).toEqual(before);
  });

  it('is left alone where it is damaged, and the error says what to do', async () => {
    const keys = await open();
    await cluster.admin.patch(resources.secrets, key, { data: { 'keys.json': btoa('damaged') } });
    const message = /keys\.json in Secret oci-connector\/oci-connector-sealing holds no keys .* delete it/;
    await expect(keys.check()).rejects.toThrow(message);
    await expect(open()).rejects.toThrow(message);
    expect(keys.find(keys.current.id)).toBeDefined();
  });

  it('is reached under its own names only', async () => {
    await expect(open({ secretName: 'other' })).rejects.toThrow('cannot be read');
  });

  it('is one interception authority, without the keys of what it signs', async () => {
    const openAuthority = async () => {
      const shared = { client: cluster.client, namespace: productNamespace, now: () => start, onError };
      const interception = await openSharedInterception(shared);
      onTestFinished(() => interception.close());
      return interception;
    };
    const replicas = await Promise.all([1, 2, 3].map(openAuthority));
    await Promise.all(replicas.map((interception) => interception.secureContextFor('harbor.example.com')));
    expect(new Set(replicas.map(({ caBundle }) => caBundle)).size).toBe(1);
    const texts = await read(authorityKey);
    expect(Object.keys(texts).sort()).toEqual(['ca.crt', 'ca.pem']);
    expect(texts['ca.crt']).toBe(replicas[0]?.caBundle);
    await cluster.admin.delete(resources.secrets, authorityKey);
    await Promise.all(replicas.map((interception) => interception.check()));
    expect(await read(authorityKey)).toEqual(texts);
  });
});
