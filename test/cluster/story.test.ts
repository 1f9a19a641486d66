import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requestToken } from '../../platform/kubernetes/token-request.ts';
import { partPath } from '../real/support/find-part.ts';
import { keysInEtcdWith } from './support/etcd-content.ts';
import { makeBusyboxImage, writeImageArchive } from './support/image-archive.ts';
import type { ContainerdVersion } from './support/node-files.ts';
import { productNamespace, productParts } from './support/product.ts';
import { waitUntil } from './support/readiness.ts';
import { requireCluster } from './support/require-cluster.ts';
import {
  connectorName,
  connectorTo,
  credential,
  eventSays,
  isReady,
  namespace,
  openScene,
  optedIn,
  plainNamespace,
  podOf,
  publicImage,
  pullThroughAgent,
  readConnector,
  readPod,
  runs,
  type Scene,
} from './support/scene.ts';
import { filesThatHold, findInMemory, processesThatSay } from './support/search-machine.ts';

const proxied = `localhost:7450/namespaces/${namespace}/connectors/${connectorName}/`;
const mib = 1024 * 1024;

describe.each<ContainerdVersion>(['2', '1.6'])('with containerd %s', (version) => {
  requireCluster(version, 'registry', 'crane', 'skopeo', ...productParts)('the story', () => tell(version));
});

function tell(version: ContainerdVersion): void {
  let scene: Scene;
  /** `team/app:v1` of an image that a pod runs by now. */
  let pulled: string;
  const pathOf = (image: string) => image.slice(scene.registry.host.length + 1);
  const agentPid = async () => {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(
      pids.map(async (pid) => [pid, await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')] as const),
    );
    const [pid] = lines.find(([, line]) => line.includes('main.js\0node\0')) ?? [];
    return Number(pid);
  };

  beforeAll(async () => {
    scene = await openScene(version);
  }, 300_000);

  afterAll(async () => {
    await scene?.close();
  });

  test('a Connector says where it is reached', async () => {
    const { status } = await readConnector(scene, connectorName);
    expect(status?.proxy).toMatchObject({
      httpAddress: { url: `http://c-${connectorName}.${namespace}.svc.cluster.local` },
      nodeAddress: proxied.slice(0, -1),
    });
    expect(status?.conditions?.filter((condition) => condition.status !== 'True')).toEqual([]);
  });

  // Before anything was pulled: what an agent needs that has nothing to do.
  test('an agent listens on loopback alone, as nobody, and needs less than 100 MiB', async () => {
    const pid = await agentPid();
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    expect(/^Uid:\s+47450/m.test(status)).toBe(true);
    expect(/^CapEff:\s+0+$/m.test(status)).toBe(true);
    const rssKib = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
    expect(rssKib * 1024).toBeLessThan(100 * mib);
    expect(await listenersOf(pid)).toEqual(['0100007F:1D1A', '00000000000000000000000001000000:1D1A']);
  });

  test('a Deployment of a labelled namespace runs a private image', async () => {
    const image = await scene.freshImage();
    pulled = pathOf(image);
    const labels = { app: 'shop' };
    const template = { metadata: { labels }, spec: { containers: [{ name: 'app', image }] } };
    const spec = { selector: { matchLabels: labels }, template };
    await scene.apply({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'shop', namespace }, spec });
    await scene.cluster.kubectl(['rollout', 'status', '-n', namespace, 'deployment/shop', '--timeout=60s'], {
      timeoutMs: 70_000,
    });
    const [name = ''] = (
      await scene.cluster.kubectl(['get', 'pods', '-n', namespace, '--selector=app=shop', '--output=name'])
    ).split('\n');
    const pod = await readPod(scene, name.replace('pod/', ''));
    expect(pod.spec.containers[0]?.image).toBe(proxied + pulled);
    const deployment = await scene.cluster.kubectl(['get', 'deployment', '-n', namespace, 'shop', '--output=json']);
    expect(JSON.parse(deployment).spec.template.spec.containers[0].image).toBe(image);
  });

  test('for which the registry saw a token for exactly that repository, and nobody else', async () => {
    const granted = scene.registry.issuer?.requests.filter(({ access }) =>
      access.some(({ name }) => name === 'private/app'),
    );
    const pulls = granted?.filter(({ access }) => access.every(({ actions }) => !actions.includes('push'))) ?? [];
    expect(pulls.length).toBeGreaterThan(0);
    for (const { access } of pulls) {
      expect(access).toEqual([{ type: 'repository', name: 'private/app', actions: ['pull'] }]);
    }
  });

  test('init containers, ephemeral containers and digest pins are pulled too', async () => {
    const [app, init, debug] = [await scene.freshImage(), await scene.freshImage(), await scene.freshImage()];
    const digest = (await makeBusyboxImage({ seed: 'pinned' })).digest;
    await scene.registry.push('private/app:pinned', await makeBusyboxImage({ seed: 'pinned' }));
    const pinned = `${scene.registry.host}/private/app:pinned@${digest}`;
    const containers = [
      { name: 'app', image: app },
      { name: 'pinned', image: pinned },
    ];
    const initContainers = [{ name: 'init', image: init, command: ['true'] }];
    await scene.apply(podOf('many', '', { spec: { containers, initContainers } }));
    await runs(scene, 'many');
    await scene.cluster.kubectl([
      'debug',
      '-n',
      namespace,
      'many',
      '-q',
      '-c',
      'debug',
      `--image=${debug}`,
      '--',
      'sleep',
      '600',
    ]);
    const isDebugging = async () =>
      (await readPod(scene, 'many')).status?.ephemeralContainerStatuses?.[0]?.state.running !== undefined;
    await waitUntil({ what: 'the ephemeral container runs', isReady: isDebugging, timeoutMs: 30_000 });
    const { spec } = await readPod(scene, 'many');
    expect(spec.containers.map(({ image }) => image)).toEqual([proxied + pathOf(app), proxied + pathOf(pinned)]);
    expect(spec.initContainers?.[0]?.image).toBe(proxied + pathOf(init));
    expect(spec.ephemeralContainers?.[0]?.image).toBe(proxied + pathOf(debug));
  }, 90_000);

  const pullImageVolume = async () => {
    const image = await scene.freshImage();
    const containers = [{ name: 'app', image: publicImage, volumeMounts: [{ name: 'files', mountPath: '/files' }] }];
    const volumes = [{ name: 'files', image: { reference: image, pullPolicy: 'Always' } }];
    await scene.apply(podOf('volume', '', { spec: { containers, volumes } }));
    await runs(scene, 'volume');
    expect((await readPod(scene, 'volume')).spec.volumes?.[0]?.image?.reference).toBe(proxied + pathOf(image));
    expect(await scene.cluster.kubectl(['exec', '-n', namespace, 'volume', '--', 'ls', '/files/bin'])).toContain(
      'busybox',
    );
  };
  // The CRI has image volumes since containerd 2.1.
  if (version === '2') test('an image volume is pulled too', pullImageVolume);

  test('without the label a pod stays as it is, and is refused by the registry', async () => {
    const image = await scene.freshImage();
    await scene.apply(plainNamespace('plain'), podOf('private', image, { namespace: 'plain' }));
    expect((await readPod(scene, 'private', 'plain')).spec.containers[0]?.image).toBe(image);
    await eventSays(scene, 'private', /Failed to pull image/, 'plain');
  });

  test('a pod that opts in by itself keeps its images where nobody keeps a pull secret, and says why', async () => {
    const image = `${scene.registry.host}/${pulled}`;
    const labels = { 'connectors.cpaas.io/proxy-inject': 'true' };
    const lonely = podOf('lonely', image, { namespace: 'plain', metadata: { labels } });
    await scene.apply(
      plainNamespace('plain'),
      ...connectorTo(scene.registry.origin, { namespace: 'plain', name: 'own' }),
    );
    await isReady(scene.cluster, 'plain', 'own');
    await scene.apply(lonely);
    const { spec, metadata } = await readPod(scene, 'lonely', 'plain');
    expect(spec.containers[0]?.image).toBe(image);
    expect(metadata.annotations?.['connectors.cpaas.io/decision']).toContain('NoPullIdentity');
  });

  test('another label on a pod that runs restarts nothing', async () => {
    await scene.cluster.kubectl(['label', '-n', namespace, 'pod/many', 'connectors.cpaas.io/proxy-inject=false']);
    await scene.cluster.kubectl(['annotate', '-n', namespace, 'pod/many', 'note=edited']);
    const { status } = await readPod(scene, 'many');
    expect(status?.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual([0, 0]);
  });

  describe("another namespace's connector", () => {
    const stranger = 'stranger';
    const namesIt = () => proxied + pulled;

    beforeAll(async () => {
      await scene.apply(optedIn(stranger), plainNamespace('plain'));
      await scene.apply(...connectorTo(scene.registry.origin, { namespace: stranger, name: 'own' }));
      await isReady(scene.cluster, stranger, 'own');
    });

    test.each([stranger, 'plain'])('is refused at admission in namespace %s', async (ofNamespace) => {
      const pod = JSON.stringify(podOf('thief', namesIt(), { namespace: ofNamespace }));
      const { code, stderr } = await scene.cluster.tryKubectl(['create', '--filename=-'], { input: pod });
      expect(code).not.toBe(0);
      expect(stderr).toContain(`${namespace}/${connectorName}`);
    });

    test('is refused by the annotation as well', async () => {
      const metadata = { annotations: { 'connectors.cpaas.io/connector': `${namespace}/${connectorName}` } };
      const image = `${scene.registry.host}/${pulled}`;
      const pod = JSON.stringify(podOf('thief', image, { namespace: stranger, metadata }));
      const { stderr } = await scene.cluster.tryKubectl(['create', '--filename=-'], { input: pod });
      expect(stderr).toContain(`${namespace}/${connectorName}`);
    });

    test('is refused by the agent', async () => {
      const manifest = pulled.replace(':', '/manifests/');
      expect((await pullThroughAgent(manifest, await scene.pullToken())).status).toBe(200);
      const answer = await pullThroughAgent(manifest, await scene.pullToken(stranger));
      expect(answer.status).toBe(403);
      expect(answer.body.toString()).toContain('may not pull');
    });
  });

  test('a client in a pod pulls with the token of its service account', async () => {
    const host = `c-${connectorName}.${namespace}.svc.cluster.local`;
    const crane = { path: 'bin/crane', bytes: await readFile(partPath('crane')), mode: 0o755 };
    const archive = join(scene.cluster.folder, 'crane.tar');
    await writeImageArchive(archive, 'localhost/crane:1', await makeBusyboxImage({ files: [crane] }));
    await scene.cluster.importImage(archive);
    const token = { serviceAccountToken: { audience: 'oci-connector', path: 'token' } };
    const spec = {
      containers: [
        {
          name: 'app',
          image: 'localhost/crane:1',
          imagePullPolicy: 'Never',
          env: [{ name: 'HOME', value: '/home' }],
          volumeMounts: [
            { name: 'token', mountPath: '/token' },
            { name: 'home', mountPath: '/home' },
          ],
        },
      ],
      volumes: [
        { name: 'token', projected: { sources: [token] } },
        { name: 'home', emptyDir: {} },
      ],
    };
    await scene.apply(podOf('builder', '', { spec }));
    await runs(scene, 'builder');
    const script = `crane auth login ${host} -u any -p "$(cat /token/token)" && crane pull --insecure ${host}/${pulled} /home/image.tar && ls -l /home/image.tar`;
    const said = await scene.cluster.kubectl(['exec', '-n', namespace, 'builder', '--', 'sh', '-c', script]);
    expect(said).toContain('image.tar');
  });

  test('the credential is in etcd in the Secret of its connectors alone', async () => {
    const keys = await keysInEtcdWith(scene.cluster, credential.password);
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.filter((key) => !/^\/registry\/secrets\/\w+\/(harbor|own)-robot$/.test(key))).toEqual([]);
  });

  test('the credential is nowhere on the node', async () => {
    expect(await processesThatSay(credential.password)).toEqual([]);
    const encoded = Buffer.from(`${credential.username}:${credential.password}`).toString('base64').slice(0, -4);
    const texts = [credential.password, encoded];
    const folders = (await readdir(scene.cluster.folder)).filter((name) => !/^(etcd|.*\.log)$/.test(name));
    const found = await Promise.all(folders.map((name) => filesThatHold(join(scene.cluster.folder, name), texts)));
    expect(found.flat()).toEqual([]);
    const pid = await agentPid();
    // What the agent has to hold shows that the search would find it.
    expect(await findInMemory(pid, [...texts, `/connectors/${connectorName}/`])).toEqual([
      `/connectors/${connectorName}/`,
    ]);
  });

  test('an agent has no token for the API server, which refuses the one that it has', async () => {
    const pid = await agentPid();
    const secrets = join(`/proc/${pid}/root`, 'var/run/secrets');
    expect(await readdir(secrets)).toEqual(['oci-connector']);
    const token = await readFile(join(secrets, 'oci-connector/token'), 'utf8');
    expect(await askApi(scene, token)).toBe(401);
    // The same question with a token for the API server is understood.
    const account = { namespace: productNamespace, name: 'oci-connector-node' };
    const issued = await requestToken(scene.client, account, { audiences: [], expirationSeconds: 600 });
    expect(await askApi(scene, issued.token)).toBe(403);
  });
}

/** Status of the API server's answer to whoever has this token and no certificate. */
async function askApi({ cluster }: Scene, token: string): Promise<number> {
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  const flags = ['--server', cluster.url, '--insecure-skip-tls-verify', '--kubeconfig=/dev/null', '--token', token];
  const { stderr } = await cluster.tryKubectl(['get', '--raw', path, ...flags]);
  return /Unauthorized|must be logged in/.test(stderr) ? 401 : /Forbidden|forbidden/.test(stderr) ? 403 : 0;
}

/** Addresses that a process listens on, as the kernel writes them. */
async function listenersOf(pid: number): Promise<string[]> {
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(descriptors.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  const inodes = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8')));
  return tables
    .flatMap((table) => table.split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && inodes.has(inode))
    .map(([, local = '']) => local);
}
