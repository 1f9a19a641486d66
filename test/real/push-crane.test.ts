import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { makeImage, makeIndex, makeReferrer, type OciContent } from '../support/image.ts';
import { makeTar } from '../support/tar.ts';
import type { ClientHome } from './support/clients.ts';
import { readOciLayout } from './support/oci-layout.ts';
import { describePushes } from './support/push-suite.ts';
import { pushContent } from './support/seed.ts';

const contents: Readonly<Record<string, OciContent>> = {
  image: makeImage({ layerBytes: 256 * 1024, seed: 'crane' }),
  index: makeIndex(),
};
const subject = makeImage({ seed: 'subject' });
const artifactType = 'application/vnd.example.signature';
const signature = makeReferrer(subject, { artifactType });

describePushes('crane', ['crane'], ({ part, form, scene }) => {
  let client: ClientHome;
  // crane speaks plain HTTP by itself to loopback addresses only.
  const flags = form === 'path form' ? [] : ['--insecure'];
  const crane = (...args: string[]) => client.mustRun('crane', [...flags, ...args]);
  const at = form === 'path form' ? 'by-path' : 'by-host';
  const name = (repository: string) => scene().image(form, `${at}/${repository}`);

  beforeAll(async () => {
    client = await scene().makeClient();
  });

  test.each(Object.entries(contents))('it pushes an %s and pulls it again', async (kind, content) => {
    await pushContent(client, content, name(`${kind}:v1`), flags);
    const { digest, digests } = await scene().stored.readWhole(`${at}/${kind}`, 'v1');
    expect(digest).toBe(content.digest);
    expect([...digests].sort()).toEqual([...content.manifests.keys(), ...content.blobs.keys()].sort());
    const layout = join(await mkdtemp(join(client.folder, 'pull-')), 'layout');
    await crane('pull', '--format=oci', name(`${kind}:v1`), layout);
    expect([...(await readOciLayout(layout))]).toEqual(expect.arrayContaining([...digests]));
  });

  test('it copies to another repository, and the registry mounts the blobs', async () => {
    const { registry, stored } = scene();
    const before = (await registry.requests()).length;
    await crane('copy', name('image:v1'), name('copy:v1'));
    const requests = (await registry.requests()).slice(before);
    const uploads = requests.filter(({ uri }) => uri.includes(`/${at}/copy/blobs/uploads/`));
    expect(uploads.map(({ method, status }) => [method, status])).toEqual(
      [...(contents['image']?.blobs.keys() ?? [])].map(() => ['POST', 201]),
    );
    expect(uploads.filter(({ uri }) => !uri.includes(`from=${at}%2Fimage&mount=sha256%3A`))).toEqual([]);
    expect((await stored.readWhole(`${at}/copy`, 'v1')).digest).toBe(contents['image']?.digest);
  });

  test('it appends a layer to an image', async () => {
    const layer = join(client.folder, 'layer.tar');
    await writeFile(layer, makeTar([{ path: 'appended', bytes: Buffer.from(`${part} ${form}`) }]));
    const args = ['append', '--base', name('image:v1'), '--new_layer', layer, '--new_tag', name('appended:v1')];
    await crane(...args);
    const { digests } = await scene().stored.readWhole(`${at}/appended`, 'v1');
    expect(digests).toHaveLength(2 + (contents['image']?.blobs.size ?? 0));
  });

  test('it tags, lists, and deletes', async () => {
    await crane('tag', name('image:v1'), 'v2');
    expect(await crane('ls', name('image'))).toBe('v1\nv2\n');
    const digest = (await crane('digest', name('image:v2'))).trim();
    await crane('delete', name(`image@${digest}`));
    const gone = await scene().stored.call(`${at}/image`, `manifests/${digest}`, { method: 'HEAD' });
    expect(gone.status).toBe(404);
    expect((await client.run('crane', ['manifest', ...flags, name('image:v1')])).stderr).toContain('MANIFEST_UNKNOWN');
  });

  // Neither release serves referrers: crane finds that out through us, and falls back to a tag, as the specification has it.
  test('it lists an artifact with a subject under the tag of the subject’s digest', async () => {
    await pushContent(client, subject, name('signed:v1'), flags);
    await pushContent(client, signature, name('signed:v1.sig'), flags);
    const tag = subject.digest.replace(':', '-');
    expect(JSON.parse(await crane('manifest', name(`signed:${tag}`))).manifests).toMatchObject([
      { digest: signature.digest, artifactType },
    ]);
    expect((await scene().stored.readWhole(`${at}/signed`, tag)).digests).toContain(signature.digest);
  });
});
