import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { type KubernetesClient, openKubernetesClient } from '../../../platform/kubernetes/client.ts';
import { type EventDescription, EventRecorder } from '../../../platform/kubernetes/events.ts';
import { startInformer } from '../../../platform/kubernetes/informer.ts';
import { startLeaderElection } from '../../../platform/kubernetes/leader-election.ts';
import { type KubernetesObject, type ObjectKey, resources } from '../../../platform/kubernetes/object.ts';
import { startObjectWatches } from '../../../platform/kubernetes/object-watches.ts';
import { requestToken } from '../../../platform/kubernetes/token-request.ts';
import { type ControlPlane, startControlPlane } from '../../cluster/support/control-plane.ts';
import { requireParts } from '../../real/support/parts.ts';
import { ManualTimers } from './support/manual-timers.ts';

const { secrets, configMaps, serviceAccounts, namespaces, events, leases } = resources;

requireParts('etcd', 'kube-apiserver')('with a real API server', () => {
  let plane: ControlPlane;
  let client: KubernetesClient;

  beforeAll(async () => {
    plane = await startControlPlane();
    client = await openKubernetesClient({ kubeconfig: plane.kubeconfig });
    for (const name of ['objects', 'informed', 'named', 'tokens'])
      await client.create(namespaces, { metadata: { name } });
  });

  afterAll(async () => {
    await client?.close();
    await plane?.stop();
  });

  const patchAll = (keys: readonly ObjectKey[], patch: object) =>
    Promise.all(keys.map((key) => client.patch(secrets, key, patch)));
  const createAll = (keys: readonly ObjectKey[]) =>
    Promise.all(keys.map((metadata) => client.create(secrets, { metadata: { ...metadata } })));

  describe('the client', () => {
    const key = { namespace: 'objects', name: 'one' };

    test('creates, reads, replaces by compare-and-swap, patches and deletes', async () => {
      const created = await client.create<KubernetesObject>(configMaps, { metadata: key, data: { a: '1' } });
      await expect(client.create(configMaps, { metadata: key })).rejects.toMatchObject({ reason: 'AlreadyExists' });
      const replaced = await client.replace(configMaps, { ...created, data: { a: '2' } });
      await expect(client.replace(configMaps, created)).rejects.toMatchObject({ reason: 'Conflict' });
      expect((await client.get(configMaps, key))?.metadata.resourceVersion).toBe(replaced.metadata.resourceVersion);
      await client.patch(configMaps, key, [{ op: 'add', path: '/data/b', value: '3' }], { type: 'json' });
      const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: key, data: { c: '4' } };
      const now = await client.patch(configMaps, key, applied, { type: 'apply', fieldManager: 'test' });
      expect(now['data']).toEqual({ a: '2', b: '3', c: '4' });
      await expect(client.delete(configMaps, key, { uid: 'another' })).rejects.toMatchObject({ reason: 'Conflict' });
      await client.delete(configMaps, key, { uid: String(created.metadata.uid) });
      await client.delete(configMaps, key);
      expect(await client.get(configMaps, key)).toBeUndefined();
    });

    test('lists all pages', async () => {
      const keys = Array.from({ length: 1100 }, (_, index) => ({ namespace: 'objects', name: `s-${index}` }));
      await createAll(keys);
      const { items } = await client.list(secrets, { namespace: 'objects' });
      expect(new Set(items.map(({ metadata }) => metadata.name)).size).toBe(1100);
    });

    test('says what the server refuses', async () => {
      const invalid = client.create(configMaps, { metadata: { namespace: 'objects', name: 'Not A Name' } });
      await expect(invalid).rejects.toThrow(
        /^create configmaps objects\/Not A Name: 422 Invalid: .*a lowercase RFC 1123/,
      );
      const unknown = client.get({ apiVersion: 'nobody.example/v1', kind: 'X', plural: 'xs' }, key);
      await expect(unknown).rejects.toMatchObject({ status: 404 });
      await expect(client.create(configMaps, { metadata: { namespace: 'nowhere', name: 'a' } })).rejects.toMatchObject({
        reason: 'NotFound',
      });
    });
  });

  test('a token that was replaced in its file is used at once, and does no more than it may', async () => {
    const account = { namespace: 'tokens', name: 'reader' };
    await client.create(serviceAccounts, { metadata: account });
    const { token, expiresAt } = await requestToken(client, account, {
      ...{ audiences: [], expirationSeconds: 3600 },
    });
    expect(expiresAt).toBeGreaterThan(Date.now() + 3_500_000);
    const tokenFile = join(dirname(plane.kubeconfig), 'reader-token');
    await writeFile(tokenFile, 'a-token-of-another-time');
    await using reader = await openKubernetesClient({ kubeconfig: await kubeconfigWithToken(plane, tokenFile) });
    await expect(reader.get(secrets, { namespace: 'tokens', name: 'a' })).rejects.toMatchObject({ status: 401 });
    await writeFile(tokenFile, `${token}\n`);
    const refused = await reader
      .get(secrets, { namespace: 'tokens', name: 'a' })
      .catch((error: Error) => error.message);
    expect(refused).toMatch(/^get secrets tokens\/a: 403 Forbidden: .*system:serviceaccount:tokens:reader/);
    const { signal } = new AbortController();
    const watching = reader.watch(secrets, { namespace: 'tokens', resourceVersion: '1', signal }, () => {});
    await expect(watching).rejects.toMatchObject({ reason: 'Forbidden' });
  });

  test('events and their series are taken', async () => {
    const timers = new ManualTimers();
    const errors: unknown[] = [];
    const recorder = new EventRecorder({ client, timers, onError: (error) => errors.push(error) });
    const event: EventDescription = {
      ...{ type: 'Warning', reason: 'Tested', action: 'Test', note: 'a note', reportingController: 'example.com/test' },
      regarding: { apiVersion: 'v1', kind: 'Namespace', name: 'objects', namespace: 'objects' },
    };
    await recorder.record(event);
    await recorder.record(event);
    await timers.skip();
    const counts = async () =>
      (await client.list(events, { namespace: 'objects' })).items.map(
        (item) => (item['series'] as { count: number }).count,
      );
    await expect.poll(counts, { timeout: 10_000 }).toEqual([2]);
    expect(errors).toEqual([]);
  });

  test('an informer and 150 watches of single objects live through a restart of the API server', async () => {
    await using informer = startInformer<KubernetesObject>({ client, resource: secrets, namespace: 'informed' });
    await using watches = startObjectWatches<KubernetesObject>({ client, resource: secrets });
    const informed = Array.from({ length: 5 }, (_, index) => ({ namespace: 'informed', name: `i-${index}` }));
    const named = Array.from({ length: 150 }, (_, index) => ({ namespace: 'named', name: `n-${index}` }));
    await createAll([...informed, ...named.slice(0, 100)]);
    watches.want(named);
    const value = (object: KubernetesObject | undefined) => object?.metadata.labels?.['round'];
    const rounds = () => [
      ...informed.map((key) => value(informer.get(key))),
      ...named.map((key) => value(watches.get(key))),
    ];
    const all = (round: string) => () => new Set(rounds()).size === 1 && rounds()[0] === round;
    const label = (round: string) => ({ metadata: { labels: { round } } });

    await expect.poll(() => named.every((key) => watches.isSynced(key)), { timeout: 20_000 }).toBe(true);
    expect(named.filter((key) => watches.get(key) !== undefined).length).toBe(100);
    await createAll(named.slice(100));
    await patchAll([...informed, ...named], label('before'));
    await expect.poll(all('before'), { timeout: 20_000 }).toBe(true);

    await plane.stopApiServer();
    await expect.poll(() => named.some((key) => watches.failureOf(key) !== undefined), { timeout: 20_000 }).toBe(true);
    expect([informer.isSynced, all('before')()]).toEqual([true, true]);
    await plane.startApiServer();
    await patchAll([...informed, ...named], label('after'));
    await client.delete(secrets, { namespace: 'named', name: 'n-0' });
    await client.delete(secrets, { namespace: 'informed', name: 'i-0' });
    await expect.poll(() => new Set(rounds().slice(1, 5)), { timeout: 40_000 }).toEqual(new Set(['after']));
    await expect.poll(() => new Set(rounds().slice(6)), { timeout: 40_000 }).toEqual(new Set(['after']));
    await expect.poll(() => [rounds()[0], rounds()[5]], { timeout: 20_000 }).toEqual([undefined, undefined]);
  }, 120_000);

  test('a leader that goes hands over, and one that is cut off is replaced', async () => {
    const started: string[] = [];
    const candidate = (identity: string, own: KubernetesClient) =>
      startLeaderElection({
        ...{ client: own, namespace: 'objects', name: 'lease', identity, leaseMs: 3000, renewMs: 2000, retryMs: 200 },
        onStarted: () => void started.push(identity),
      });
    const lost = await openKubernetesClient({ kubeconfig: plane.kubeconfig });
    const first = candidate('first', client);
    await expect.poll(() => started, { timeout: 10_000 }).toEqual(['first']);
    const second = candidate('second', lost);
    await expect.poll(() => second.leader, { timeout: 10_000 }).toBe('first');
    await first.close();
    await expect.poll(() => started, { timeout: 10_000 }).toEqual(['first', 'second']);
    await using third = candidate('third', client);
    await lost.close();
    await expect.poll(() => started, { timeout: 20_000 }).toEqual(['first', 'second', 'third']);
    expect([second.isLeader, third.isLeader]).toEqual([false, true]);
    await second.close();
    const lease = await client.get(leases, { namespace: 'objects', name: 'lease' });
    expect(lease?.['spec']).toMatchObject({ holderIdentity: 'third', leaseTransitions: 2 });
  }, 60_000);
});

/** The cluster of the control plane, with the token in `tokenFile` in place of the administrator. */
async function kubeconfigWithToken(plane: ControlPlane, tokenFile: string): Promise<string> {
  const config = parse(await readFile(plane.kubeconfig, 'utf8'));
  config.users[0].user = { 'token-file': tokenFile };
  const file = join(dirname(plane.kubeconfig), 'token.kubeconfig');
  await writeFile(file, stringify(config));
  return file;
}
