import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Folder, makeFolder, type RunningStandalone, run, startStandalone } from '../support/command.ts';
import { makeImage, makeIndex, type OciContent } from '../support/image.ts';
import { manifestsOf } from '../support/manifests.ts';
import { type ClientHome, makeClientHome } from './support/clients.ts';
import { type Containerd, startContainerd } from './support/containerd.ts';
import { type RealRegistry, type RegistryPart, registryParts, startRegistry } from './support/distribution.ts';
import { readOciLayout } from './support/oci-layout.ts';
import { requireParts } from './support/parts.ts';
import { pushContent } from './support/seed.ts';
import { startTokenIssuer, type TokenIssuer } from './support/token-issuer.ts';

const credential = { username: 'robot', password: 'canary/of the registry:credential' };
const contents = { 'single-arch': makeImage({ layerBytes: 256 * 1024, seed: 'pull' }), 'multi-arch': makeIndex() };
type Kind = keyof typeof contents;

/** The ways in which a pod may name an image. */
const suffixes = ['by tag', 'by digest', 'by tag and digest'] as const;
const suffixOf = (way: (typeof suffixes)[number], kind: Kind): string => {
  const { digest } = contents[kind];
  return way === 'by tag' ? ':v1' : way === 'by digest' ? `@${digest}` : `:v1@${digest}`;
};
const table = (Object.keys(contents) as Kind[]).flatMap((kind) => suffixes.map((way) => [kind, way] as const));

/** A private registry, the product before it, and a client that holds no credential. */
interface Scene {
  readonly issuer: TokenIssuer;
  readonly registry: RealRegistry;
  readonly folder: Folder;
  readonly client: ClientHome;
  standalone: RunningStandalone;
}

async function openScene(part: RegistryPart): Promise<Scene> {
  const issuer = await startTokenIssuer({ credential });
  const registry = await startRegistry(part, { access: { issuer } });
  const administrator = await makeClientHome();
  await administrator.logIn({ [registry.host]: credential });
  for (const [kind, content] of Object.entries(contents)) {
    await pushContent(administrator, content, `${registry.host}/team/${kind}:v1`);
  }
  for (const tag of ['v2', 'v3'])
    await administrator.mustRun('crane', ['tag', `${registry.host}/team/single-arch:v1`, tag]);
  await administrator.close();
  const folder = await makeFolder();
  await writeConnector(folder, registry, credential.password);
  return { issuer, registry, folder, client: await makeClientHome(), standalone: await startProduct(folder) };
}

const startProduct = (folder: Folder): Promise<RunningStandalone> =>
  startStandalone(['--manifests', folder.path, '--certs', join(folder.path, 'certs')]);

const writeConnector = (folder: Folder, registry: RealRegistry, password: string): Promise<string> =>
  folder.write('harbor.yaml', manifestsOf(registry.origin, credential.username, password));

async function closeScene(scene: Scene): Promise<void> {
  await scene.standalone.stop();
  await Promise.all([scene.registry.stop(), scene.issuer.close(), scene.client.close()]);
  await scene.folder[Symbol.asyncDispose]();
}

/** Starts the product afresh, so that it holds no grant. */
async function restart(scene: Scene): Promise<void> {
  await scene.standalone.stop();
  scene.standalone = await startProduct(scene.folder);
}

/** What the product makes of an image in a pod of namespace `demo`. */
async function rewrite({ folder, standalone }: Scene, image: string): Promise<string> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'app' },
    spec: { containers: [{ name: 'app', image }] },
  };
  const options = ['--manifests', folder.path, '-n', 'demo', '-o', 'json', '--image-host', standalone.imageHost];
  const { stdout } = await run(['mutate', '-f', '-', ...options], JSON.stringify(pod));
  return JSON.parse(stdout).spec.containers[0].image;
}

const digestsOf = (content: OciContent): string[] => [...content.manifests.keys(), ...content.blobs.keys()];

describe.each(registryParts)('a private image in %s', (part) => {
  requireParts(
    part,
    'crane',
    'skopeo',
    'containerd',
    'ctr',
    'unshare',
  )('pulled through the product', () => {
    let scene: Scene;

    beforeAll(async () => {
      scene = await openScene(part);
    });
    afterAll(() => scene && closeScene(scene));

    const image = (kind: Kind, way: (typeof suffixes)[number]): string =>
      `${scene.registry.host}/team/${kind}${suffixOf(way, kind)}`;

    test.each(table)('crane pulls the %s image %s', async (kind, way) => {
      const layout = join(scene.client.folder, `crane-${kind}-${way}`);
      const rewritten = await rewrite(scene, image(kind, way));
      await scene.client.mustRun('crane', ['pull', '--format=oci', rewritten, layout]);
      expect([...(await readOciLayout(layout))]).toEqual(expect.arrayContaining(digestsOf(contents[kind])));
    });

    // skopeo takes a tag or a digest and refuses both together; a pod's reference with both is pulled by its digest.
    test.each(table.filter(([, way]) => way !== 'by tag and digest'))(
      'skopeo pulls the %s image %s',
      async (kind, way) => {
        const layout = join(scene.client.folder, `skopeo-${kind}-${way}`);
        const rewritten = await rewrite(scene, image(kind, way));
        const args = ['copy', '--all', '--src-tls-verify=false', `docker://${rewritten}`, `oci:${layout}:v1`];
        await scene.client.mustRun('skopeo', args);
        expect([...(await readOciLayout(layout))]).toEqual(expect.arrayContaining(digestsOf(contents[kind])));
      },
    );

    test.each(table)('containerd pulls and unpacks the %s image %s', async (kind, way) => {
      const containerd: Containerd = await startContainerd();
      try {
        const rewritten = await rewrite(scene, image(kind, way));
        expect(await containerd.pull(rewritten)).toMatchObject({ code: 0 });
        expect(await containerd.unpackedImages()).toEqual([rewritten]);
        expect(await containerd.digests()).toContain(contents[kind].digest);
      } finally {
        await containerd.stop();
      }
    });

    test('the registry sees a token for exactly this repository, and the client never had one', async () => {
      await restart(scene);
      const { registry, issuer, client, standalone } = scene;
      const rewritten = await rewrite(scene, image('single-arch', 'by tag'));
      const before = { requests: (await registry.requests()).length, tokens: issuer.requests.length };
      await client.mustRun('crane', ['manifest', rewritten]);
      expect(issuer.requests.slice(before.tokens)).toMatchObject([
        { status: 200, access: [{ type: 'repository', name: 'team/single-arch', actions: ['pull'] }] },
      ]);
      const pulls = (await registry.requests()).slice(before.requests).filter(({ uri }) => uri !== '/v2/');
      expect(pulls.length).toBeGreaterThan(0);
      expect(pulls.filter(({ isAuthorized, status }) => !isAuthorized || status !== 200)).toEqual([]);
      // What the registry accepted is nothing that the client has: it holds no configuration at all.
      expect(await readdir(join(client.folder, '.docker'))).toEqual([]);
      const { status, headers } = await fetch(`http://${standalone.proxy}/v2/`);
      expect([status, headers.get('www-authenticate')]).toEqual([200, null]);
    });

    test('the same client is refused by the registry itself', async () => {
      const direct = await scene.client.run('crane', ['manifest', image('single-arch', 'by tag')]);
      expect(direct.code).not.toBe(0);
      expect(direct.stderr).toMatch(/UNAUTHORIZED/);
    });

    test('crane lists the tags', async () => {
      const repository = (await rewrite(scene, image('single-arch', 'by tag'))).replace(/:v1$/, '');
      expect(await scene.client.mustRun('crane', ['ls', repository])).toBe('v1\nv2\nv3\n');
    });

    test('tags come page by page, and each page links to the next through the product', async () => {
      const pages: string[][] = [];
      let next: string | undefined = '/v2/namespaces/demo/connectors/harbor/team/single-arch/tags/list?n=2';
      while (next !== undefined) {
        const response: Response = await fetch(`http://${scene.standalone.proxy}${next}`);
        pages.push(((await response.json()) as { tags: string[] }).tags);
        next = /^<(\/v2\/namespaces\/demo\/connectors\/harbor\/[^>]+)>; rel="next"$/.exec(
          response.headers.get('link') ?? '',
        )?.[1];
      }
      // Release 2.8 knows no pages of tags: it answers all of them at once.
      expect(pages).toEqual(part === 'registry' ? [['v1', 'v2'], ['v3']] : [['v1', 'v2', 'v3']]);
    });

    test('a missing image is a clear error that names it', async () => {
      const rewritten = await rewrite(scene, `${scene.registry.host}/team/single-arch:none`);
      const { code, stderr } = await scene.client.run('crane', ['manifest', rewritten]);
      expect(code).not.toBe(0);
      expect(stderr).toContain('MANIFEST_UNKNOWN');
    });

    test('a wrong credential is a clear error that names the connector; the right one is used as soon as it is there', async () => {
      const { folder, registry, client } = scene;
      await writeConnector(folder, registry, 'canary of a wrong password');
      await restart(scene);
      const rewritten = await rewrite(scene, image('multi-arch', 'by tag'));
      const refused = await client.run('crane', ['manifest', rewritten]);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toMatch(/DENIED.*connector demo\/harbor.*refused the credential with 401/);
      await writeConnector(folder, registry, credential.password);
      await expect
        .poll(async () => (await client.run('crane', ['manifest', rewritten])).code, { timeout: 15_000 })
        .toBe(0);
      expect(`${refused.stderr}${scene.standalone.lines.join('\n')}`).not.toContain('canary');
    });
  });
});
