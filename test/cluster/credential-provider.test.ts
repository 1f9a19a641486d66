import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeClientHome } from '../real/support/clients.ts';
import { type RealRegistry, startRegistry } from '../real/support/distribution.ts';
import { pushContent } from '../real/support/seed.ts';
import { type OracleCloud, startOracleCloud } from '../support/oracle/cloud.ts';
import { layOutPlugin, type NodePlugin } from './support/credential-provider.ts';
import { makeBusyboxImage } from './support/image-archive.ts';
import { type PrivateRegistry, startPrivateRegistry } from './support/private-registry.ts';
import { productParts } from './support/product.ts';
import { requireCluster } from './support/require-cluster.ts';
import {
  connectorName,
  credential,
  eventSays,
  namespace,
  openScene,
  plainNamespace,
  podOf,
  readPod,
  runs,
  type Scene,
} from './support/scene.ts';

/** Of a namespace that the product leaves alone: what is pulled there is pulled by the plugin. */
const plain = 'plain';
const secretId = 'ocid1.vaultsecret.oc1.eu-frankfurt-1.aaaapull';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

requireCluster(
  '2',
  'registry',
  'crane',
  'skopeo',
  ...productParts,
)("the kubelet's credential provider", () => {
  const parts = new AsyncDisposableStack();
  let scene: Scene;
  let plugin: NodePlugin;
  let cloud: OracleCloud;
  /** Pulls need a token, which the credential buys. */
  let closed: PrivateRegistry;
  /** Everybody pulls. Oracle's cloud keeps its images in it as well. */
  let open: RealRegistry;
  let images = 0;

  /** Every mode at once; what they are chosen by is the image. */
  const configuration = (fourth = 'VAULT'): object => {
    const { registryProtocol, ...oracle } = cloud.settings;
    const basic = (password: string, username = credential.username): object => ({
      secretType: 'BASIC',
      registryEndpoint: `${closed.host}/team`,
      username: base64(username),
      password: base64(password),
    });
    return {
      registryProtocol,
      connector: {},
      oracle: { ...oracle, domains: [cloud.registryHost] },
      imagePullSecrets: [
        basic('of last year'),
        basic(credential.password, 'nobody'),
        basic(credential.password),
        { secretType: fourth, registryEndpoint: `${closed.host}/vaulted`, secretId },
      ],
    };
  };
  const freshContent = () => {
    images += 1;
    return makeBusyboxImage({ seed: `credential-provider ${images}` });
  };
  /** Pushes an image that no node has seen to the open registry; returns its name there. */
  const pushOpen = async (repository: string): Promise<string> => {
    await using home = { ...(await makeClientHome()), [Symbol.asyncDispose]: () => home.close() };
    const content = await freshContent();
    const name = `${repository}:v${images}`;
    await pushContent(home, content, `${open.host}/${name}`);
    return name;
  };
  const start = (pod: string, image: string) => scene.apply(podOf(pod, image, { namespace: plain }));
  const answersOf = async (image: string) =>
    (await plugin.log())
      .split('\n')
      .filter((line) => line.includes('"answered"') && line.includes(`"${image.replace(/:[^/]*$/, '')}"`));

  beforeAll(async () => {
    open = await startRegistry('registry');
    parts.defer(() => open.stop());
    closed = await startPrivateRegistry('127.0.0.1', credential);
    parts.defer(() => closed.close());
    cloud = parts.use(await startOracleCloud({ registryBehind: open.origin }));
    cloud.putLogin(secretId, credential);
    plugin = parts.use(await layOutPlugin([closed.host, open.host, cloud.registryHost]));
    await plugin.configure(configuration());
    const { credentialProviders } = plugin;
    scene = await openScene('2', { pullIdentity: 'kubelet' }, { credentialProviders });
    parts.defer(() => scene.close());
    await scene.apply(plainNamespace(plain));
  }, 300_000);

  afterAll(() => parts.disposeAsync());

  describe('whose reasons are', () => {
    test("that Oracle's cloud is away: its log says which step, and a public image is pulled", async () => {
      cloud.metadata.misbehave({ kind: 'answer', status: 503, body: 'away' });
      await start('cloud-away', `${cloud.registryHost}/${await pushOpen('tenancy/away')}`);
      await start('public', `${open.host}/${await pushOpen('public/app')}`);
      await Promise.all([eventSays(scene, 'cloud-away', /Failed to pull image/, plain), runs(scene, 'public', plain)]);
      expect(await plugin.log()).toMatch(/"msg":"no answer".*metadata.*503/);
      cloud.metadata.behave();
    });

    test('that its configuration is wrong: its log says where, and a public image is pulled', async () => {
      await plugin.configure(configuration('SAFE'));
      try {
        await start('badly-configured', await closed.push('team/bad:v1', await freshContent()));
        await start('public-again', `${open.host}/${await pushOpen('public/app')}`);
        await eventSays(scene, 'badly-configured', /Failed to pull image/, plain);
        await runs(scene, 'public-again', plain);
        expect(await plugin.log()).toMatch(/"msg":"no answer".*imagePullSecrets\[3\]\.secretType/);
      } finally {
        await plugin.configure(configuration());
      }
    });
  });

  test('pulls with the third of three credentials of one key, the first that the registry takes', async () => {
    const image = await closed.push('team/app:v1', await freshContent());
    await start('listed', image);
    await runs(scene, 'listed', plain);
    const refused = closed.issuer?.requests.filter(({ status }) => status === 401) ?? [];
    expect(refused.length).toBeGreaterThanOrEqual(2);
    expect(await answersOf(image)).toHaveLength(1);
  });

  test("pulls with a secret of Oracle's vault", async () => {
    const image = await closed.push('vaulted/app:v1', await freshContent());
    await start('vaulted', image);
    await runs(scene, 'vaulted', plain);
    expect(cloud.vaultService.requests.length).toBeGreaterThan(0);
    expect(await answersOf(image)).toHaveLength(1);
  });

  test('pulls from OCIR as the instance that the node is', async () => {
    const image = `${cloud.registryHost}/${await pushOpen('tenancy/app')}`;
    await start('principal', image);
    await runs(scene, 'principal', plain);
    expect(cloud.federation.requests.length).toBeGreaterThan(0);
    expect(await answersOf(image)).toHaveLength(1);
  });

  test('pulls through the agent as the service account of the pod', async () => {
    const image = await scene.freshImage();
    await scene.apply(podOf('connected', image));
    await runs(scene, 'connected');
    const { spec } = await readPod(scene, 'connected');
    const pulled = spec.containers[0]?.image ?? '';
    expect(pulled).toContain(`localhost:7450/namespaces/${namespace}/connectors/${connectorName}/`);
    expect(JSON.stringify(spec)).not.toContain('imagePullSecrets');
    expect(await answersOf(pulled)).toHaveLength(1);
  });

  test('logs no credential, and keeps its own in files that nobody else reads', async () => {
    const secrets = [credential.password, base64(credential.password), 'of last year', ...cloud.canaries()];
    const texts = [await plugin.log(), await scene.cluster.log('kubelet')];
    expect(secrets.filter((secret) => texts.some((text) => text.includes(secret)))).toEqual([]);
    const files = await readdir(plugin.cacheDir);
    expect(files.length).toBeGreaterThan(0);
    const modes = await Promise.all(files.map(async (file) => (await stat(join(plugin.cacheDir, file))).mode & 0o777));
    expect(new Set(modes)).toEqual(new Set([0o600]));
  });
});
