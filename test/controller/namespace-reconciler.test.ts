import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { expect, it, onTestFinished } from 'vitest';
import { optIn } from '../../controller/namespace-opt-in.ts';
import { type NamespaceReconcilerOptions, startNamespaceReconciler } from '../../controller/namespace-reconciler.ts';
import type { KubernetesClient } from '../../platform/kubernetes/client.ts';
import { EventRecorder } from '../../platform/kubernetes/events.ts';
import { startInformer } from '../../platform/kubernetes/informer.ts';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { requireParts } from '../real/support/parts.ts';
import { eventually, productNamespace, useControlPlane } from './control-plane.ts';
import { namespaceRules } from './rules.ts';
import { log } from './silent-log.ts';

const MINUTE_MS = 60_000;
const label = 'connectors.cpaas.io/proxy-inject';

interface Secret extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

requireParts(
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
)('namespaces that opt in', () => {
  const cluster = useControlPlane({ rules: namespaceRules });
  let count = 0;

  const objects = {
    account: { resource: resources.serviceAccounts, name: 'oci-connector-puller' },
    roleBinding: { resource: resources.roleBindings, name: 'oci-connector-puller' },
    secret: { resource: resources.secrets, name: 'oci-connector-pull' },
  };
  type Name = keyof typeof objects;
  const names = Object.keys(objects) as Name[];
  const keyIn = (namespace: string, name: Name) => ({ namespace, name: objects[name].name });
  const read = (namespace: string, name: Name) =>
    cluster.admin.get<Secret>(objects[name].resource, keyIn(namespace, name));
  const present = async (namespace: string) => {
    const found = await Promise.all(names.map((name) => read(namespace, name)));
    return names.filter((_, i) => found[i] !== undefined);
  };
  const versions = async (namespace: string) =>
    Promise.all(names.map(async (name) => (await read(namespace, name))?.metadata.resourceVersion));

  /** A namespace of its own for a test, opted in unless `value` says otherwise. */
  const createNamespace = async (value: string | undefined = 'true') => {
    count += 1;
    const name = `demo-${count}`;
    await cluster.admin.create(resources.namespaces, { metadata: { name, labels: { [label]: value } } });
    return name;
  };
  const setLabel = (name: string, value: string | null) =>
    cluster.admin.patch(resources.namespaces, { name }, { metadata: { labels: { [label]: value } } });

  /** The reconciler of a leader; what it complains of fails the test, unless a listener takes it. */
  const start = async (options: Partial<NamespaceReconcilerOptions> = {}) => {
    const { client } = cluster;
    const leadership = new AbortController();
    const namespaces = startInformer<KubernetesObject>({ client, resource: resources.namespaces });
    const reconciler = startNamespaceReconciler({
      events: new EventRecorder({ client }),
      ...{ client, namespaces, ownNamespace: productNamespace, signal: leadership.signal },
      log,
      settings: { imageHost: 'localhost:7450', pullIdentity: 'secret' },
      ...options,
    });
    const stop = async () => {
      leadership.abort();
      await reconciler.close();
      await namespaces.close();
    };
    onTestFinished(stop);
    return { sweep: reconciler.sweep, stop };
  };

  const passwordOf = (secret: Secret | undefined): string | undefined => {
    const content = JSON.parse(atob(secret?.data?.['.dockerconfigjson'] ?? 'e30='));
    return content.auths?.['localhost:7450']?.password;
  };
  /** The pull secret once it has a token, other than `before`. */
  const filled = async (namespace: string, before?: string) => {
    const isSo = (secret: Secret | undefined) => ![undefined, before].includes(passwordOf(secret));
    const secret = await eventually(() => read(namespace, 'secret'), isSo);
    return { uid: secret?.metadata.uid, token: passwordOf(secret) ?? '', secret };
  };
  const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  const review = async (token: string, audience = 'oci-connector') => {
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [audience] },
    };
    const path = '/apis/authentication.k8s.io/v1/tokenreviews';
    const { status } = await cluster.admin.post<{ status: { authenticated?: boolean } }>(path, body);
    return status;
  };
  const mayPull = async (user: string, groups: readonly string[], namespace: string) => {
    const resourceAttributes = { ...{ group: 'connectors.alauda.io', resource: 'connectors', subresource: 'proxy' } };
    const spec = {
      user,
      groups,
      resourceAttributes: { ...resourceAttributes, verb: 'get', namespace, name: 'harbor' },
    };
    const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    return (await cluster.admin.post<{ status: { allowed: boolean } }>(path, body)).status.allowed;
  };
  const eventsIn = async (namespace: string) => (await cluster.admin.list(resources.events, { namespace })).items;

  const createPullerRole = () =>
    cluster.admin.patch(
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', plural: 'clusterroles' },
      { name: 'connector-puller' },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name: 'connector-puller' },
        rules: [{ apiGroups: ['connectors.alauda.io'], resources: ['connectors/proxy'], verbs: ['get'] }],
      },
      { type: 'apply', fieldManager: 'chart', force: true },
    );

  it('get an account, a role binding, and a pull secret whose token says who pulls', async () => {
    const namespace = await createNamespace();
    await start();
    const { token, secret } = await filled(namespace);
    expect(secret).toMatchObject({ type: 'kubernetes.io/dockerconfigjson' });
    expect(await present(namespace)).toEqual(names);
    expect(await review(token)).toMatchObject({
      authenticated: true,
      audiences: ['oci-connector'],
      user: { username: `system:serviceaccount:${namespace}:oci-connector-puller` },
    });
    expect(claimsOf(token)['kubernetes.io'].secret).toEqual({ name: 'oci-connector-pull', uid: secret?.metadata.uid });
    const { iat, exp } = claimsOf(token);
    expect(exp - iat).toBe(3600);
    expect(secret?.metadata.annotations?.['connectors.cpaas.io/token-expires-at']).toBe(
      new Date(exp * 1000).toISOString(),
    );
  });

  it('get a token that the API server itself refuses', async () => {
    const namespace = await createNamespace();
    await start();
    const { token } = await filled(namespace);
    const ca = Buffer.from(
      JSON.parse(await readFile(cluster.plane.kubeconfig, 'utf8')).clusters[0].cluster['certificate-authority-data'],
      'base64',
    );
    const dispatcher = new Agent({ connect: { ca } });
    onTestFinished(() => dispatcher.close());
    const headers = { authorization: `Bearer ${token}` };
    const answer = await request(`${cluster.plane.url}/api`, { dispatcher, headers });
    await answer.body.dump();
    expect(answer.statusCode).toBe(401);
  });

  it('let all their accounts pull through their own connectors, and nobody else', async () => {
    const [namespace, other] = [await createNamespace(), await createNamespace('false')];
    await createPullerRole();
    await start();
    await filled(namespace);
    const groupOf = (name: string) => [`system:serviceaccounts:${name}`, 'system:serviceaccounts'];
    await expect.poll(() => mayPull('anybody', groupOf(namespace), namespace)).toBe(true);
    expect(await mayPull('anybody', groupOf(other), namespace)).toBe(false);
    expect(await mayPull('anybody', groupOf(namespace), other)).toBe(false);
  });

  it('lose what is ours, and nothing else, when the label goes', async () => {
    const namespace = await createNamespace();
    const other = { metadata: { namespace, name: 'other' } };
    await cluster.admin.create(resources.serviceAccounts, other);
    await start();
    await filled(namespace);
    await setLabel(namespace, null);
    await expect.poll(() => present(namespace)).toEqual([]);
    expect(await cluster.admin.get(resources.serviceAccounts, { namespace, name: 'other' })).toBeDefined();
    await setLabel(namespace, 'true');
    await filled(namespace);
  });

  it('lose it too when the label went while nobody led', async () => {
    const namespace = await createNamespace();
    const { stop } = await start();
    await filled(namespace);
    await stop();
    await setLabel(namespace, 'false');
    expect(await present(namespace)).toEqual(names);
    await start();
    await expect.poll(() => present(namespace)).toEqual([]);
  });

  it('are left as they are by the next leader', async () => {
    const [namespace, later] = [await createNamespace(), await createNamespace('false')];
    const { stop } = await start();
    await filled(namespace);
    await stop();
    const before = await versions(namespace);
    await start();
    await setLabel(later, 'true');
    await filled(later);
    expect(await versions(namespace)).toEqual(before);
  });

  it('get another token in the same Secret before the old one expires, and not earlier', async () => {
    const clock = { aheadMs: 0 };
    const namespace = await createNamespace();
    const { sweep } = await start({ now: () => Date.now() + clock.aheadMs });
    const before = await filled(namespace);
    await expect.poll(async () => (await read(namespace, 'secret'))?.metadata.uid).toBe(before.uid);

    clock.aheadMs = 41 * MINUTE_MS;
    sweep();
    // Somebody else's turn comes after all that was asked for earlier.
    await filled(await createNamespace());
    expect(passwordOf(await read(namespace, 'secret'))).toBe(before.token);

    clock.aheadMs = 48.1 * MINUTE_MS;
    const after = await eventually(
      async () => {
        sweep();
        return read(namespace, 'secret');
      },
      (secret) => passwordOf(secret) !== before.token,
    );
    expect(after?.metadata.uid).toBe(before.uid);
    expect(await review(before.token)).toMatchObject({ authenticated: true });
    expect(await review(passwordOf(after) ?? '')).toMatchObject({ authenticated: true });
  });

  it('get the Secret again when it was deleted, and the token that it held is worth nothing', async () => {
    const namespace = await createNamespace();
    await start();
    const before = await filled(namespace);
    await cluster.admin.delete(resources.secrets, keyIn(namespace, 'secret'));
    const after = await filled(namespace, before.token);
    expect(after.uid).not.toBe(before.uid);
    await expect.poll(async () => (await review(before.token)).authenticated ?? false, { timeout: 15_000 }).toBe(false);
    expect(await review(after.token)).toMatchObject({ authenticated: true });
  });

  it.each<{ what: string; name: Name; change: object }>([
    { what: 'content', name: 'secret', change: { data: { '.dockerconfigjson': btoa('{"auths":{}}') } } },
    {
      what: 'digest',
      name: 'secret',
      change: { metadata: { annotations: { 'connectors.cpaas.io/content-sha256': '' } } },
    },
  ])('get a token in place when somebody has edited the $what of their Secret', async ({ name, change }) => {
    const namespace = await createNamespace();
    await start();
    const before = await filled(namespace);
    await cluster.admin.patch(objects[name].resource, keyIn(namespace, name), change);
    const after = await filled(namespace, before.token);
    expect(after.uid).toBe(before.uid);
  });

  it('get a token of the new account when the old one was deleted', async () => {
    const namespace = await createNamespace();
    await start();
    const before = await filled(namespace);
    await cluster.admin.delete(resources.serviceAccounts, keyIn(namespace, 'account'));
    const after = await filled(namespace, before.token);
    expect(after.uid).toBe(before.uid);
    const account = await read(namespace, 'account');
    expect(claimsOf(after.token)['kubernetes.io'].serviceaccount.uid).toBe(account?.metadata.uid);
    expect(await review(after.token)).toMatchObject({ authenticated: true });
  });

  it('have their account and role binding repaired', async () => {
    const namespace = await createNamespace();
    await start();
    await filled(namespace);
    const subjects = [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'system:serviceaccounts' }];
    await cluster.admin.patch(resources.roleBindings, keyIn(namespace, 'roleBinding'), { subjects });
    await cluster.admin.patch(resources.serviceAccounts, keyIn(namespace, 'account'), {
      automountServiceAccountToken: true,
    });
    await expect
      .poll(() => read(namespace, 'roleBinding'))
      .toMatchObject({ subjects: [{ name: `system:serviceaccounts:${namespace}` }] });
    await expect.poll(() => read(namespace, 'account')).toMatchObject({ automountServiceAccountToken: false });
  });

  it('get a role binding in the place of one of ours that binds another role', async () => {
    const namespace = await createNamespace();
    const labels = { 'app.kubernetes.io/managed-by': 'oci-connector' };
    await cluster.admin.create(resources.roleBindings, {
      metadata: { ...keyIn(namespace, 'roleBinding'), labels },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [],
    });
    await start();
    await expect.poll(() => read(namespace, 'roleBinding')).toMatchObject({ roleRef: { name: 'connector-puller' } });
  });

  it.each<{ name: Name; foreign: object; others: Name[] }>([
    {
      name: 'secret',
      foreign: { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': btoa('{"auths":{"x":{}}}') } },
      others: ['account', 'roleBinding'],
    },
    { name: 'secret', foreign: { type: 'Opaque', data: { other: btoa('x') } }, others: ['account', 'roleBinding'] },
    { name: 'account', foreign: {}, others: ['roleBinding'] },
    {
      name: 'roleBinding',
      foreign: { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' } },
      others: ['account', 'secret'],
    },
  ])('keep a foreign $name with an Event that says what to do, and get ours once it is gone', async (table) => {
    const { name, foreign, others } = table;
    const { resource } = objects[name];
    const namespace = await createNamespace('false');
    const metadata = { ...keyIn(namespace, name), labels: { 'app.kubernetes.io/managed-by': 'somebody' } };
    const before = await cluster.admin.create<KubernetesObject>(resource, { metadata, ...foreign });
    await start();
    await setLabel(namespace, 'true');
    await expect.poll(() => eventsIn(namespace)).toHaveLength(1);
    const [event] = await eventsIn(namespace);
    expect(event).toMatchObject({ type: 'Warning', reason: `Foreign${resource.kind}` });
    expect(event?.['note']).toContain('delete it');
    await expect.poll(() => present(namespace)).toEqual(names.filter((n) => n === name || others.includes(n)));
    expect((await read(namespace, name))?.metadata.resourceVersion).toBe(before.metadata.resourceVersion);

    await cluster.admin.delete(resource, keyIn(namespace, name));
    await filled(namespace);
    await expect.poll(() => present(namespace)).toEqual(names);
  });

  it('are told by an Event what the API server has against it', async () => {
    const namespace = await createNamespace();
    // The role is one that the controller may not give away.
    await start({ settings: { imageHost: 'localhost:7450', pullIdentity: 'secret', clusterRole: 'cluster-admin' } });
    await expect.poll(() => eventsIn(namespace), { timeout: 10_000 }).toHaveLength(1);
    const [event] = await eventsIn(namespace);
    expect(event).toMatchObject({ reason: 'OptInFailed', regarding: { kind: 'Namespace', name: namespace } });
    expect(event?.['note']).toContain('oci-connector-puller');
  });

  it('keep a foreign Secret that came between our look and our write', async () => {
    const namespace = await createNamespace();
    const data = { '.dockerconfigjson': btoa('{"auths":{"x":{}}}') };
    const metadata = keyIn(namespace, 'secret');
    const secret = { metadata, type: 'kubernetes.io/dockerconfigjson', data } satisfies KubernetesObject;
    const before = await cluster.admin.create<KubernetesObject>(resources.secrets, secret);
    const client = blindTo(cluster.client, 'Secret');
    const nothing = () => undefined;
    const racing = optIn(
      {
        ...{ client, now: Date.now, signal: AbortSignal.timeout(20_000), onRenewal: nothing },
        settings: {
          ...{ imageHost: 'localhost:7450', pullIdentity: 'secret', audience: 'oci-connector', tokenSeconds: 3600 },
          clusterRole: 'connector-puller',
        },
        seen: { account: nothing, roleBinding: nothing, pullSecret: nothing },
        onForeign: () => expect.unreachable(),
      },
      namespace,
    );
    await expect(racing).rejects.toMatchObject({ status: 409 });
    expect((await read(namespace, 'secret'))?.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });

  it('keep a foreign Secret when they opt out', async () => {
    const namespace = await createNamespace();
    await cluster.admin.create(resources.secrets, { metadata: keyIn(namespace, 'secret') });
    await start();
    await expect.poll(() => present(namespace)).toEqual(names);
    await setLabel(namespace, null);
    await expect.poll(() => present(namespace)).toEqual(['secret']);
  });

  it('need neither Secret nor account where the kubelet identifies its pods, and lose those that they have', async () => {
    const [namespace, later] = [await createNamespace(), await createNamespace('false')];
    const { stop } = await start();
    await filled(namespace);
    await stop();
    await start({ settings: { imageHost: 'localhost:7450', pullIdentity: 'kubelet' } });
    await expect.poll(() => present(namespace)).toEqual(['roleBinding']);
    await setLabel(later, 'true');
    await expect.poll(() => present(later)).toEqual(['roleBinding']);
  });

  it('get a token for another image host when that setting has changed', async () => {
    const namespace = await createNamespace();
    const { stop } = await start();
    const { uid } = await filled(namespace);
    await stop();
    await start({ settings: { imageHost: 'localhost:5000', pullIdentity: 'secret' } });
    await expect
      .poll(async () =>
        Object.keys(JSON.parse(atob((await read(namespace, 'secret'))?.data?.['.dockerconfigjson'] ?? '')).auths),
      )
      .toEqual(['localhost:5000']);
    expect((await read(namespace, 'secret'))?.metadata.uid).toBe(uid);
  });

  it('are never the product itself, kube-system, or a namespace that ends', async () => {
    const ending = await createNamespace();
    // A finalizer of an object in it keeps the namespace.
    const metadata = { namespace: ending, name: 'kept', finalizers: ['example.com/test'] };
    await cluster.admin.create(resources.configMaps, { metadata });
    onTestFinished(async () => {
      await cluster.admin.patch(
        resources.configMaps,
        { namespace: ending, name: 'kept' },
        { metadata: { finalizers: null } },
      );
      await Promise.all([setLabel('kube-system', null), setLabel(productNamespace, null)]);
    });
    await cluster.admin.delete(resources.namespaces, { name: ending });
    await Promise.all([setLabel('kube-system', 'true'), setLabel(productNamespace, 'true')]);
    const namespace = await createNamespace();
    await start({ concurrency: 1 });
    await filled(namespace);
    for (const name of [ending, 'kube-system', productNamespace]) expect(await present(name)).toEqual([]);
  });

  it('are left alone once the leadership has ended', async () => {
    const { stop } = await start();
    await stop();
    const namespace = await createNamespace();
    const { stop: stopAgain } = await start({ signal: AbortSignal.abort() });
    await stopAgain();
    expect(await present(namespace)).toEqual([]);
  });
});

/** A client that sees no object of this kind: as if each was made just after the look. */
function blindTo(client: KubernetesClient, kind: string): KubernetesClient {
  const get: KubernetesClient['get'] = (resource, key) =>
    resource.kind === kind ? Promise.resolve(undefined) : client.get(resource, key);
  return new Proxy(client, {
    get: (target, property: keyof KubernetesClient) => {
      const value = property === 'get' ? get : target[property];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
