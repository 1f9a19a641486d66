import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { makeBusyboxImage } from './support/image-archive.ts';
import { type Authentication, type PrivateRegistry, startPrivateRegistry } from './support/private-registry.ts';
import { productIsReady, productNamespace, productParts } from './support/product.ts';
import { PullLoop } from './support/pull-loop.ts';
import { waitUntil } from './support/readiness.ts';
import { requireCluster } from './support/require-cluster.ts';
import {
  conditionBecomes,
  connectorName,
  connectorTo,
  credential,
  eventSays,
  eventsOf,
  isReady,
  namespace,
  openScene,
  podOf,
  productPods,
  pullThroughAgent,
  runs,
  type Scene,
} from './support/scene.ts';

requireCluster(
  '2',
  'registry',
  'crane',
  'skopeo',
  ...productParts,
)('the product among failures', () => {
  let scene: Scene;
  let loop: PullLoop | undefined;

  beforeAll(async () => {
    scene = await openScene('2');
  }, 300_000);

  afterEach(async () => {
    await loop?.stop();
    loop = undefined;
  });

  afterAll(async () => {
    await scene?.close();
  });

  /** Pulls through the agent, one after the other, until it is stopped. */
  async function pullAgainAndAgain(
    options: { connector?: string; registry?: PrivateRegistry } = {},
  ): Promise<PullLoop> {
    const { connector = connectorName, registry = scene.registry } = options;
    const image = await makeBusyboxImage({ seed: 'again and again' });
    await registry.push('private/loop:v1', image);
    const token = await scene.pullToken();
    loop = new PullLoop(image, (path) => pullThroughAgent(`private/loop/${path}`, token, { connector }));
    await loop.pulled(1);
    return loop;
  }

  const kubectl = (...args: string[]) => scene.cluster.kubectl(args);
  const kill = (pod: string) =>
    kubectl('delete', 'pod', '-n', productNamespace, pod, '--grace-period=0', '--force', '--wait=false');
  const setPassword = (password: string) =>
    scene.apply(...connectorTo(scene.registry.origin, { namespace, name: connectorName }, { ...credential, password }));

  /**
   * Has Kubernetes' own components begin anew. After an outage client-go looks for the API server up to a minute apart,
   * for each kind of object by itself: a Deployment that is scaled, its pods and their end would be seen one after the
   * other, minutes later.
   */
  async function followApiServer(): Promise<void> {
    const components = ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'] as const;
    await Promise.all(components.map((name) => scene.cluster.restart(name)));
  }

  async function leader(): Promise<string> {
    const holder = '--output=jsonpath={.spec.holderIdentity}';
    return kubectl('get', 'lease', '-n', productNamespace, 'oci-connector-controller', holder);
  }

  test.each<Authentication>(['basic', 'wide tokens'])(
    'a registry with %s is pulled from through the centre',
    async (authentication) => {
      const name = authentication.replace(' ', '-');
      const registry = await startPrivateRegistry(scene.cluster.bridgeAddress, credential, authentication);
      try {
        const image = await registry.push('private/app:v1', await makeBusyboxImage({ seed: authentication }));
        await scene.apply(...connectorTo(registry.origin, { namespace, name }));
        await isReady(scene.cluster, namespace, name);
        await scene.apply(podOf(name, image));
        await runs(scene, name);
        const seen = await registry.registry.requests();
        expect(seen.some(({ uri }) => uri.includes('/private/app/blobs/'))).toBe(true);
      } finally {
        await kubectl('delete', 'connector', '-n', namespace, name);
        await registry.close();
      }
    },
    60_000,
  );

  test('a wrong credential is told by conditions, Events and the pod, and a right one is used within a minute', async () => {
    const image = await scene.freshImage('private/rotated');
    await setPassword('wrong-canary-of-the-registry');
    const message = await conditionBecomes(scene, connectorName, {
      type: 'AuthReady',
      status: 'False',
      reason: 'CredentialRefused',
    });
    expect(message).not.toContain('canary');
    await eventSays(scene, connectorName, /AuthReady is False/);
    await scene.apply(podOf('rotated', image));
    await eventSays(scene, 'rotated', new RegExp(`connector ${namespace}/${connectorName}`));
    expect(await eventsOf(scene, 'rotated')).not.toContain('canary');
    const startedAt = performance.now();
    await setPassword(credential.password);
    await scene.cluster.kubectl(['delete', 'pod', '-n', namespace, 'rotated']);
    await scene.apply(podOf('rotated', image));
    await runs(scene, 'rotated');
    expect(performance.now() - startedAt).toBeLessThan(60_000);
    await isReady(scene.cluster, namespace, connectorName);
  }, 120_000);

  test('a credential that changes, and a connector that goes, are followed within 60 s without a restart', async () => {
    const before = await Promise.all([productPods(scene, 'controller'), productPods(scene, 'node')]);
    await scene.apply(...connectorTo(scene.registry.origin, { namespace, name: 'passing' }));
    await isReady(scene.cluster, namespace, 'passing');
    const token = await scene.pullToken();
    const image = await makeBusyboxImage({ seed: 'passing' });
    await scene.registry.push('private/passing:v1', image);
    const status = async () =>
      (await pullThroughAgent('private/passing/manifests/v1', token, { connector: 'passing' })).status;
    expect(await status()).toBe(200);
    await kubectl('delete', 'connector', '-n', namespace, 'passing');
    const isGone = async () => (await status()) === 404;
    await waitUntil({ what: 'the agent refuses a connector that is gone', isReady: isGone, timeoutMs: 60_000 });
    expect(await Promise.all([productPods(scene, 'controller'), productPods(scene, 'node')])).toEqual(before);
  }, 120_000);

  test('a kubelet that starts again pulls on', async () => {
    await scene.cluster.restart('kubelet');
    await scene.apply(podOf('after-kubelet', await scene.freshImage()));
    await runs(scene, 'after-kubelet');
  }, 120_000);

  test('a replica of the centre that is killed costs no pull, and the leader is replaced in less than 20 s', async () => {
    const pulls = await pullAgainAndAgain();
    const before = await leader();
    const startedAt = performance.now();
    await kill(before);
    await waitUntil({ what: 'another replica leads', isReady: async () => ![before, ''].includes(await leader()) });
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    await pulls.pulled(3);
    await productIsReady(scene.cluster);
    expect(pulls.failures).toEqual([]);
  }, 120_000);

  test('a relayed pull goes on when the replica that relays it is killed', async () => {
    const registry = await startPrivateRegistry(scene.cluster.bridgeAddress, credential, 'basic');
    try {
      await scene.apply(...connectorTo(registry.origin, { namespace, name: 'relayed' }));
      await isReady(scene.cluster, namespace, 'relayed');
      const pulls = await pullAgainAndAgain({ connector: 'relayed', registry });
      for (const pod of await productPods(scene, 'controller')) {
        await kill(pod);
        await pulls.pulled(2);
        await productIsReady(scene.cluster);
      }
      await pulls.stop();
      expect(pulls.failures).toEqual([]);
    } finally {
      await kubectl('delete', 'connector', '-n', namespace, 'relayed');
      await registry.close();
    }
  }, 180_000);

  test('an update of the agents costs no pull', async () => {
    const pulls = await pullAgainAndAgain();
    const before = await productPods(scene, 'node');
    const restart = ['rollout', 'restart', '-n', productNamespace, 'daemonset/oci-connector-node'];
    await scene.cluster.kubectl(restart);
    const pod = await scene.freshImage();
    await scene.apply(podOf('during-update', pod));
    await productIsReady(scene.cluster);
    await runs(scene, 'during-update');
    await waitUntil({
      what: 'the old agent has ended',
      isReady: async () => !(await productPods(scene, 'node')).some((name) => before.includes(name)),
    });
    await pulls.pulled(3);
    expect(pulls.failures).toEqual([]);
  }, 180_000);

  test('a certificate that is replaced while pods are created fails none of them', async () => {
    const created: Promise<unknown>[] = [];
    const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All`;
    const create = (n: number) =>
      scene.client.post<{ spec: { containers: { image: string }[] } }>(
        path,
        podOf(`burst-${n}`, `${scene.registry.host}/private/app:v1`),
      );
    const served = () =>
      kubectl('get', 'secret', '-n', productNamespace, 'oci-connector-serving', '--output=jsonpath={.data.tls\\.crt}');
    const before = await served();
    await kubectl(
      'patch',
      'secret',
      '-n',
      productNamespace,
      'oci-connector-serving',
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/data/tls.crt"},{"op":"remove","path":"/data/tls.key"}]',
    );
    let isReplaced = false;
    const watching = waitUntil({
      what: 'another certificate is served',
      isReady: async () => !['', before].includes(await served()),
      timeoutMs: 90_000,
    }).then(() => {
      isReplaced = true;
    });
    for (let n = 0, last = 0; last < 100; n += 1) {
      created.push(create(n));
      await delay(50);
      if (isReplaced) last += 1;
    }
    await watching;
    const pods = (await Promise.all(created)) as Awaited<ReturnType<typeof create>>[];
    const images = new Set(pods.map(({ spec }) => spec.containers[0]?.image));
    expect([...images]).toEqual([expect.stringContaining('localhost:7450/')]);
  }, 150_000);

  test('with the API server away for 30 s, pulls of callers that are known go on', async () => {
    const pulls = await pullAgainAndAgain();
    await scene.cluster.stop('kube-apiserver');
    await delay(30_000);
    const duringOutage = pulls.count;
    await scene.cluster.start('kube-apiserver');
    await pulls.pulled(1);
    await pulls.stop();
    await followApiServer();
    expect(duringOutage).toBeGreaterThan(3);
    expect(pulls.failures).toEqual([]);
    // A caller who was never seen before.
    const token = await scene.pullToken();
    const isServed = async () => (await pullThroughAgent('private/loop/manifests/v1', token)).status === 200;
    await waitUntil({ what: 'new callers are served again', isReady: isServed });
  }, 150_000);

  test('with the centre away, what was granted is pulled, and everything when it is back', async () => {
    const pulls = await pullAgainAndAgain();
    const scale = (replicas: number) =>
      kubectl('scale', '-n', productNamespace, 'deployment/oci-connector-controller', `--replicas=${replicas}`);
    await scale(0);
    const isAway = async () => {
      const pods = await kubectl(
        'get',
        'pods',
        '-n',
        productNamespace,
        '--selector=app.kubernetes.io/component=controller',
        '--output=name',
      );
      return pods === '';
    };
    await waitUntil({ what: 'the centre has ended', isReady: isAway, timeoutMs: 60_000 });
    const before = pulls.count;
    await pulls.pulled(before + 3);
    // Longer than agents believe what they were told without asking again.
    await delay(30_000);
    await pulls.pulled(1);
    await pulls.stop();
    expect(pulls.failures).toEqual([]);
    const unknown = await pullThroughAgent('private/never-asked/manifests/v1', await scene.pullToken());
    expect(unknown.status).toBe(503);
    await scale(2);
    await productIsReady(scene.cluster);
    await scene.apply(podOf('after-centre', await scene.freshImage()));
    await runs(scene, 'after-centre');
  }, 240_000);
});
