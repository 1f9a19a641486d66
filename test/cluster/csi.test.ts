import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { makeSelfSigned } from '../real/support/certificate.ts';
import { accountOf, bindingTo } from './support/accounts.ts';
import { buildAndPush, builderPod } from './support/builder-pod.ts';
import { findDriver, listVolumeFolders, listVolumeMounts, volumePod } from './support/csi-volumes.ts';
import { makeBusyboxImage } from './support/image-archive.ts';
import { type PrivateRegistry, startPrivateRegistry } from './support/private-registry.ts';
import { productParts } from './support/product.ts';
import { waitUntil } from './support/readiness.ts';
import { refusedVolumes, strangerNamespace } from './support/refused-volumes.ts';
import { listRemains } from './support/remains.ts';
import { requireCluster } from './support/require-cluster.ts';
import {
  connectorName,
  connectorTo,
  credential,
  eventSays,
  isReady,
  namespace,
  openScene,
  plainNamespace,
  podOf,
  productPods,
  readPod,
  runs,
  type Scene,
} from './support/scene.ts';
import { filesThatHold } from './support/search-machine.ts';
import { defaultSettings } from './support/settings.ts';

const connectorHost = `c-${connectorName}.${namespace}.svc.cluster.local`;
const crowd = 'crowd';
const crowdSize = 200;
const sleepLong = ['busybox', 'sleep', '86400'];

/** What a reader would see half of, if it were to be seen. */
const ownFile = (version: number): string => `v${version} ${'x'.repeat(100_000)} v${version}\n`;

const ownTemplate = (version: number): string => `v${version} {{ repeat 100000 "x" }} v${version}\n`;

const ownClass = (version: number): object => ({
  apiVersion: 'connectors.alauda.io/v1alpha1',
  kind: 'ConnectorClass',
  metadata: { name: 'own' },
  spec: {
    auth: { types: [{ name: 'tokenAuth', secretType: 'cpaas.io/distribution-registry-token' }] },
    configurations: [
      { name: 'own', data: { 'own.txt': ownTemplate(version) } },
      { name: 'faulty', data: { 'faulty.txt': 'first line\n{{ .connector.spec.address | frobnicate }}\n' } },
    ],
  },
});

/** Says the digest of the file whenever it is another. */
const readAgainAndAgain = `while :; do
  sum=$(busybox sha256sum /files/own.txt 2>&1)
  [ "$sum" = "$last" ] || echo "$sum"
  last=$sum
  busybox usleep 10000
done`;

requireCluster(
  '2',
  'registry',
  'skopeo',
  ...productParts,
)('the CSI driver, under a real kubelet', () => {
  let scene: Scene;
  /** Closed, with a certificate of its own, and known by name. */
  let secure: PrivateRegistry;
  let secureHost: string;
  const kubectl = (...args: string[]) => scene.cluster.kubectl(args, { timeoutMs: 150_000 });
  const exec = (pod: string, ...command: string[]) => kubectl('exec', '-n', namespace, pod, '--', ...command);
  const uidOf = (pod: string, inNamespace = namespace) =>
    kubectl('get', 'pod', '-n', inNamespace, pod, '--output=jsonpath={.metadata.uid}');
  const mountOf = async (pod: string, inNamespace = namespace) => {
    const uid = await uidOf(pod, inNamespace);
    return (await listVolumeMounts(scene.cluster)).filter(({ path }) => path.includes(uid));
  };

  async function openSecureRegistry(): Promise<void> {
    const { cluster } = scene;
    const tls = await makeSelfSigned(['registry.test']);
    secure = await startPrivateRegistry(cluster.bridgeAddress, credential, 'basic', tls);
    secureHost = secure.host.replace(cluster.bridgeAddress, 'registry.test');
    await writeFile(cluster.paths.dnsHosts, `${cluster.bridgeAddress} registry.test\n`);
    const authority = { metadata: { namespace, name: 'secure-ca' }, stringData: { 'ca.crt': tls.certificatePem } };
    await scene.apply(
      { apiVersion: 'v1', kind: 'Secret', ...authority },
      ...connectorTo(`https://${secureHost}`, { namespace, name: 'secure' }),
    );
    const patch = JSON.stringify({ spec: { caCertSecretRef: { name: 'secure-ca' } } });
    await kubectl('patch', 'connector', '-n', namespace, 'secure', '--type=merge', `--patch=${patch}`);
  }

  /** A connector of the administrator's own class. */
  async function makeOwnConnector(): Promise<void> {
    const spec = { connectorClassName: 'own' };
    await scene.apply(ownClass(1), ...connectorTo(scene.registry.origin, { namespace, name: 'own' }));
    await kubectl('patch', 'connector', '-n', namespace, 'own', '--type=merge', `--patch=${JSON.stringify({ spec })}`);
  }

  beforeAll(async () => {
    scene = await openScene('2', { csi: { refreshSeconds: 20 } });
    await scene.apply(
      plainNamespace(crowd),
      plainNamespace(strangerNamespace),
      accountOf(namespace, 'builder'),
      bindingTo('connector-pusher', namespace, { namespace, name: 'builder' }),
      bindingTo('connector-puller', namespace, { namespace: crowd, name: 'default' }),
      ...connectorTo('http://registry.invalid', { namespace, name: 'broken' }),
    );
    await openSecureRegistry();
    await makeOwnConnector();
    for (const name of ['secure', 'own']) await isReady(scene.cluster, namespace, name);
    const harbor = { connectors: connectorName, 'configuration.names': 'registry-config' };
    const identity = { runAsUser: 1000, runAsGroup: 1000, fsGroup: 4242 };
    await scene.apply(
      volumePod('plain', harbor),
      volumePod('grouped', harbor, { spec: { securityContext: identity } }),
      volumePod(
        'loop',
        { connectors: 'own', 'configuration.names': 'own' },
        { command: ['sh', '-c', readAgainAndAgain] },
      ),
      ...refusedVolumes.map(({ pod, attributes, inNamespace = namespace, csi = {} }) =>
        volumePod(pod, attributes, { namespace: inNamespace, csi }),
      ),
      builderPod('builder', {
        'connectors.cpaas.io/connector': `${namespace}/${connectorName}`,
        'connectors.cpaas.io/configurations': 'registry-config,containers',
      }),
      builderPod('forward-builder', {
        'connectors.cpaas.io/connector': `${namespace}/secure`,
        'connectors.cpaas.io/configurations': 'forward-proxy',
      }),
    );
  }, 300_000);

  afterAll(async () => {
    await secure?.close();
    await scene?.close();
  });

  test('a pod has its files, and a token of its own', async () => {
    await runs(scene, 'plain');
    const { auths } = JSON.parse(await exec('plain', 'cat', '/files/config.json'));
    expect(Object.keys(auths)).toEqual([connectorHost]);
    const [, password] = Buffer.from(auths[connectorHost].auth, 'base64').toString().split(':');
    expect(password).toBe(await exec('plain', 'cat', '/files/context.token'));
    const claims = JSON.parse(Buffer.from(password?.split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({ aud: ['oci-connector'], sub: `system:serviceaccount:${namespace}:default` });
    expect(claims['kubernetes.io'].pod.name).toBe('plain');
    expect(claims.exp - claims.iat).toBe(1800);
  });

  test('as the kubelet lays out a projected volume, for all to read and nobody to write', async () => {
    expect(await exec('plain', 'busybox', 'readlink', '/files/config.json')).toBe('..data/config.json\n');
    expect(await exec('plain', 'busybox', 'readlink', '/files/..data')).toMatch(/^\.\.[^./][^/]*\n$/);
    expect(await exec('plain', 'busybox', 'stat', '-Lc', '%a %u %g', '/files/config.json')).toBe('444 0 0\n');
    await expect(exec('plain', 'touch', '/files/another')).rejects.toThrow(/Read-only file system/);
  });

  test('with fsGroup for that group alone', async () => {
    await runs(scene, 'grouped');
    expect(await exec('grouped', 'busybox', 'stat', '-Lc', '%a %u %g', '/files/config.json')).toBe('440 0 4242\n');
    expect(await exec('grouped', 'cat', '/files/context.token')).toMatch(/^ey/);
  });

  test('in memory, where nothing can be run from, in bounds', async () => {
    const [mount, ...others] = await mountOf('plain');
    expect(others).toEqual([]);
    expect(mount?.type).toBe('tmpfs');
    expect(mount?.options).toEqual(
      expect.arrayContaining(['nosuid', 'nodev', 'noexec', expect.stringMatching(/^size=\d+k$/)]),
    );
  });

  test.each(refusedVolumes)('a pod waits and says why: $because', async ({ pod, inNamespace = namespace, says }) => {
    await eventSays(scene, pod, says, inNamespace);
    expect((await readPod(scene, pod, inNamespace)).status?.containerStatuses?.[0]).toMatchObject({
      state: { waiting: { reason: 'ContainerCreating' } },
    });
    expect(await mountOf(pod, inNamespace)).toEqual([]);
  });

  /** All that a pod was given, and what the kubelet keeps for it. */
  const expectNoCredential = async (pod: string) => {
    const seen = [
      await kubectl('get', 'pod', '-n', namespace, pod, '--output=json'),
      await exec(pod, 'env'),
      await exec(pod, 'sh', '-c', 'cat /etc/connectors/*/* /etc/connectors/*/.env'),
    ];
    const secrets = [
      credential.password,
      Buffer.from(`${credential.username}:${credential.password}`).toString('base64'),
    ];
    for (const secret of secrets) expect(seen.join('')).not.toContain(secret);
    const kept = join(scene.cluster.paths.kubeletRoot, 'pods', await uidOf(pod));
    expect(await filesThatHold(kept, secrets)).toEqual([]);
  };

  test('a pod builds upon a private image, pushes what it built, and another runs it', async () => {
    await scene.registry.push('private/base:v1', await makeBusyboxImage({ seed: 'base' }));
    const [base, target] = ['base:v1', 'built:v1'].map((name) => `${connectorHost}/private/${name}`) as [
      string,
      string,
    ];
    await buildAndPush(scene, 'builder', { base, target });
    await scene.apply(podOf('built', `${scene.registry.host}/private/built:v1`));
    await runs(scene, 'built');
    expect(await exec('built', 'cat', '/built')).toBe(`${target}\n`);
    await expectNoCredential('builder');
  });

  test('the same by the forward proxy, with the registry’s own name and its TLS', async () => {
    await secure.push('private/base:v1', await makeBusyboxImage({ seed: 'secure base' }));
    const [base, target] = ['base:v1', 'built:v1'].map((name) => `${secureHost}/private/${name}`) as [string, string];
    const before = 'set -a; . /etc/connectors/secure/.env; set +a';
    await buildAndPush(scene, 'forward-builder', { base, target, before });
    await scene.apply(podOf('forward-built', target));
    await runs(scene, 'forward-built');
    expect(await exec('forward-built', 'cat', '/built')).toBe(`${target}\n`);
    await expectNoCredential('forward-builder');
  });

  describe('while many pods have files', () => {
    const digests = [1, 2, 3].map((version) => createHash('sha256').update(ownFile(version)).digest('hex'));
    /** What the reader has seen, in its order. A kubelet that has just begun knows of no log yet. */
    const seen = async () => {
      const { stdout } = await scene.cluster.tryKubectl(['logs', '-n', namespace, 'loop']);
      return stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.split(' ')[0]]));
    };
    const countRefusals = async () => {
      const selector = '--field-selector=involvedObject.name=loop,reason=FailedMount';
      const counts = await kubectl('get', 'events', '-n', namespace, selector, '--output=jsonpath={.items[*].count}');
      return counts.split(' ').reduce((sum, count) => sum + Number(count), 0);
    };
    const crowdMounts = async () => {
      const uids = await kubectl('get', 'pods', '-n', crowd, '--output=jsonpath={.items[*].metadata.uid}');
      const mounts = await listVolumeMounts(scene.cluster);
      return mounts.filter(({ path }) => uids.split(' ').some((uid) => uid !== '' && path.includes(uid)));
    };
    const driverStarts = async () => {
      const [pod = ''] = await productPods(scene, 'csi');
      const shown =
        '--output=jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}';
      return kubectl('get', 'pod', '-n', 'oci-connector', pod, shown);
    };

    test(`${crowdSize} pods that are created at once all run, and meanwhile a reader sees a change whole`, async () => {
      await runs(scene, 'loop');
      expect(await seen()).toEqual(digests.slice(0, 1));
      await scene.apply(ownClass(2));
      const attributes = { connectors: `${namespace}/${connectorName}`, 'configuration.names': 'registry-config' };
      // In the network of the host, which is the quickest to be had: it is the volumes that matter.
      const pods = Array.from({ length: crowdSize }, (_, at) =>
        volumePod(`pod-${at}`, attributes, { namespace: crowd, command: sleepLong, spec: { hostNetwork: true } }),
      );
      await Promise.all(pods.map((pod) => scene.client.create(resources.pods, pod as KubernetesObject)));
      await kubectl('wait', '-n', crowd, 'pods', '--all', '--for=condition=Ready', '--timeout=140s');
      expect(await crowdMounts()).toHaveLength(crowdSize);
      await waitUntil({ what: 'the change is seen', isReady: async () => (await seen()).length > 1 });
      expect(await seen()).toEqual(digests.slice(0, 2));
    }, 180_000);

    test('a driver that is killed and a kubelet that starts anew cost no pod its files, nor its life', async () => {
      expect(await driverStarts()).toBe('0 true');
      process.kill((await findDriver()) ?? Number.NaN, 'SIGKILL');
      await waitUntil({ what: 'the driver is ready again', isReady: async () => (await driverStarts()) === '1 true' });
      await scene.cluster.restart('kubelet');
      await scene.apply(ownClass(3));
      await waitUntil({ what: 'the next change is seen', isReady: async () => (await seen()).length > 2 });
      expect(await seen()).toEqual(digests);
      const restarts = '--output=jsonpath={.items[*].status.containerStatuses[0].restartCount}';
      const counts = (await kubectl('get', 'pods', '-n', crowd, restarts)).split(' ');
      expect(counts).toEqual(Array.from({ length: crowdSize }, () => '0'));
      expect(await crowdMounts()).toHaveLength(crowdSize);
    }, 180_000);

    // While the crowd goes, so that the kubelet that starts anew finds pods half gone.
    test('a connector that is deleted is told in events, and the files stay, for another kubelet too', async () => {
      await kubectl('delete', 'pods', '-n', crowd, '--all', '--wait=false');
      await kubectl('delete', 'connector', '-n', namespace, 'own');
      await eventSays(scene, 'loop', /code = Aborted desc = NOT_FOUND: .*own.*; the volume stays mounted as it is/);
      const before = await countRefusals();
      await scene.cluster.restart('kubelet');
      await waitUntil({ what: 'it is told again', isReady: async () => (await countRefusals()) > before });
      expect(await seen()).toEqual(digests);
      await runs(scene, 'loop');
    });

    test('when all pods are deleted no mount, and no folder, is left of them', async () => {
      for (const name of [namespace, strangerNamespace])
        await kubectl('delete', 'pods', '-n', name, '--all', '--wait=false');
      const isClean = async () => (await listVolumeFolders(scene.cluster)).length === 0;
      await waitUntil({ what: 'the kubelet has removed all volumes', isReady: isClean, timeoutMs: 150_000 });
      expect(await listVolumeMounts(scene.cluster)).toEqual([]);
      expect(await listVolumeMounts(scene.cluster, await findDriver())).toEqual([]);
    }, 180_000);
  });

  test('after the cluster is closed nothing is left of a pod that has files', async () => {
    await scene.apply(volumePod('last', { connectors: connectorName }));
    await runs(scene, 'last');
    await scene.close();
    expect(await listRemains(defaultSettings)).toEqual([]);
  });
});
