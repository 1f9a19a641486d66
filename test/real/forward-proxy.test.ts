import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Interception, openInterception } from '../../certs/interception.ts';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import { parseCallers } from '../../proxy/callers-file.ts';
import { authorityMemory } from '../certs/text-memory.ts';
import { makeImage, makeIndex } from '../support/image.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Buildkit, startBuildkit } from './support/buildkit.ts';
import { makeSelfSigned } from './support/certificate.ts';
import { type ClientHome, makeClientHome } from './support/clients.ts';
import { type RealRegistry, startRegistry } from './support/distribution.ts';
import { readOciLayout, writeOciLayout } from './support/oci-layout.ts';
import { requireParts } from './support/parts.ts';
import { pushContent } from './support/seed.ts';

const credential = { username: 'robot', password: 'canary/of the registry:credential' };
const token = 'canary-of-the-caller-token';
const image = makeImage({ layerBytes: 256 * 1024, seed: 'forward proxy' });
const index = makeIndex();

/** A private registry by TLS and a name that only the proxy can resolve, and clients that have to come by the proxy. */
interface Scene {
  readonly registry: RealRegistry;
  readonly plain: RealRegistry;
  readonly interception: Interception;
  readonly proxy: RunningProxy;
  readonly client: ClientHome;
  /** `registry.test:port` */
  readonly host: string;
  readonly plainHost: string;
  /** What makes a client use the proxy, and trust its authority and nobody else. */
  readonly env: Readonly<Record<string, string>>;
  readonly caFile: string;
}

async function openScene(isRoot = false): Promise<Scene> {
  const tls = await makeSelfSigned(['registry.test', '127.0.0.1']);
  const access = { basic: credential };
  const registry = await startRegistry('registry', { tls, access });
  const plain = await startRegistry('registry', { access });
  const at = (name: string, { host }: RealRegistry) => `${name}:${host.split(':')[1]}`;
  const [host, plainHost] = [at('registry.test', registry), at('plain.test', plain)];
  const interception = await openInterception({ store: authorityMemory(), onError: () => {} });
  const callers = parseCallers(
    JSON.stringify({ callers: [{ name: 'ci', token, connectors: ['demo/*'], actions: ['pull', 'push'] }] }),
    'callers.json',
  );
  const proxy = await startProxy({
    documents: [
      ...connectorTo(`https://${host}`, { ...credential, key: 'demo/harbor', ca: tls.certificatePem }),
      ...connectorTo(`http://${plainHost}`, { ...credential, key: 'demo/plain' }),
    ],
    callers,
    sealing: ephemeralSealingKeys(),
    transports: { resolve: async () => [{ address: '127.0.0.1', family: 4 }] },
    forwardProxy: { certificates: interception },
  });
  const client = await makeClientHome(isRoot ? { isRoot } : {});
  const caFile = join(client.folder, 'proxy-ca.pem');
  await writeFile(caFile, interception.caBundle);
  const url = `http://demo%2Fharbor,demo%2Fplain:${token}@127.0.0.1:${proxy.port}`;
  const env = { HTTPS_PROXY: url, HTTP_PROXY: url, http_proxy: url, SSL_CERT_FILE: caFile, SSL_CERT_DIR: '/none' };
  return { registry, plain, interception, proxy, client, host, plainHost, env, caFile };
}

async function closeScene(scene: Scene): Promise<void> {
  await scene.proxy.close();
  await scene.interception.close();
  await Promise.all([scene.registry.stop(), scene.plain.stop(), scene.client.close()]);
}

const parts = ['registry', 'htpasswd', 'crane', 'skopeo', 'curl'] as const;

requireParts(...parts)('clients that come by HTTPS_PROXY and trust the proxy’s authority alone', () => {
  let scene: Scene;
  const layoutOf = (name: string) => mkdtemp(join(scene.client.folder, `${name}-`));
  const digests = [...image.manifests.keys(), ...image.blobs.keys()];

  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene && closeScene(scene));

  test('crane pushes and pulls by the registry’s own name, and holds no credential', async () => {
    const { client, host, env, proxy } = scene;
    const source = await layoutOf('crane');
    await writeOciLayout(source, image, 'seed');
    await client.mustRun('crane', ['push', source, `${host}/by-crane/app:v1`], { env });
    const target = await layoutOf('crane');
    await client.mustRun('crane', ['pull', '--format=oci', `${host}/by-crane/app:v1`, target], { env });
    expect([...(await readOciLayout(target))]).toEqual(expect.arrayContaining(digests));
    await client.mustRun('crane', ['copy', `${host}/by-crane/app:v1`, `${host}/by-crane/mounted:v1`], { env });
    expect(await client.mustRun('crane', ['ls', `${host}/by-crane/mounted`], { env })).toBe('v1\n');
    const failed = proxy.operations.filter(({ status, method }) => status >= 400 && method !== 'HEAD');
    expect(failed).toEqual([]);
  });

  test('skopeo pushes and pulls', async () => {
    const { client, host, env } = scene;
    const source = await layoutOf('skopeo');
    await writeOciLayout(source, index, 'seed');
    await client.mustRun('skopeo', ['copy', '--all', `oci:${source}:seed`, `docker://${host}/by-skopeo/app:v1`], {
      env,
    });
    const target = await layoutOf('skopeo');
    await client.mustRun('skopeo', ['copy', '--all', `docker://${host}/by-skopeo/app:v1`, `oci:${target}:v1`], { env });
    const expected = [...index.manifests.keys(), ...index.blobs.keys()];
    expect([...(await readOciLayout(target))]).toEqual(expect.arrayContaining(expected));
  });

  test('curl gets a blob whole, by TLS with the proxy’s certificate', async () => {
    const { client, host, env, caFile } = scene;
    await pushThrough('curl/app');
    const [layer = ''] = image.layers;
    const args = ['--fail', '--silent', '--show-error', '--cacert', caFile, '--output', join(client.folder, 'blob')];
    await client.mustRun('curl', [...args, `https://${host}/v2/curl/app/blobs/${layer}`], { env });
    const { stdout } = await client.run('curl', ['--verbose', '--cacert', caFile, `https://${host}/v2/`], { env });
    expect(stdout).toBe('{}');
  });

  test('curl reaches a registry without TLS by its absolute URL', async () => {
    const { client, plain, plainHost, env } = scene;
    const administrator = await makeClientHome();
    await administrator.logIn({ [plain.host]: credential });
    await pushContent(administrator, image, `${plain.host}/team/app:v1`);
    await administrator.close();
    const url = `http://${plainHost}/v2/team/app/manifests/v1`;
    const accept = ['--header', 'accept: application/vnd.oci.image.manifest.v1+json'];
    const manifest = await client.mustRun('curl', ['--fail', '--silent', ...accept, url], { env });
    expect(manifest).toBe(image.manifests.get(image.digest)?.bytes.toString());
    expect(scene.proxy.operations.at(-1)).toMatchObject({ connector: { name: 'plain' }, status: 200 });
  });

  test('who does not trust the authority says so, and the proxy as well', async () => {
    const { client, host, env, proxy } = scene;
    const { SSL_CERT_FILE: _, ...others } = env;
    const before = proxy.operations.length;
    const { code, stderr } = await client.run('crane', ['manifest', `${host}/by-crane/app:v1`], { env: others });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/certificate signed by unknown authority/)]);
    expect(proxy.operations.slice(before)).toContainEqual(
      expect.objectContaining({ error: 'TLS_FAILED', target: host }),
    );
  });

  test.each([
    ['a token that is nobody’s', (url: string) => url.replace(token, 'x'.repeat(20)), /the token is not known here/],
    ['no token', (url: string) => url.replace(/\/\/[^@]*@/, '//'), /Proxy-Authorization is needed/],
    [
      'another connector',
      (url: string) => url.replace(/\/\/[^:]*:/, '//demo%2Fplain:'),
      /demo\/plain serves plain\.test/,
    ],
  ])('%s: the reason stands in what crane says', async (_what, change, reason) => {
    const { client, host, env } = scene;
    const changed = { ...env, HTTPS_PROXY: change(env['HTTPS_PROXY'] ?? '') };
    const { code, stderr } = await client.run('crane', ['manifest', `${host}/by-crane/app:v1`], { env: changed });
    expect([code, stderr]).toEqual([1, expect.stringMatching(reason)]);
  });

  test('the registry saw its own credential and nothing of the caller’s', async () => {
    const seen = await scene.registry.requests();
    expect(seen.length).toBeGreaterThan(10);
    expect(new Set(seen.map(({ user }) => user))).toContain('robot');
    expect(JSON.stringify(seen)).not.toContain('canary');
  });

  async function pushThrough(repository: string): Promise<void> {
    const source = await layoutOf('source');
    await writeOciLayout(source, image, 'seed');
    await scene.client.mustRun('crane', ['push', source, `${scene.host}/${repository}:v1`], { env: scene.env });
  }
});

const buildkitParts = ['registry', 'htpasswd', 'crane', 'buildkitd', 'buildctl', 'runc'] as const;
// As elsewhere, who is not root builds nothing here, also with CI=true.
const asRoot = process.getuid?.() === 0 ? requireParts(...buildkitParts) : describe.skip;

asRoot('buildkit by HTTPS_PROXY', () => {
  let scene: Scene;
  let buildkit: Buildkit | undefined;

  beforeAll(async () => {
    scene = await openScene(true);
  });
  afterAll(async () => {
    await buildkit?.stop();
    if (scene) await closeScene(scene);
  });

  test('builds upon a private image and pushes what it built', async () => {
    const { client, host, env } = scene;
    const source = await mkdtemp(join(client.folder, 'source-'));
    await writeOciLayout(source, image, 'seed');
    await client.mustRun('crane', ['push', source, `${host}/team/base:v1`], { env });
    const context = await mkdtemp(join(client.folder, 'context-'));
    await writeFile(join(context, 'Containerfile'), `FROM ${host}/team/base:v1\nCOPY Containerfile /added\n`);
    buildkit = await startBuildkit(client, { env });
    await buildkit.build(context, [`--output=type=image,name=${host}/team/built:v1,push=true,oci-mediatypes=true`]);
    const built = JSON.parse(await client.mustRun('crane', ['manifest', `${host}/team/built:v1`], { env }));
    expect(built.layers.map((layer: { digest: string }) => layer.digest)).toEqual([
      ...image.layers,
      expect.any(String),
    ]);
  });
});
