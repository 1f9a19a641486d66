import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { makeImage, makeIndex, type OciContent } from '../support/image.ts';
import type { ClientHome } from './support/clients.ts';
import { readOciLayout, writeOciLayout } from './support/oci-layout.ts';
import { describePushes } from './support/push-suite.ts';

const contents: Readonly<Record<string, OciContent>> = {
  image: makeImage({ layerBytes: 256 * 1024, seed: 'skopeo' }),
  index: makeIndex(),
};

describePushes('skopeo', ['skopeo'], ({ form, scene }) => {
  let client: ClientHome;
  const at = form === 'path form' ? 'by-path' : 'by-host';
  const name = (repository: string) => scene().image(form, `${at}/${repository}`);
  const skopeo = (...args: string[]) => client.mustRun('skopeo', args);
  const makeFolder = () => mkdtemp(join(client.folder, 'layout-'));

  beforeAll(async () => {
    client = await scene().makeClient();
  });

  test.each(Object.entries(contents))('it copies an %s to the registry and back', async (kind, content) => {
    const [source, target] = [await makeFolder(), await makeFolder()];
    await writeOciLayout(source, content, 'seed');
    await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${source}:seed`, `docker://${name(`${kind}:v1`)}`);
    const { digest, digests } = await scene().stored.readWhole(`${at}/${kind}`, 'v1');
    expect(digest).toBe(content.digest);
    await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${name(`${kind}:v1`)}`, `oci:${target}:v1`);
    expect([...(await readOciLayout(target))]).toEqual(expect.arrayContaining([...digests]));
  });

  test('it copies from one repository to another', async () => {
    const flags = ['--all', '--src-tls-verify=false', '--dest-tls-verify=false'];
    await skopeo('copy', ...flags, `docker://${name('index:v1')}`, `docker://${name('copy:v1')}`);
    expect((await scene().stored.readWhole(`${at}/copy`, 'v1')).digest).toBe(contents['index']?.digest);
  });

  test('it syncs a repository to a folder, and the folder to the registry', async () => {
    const folder = await makeFolder();
    await skopeo('sync', '--src=docker', '--dest=dir', '--src-tls-verify=false', name('image'), folder);
    await skopeo('sync', '--src=dir', '--dest=docker', '--dest-tls-verify=false', folder, name('synced'));
    expect((await scene().stored.readWhole(`${at}/synced/image`, 'v1')).digest).toBe(contents['image']?.digest);
  });

  test('it lists tags and deletes', async () => {
    const { Tags } = JSON.parse(await skopeo('list-tags', '--tls-verify=false', `docker://${name('copy')}`));
    expect(Tags).toEqual(['v1']);
    await skopeo('delete', '--tls-verify=false', `docker://${name('copy:v1')}`);
    expect((await scene().stored.call(`${at}/copy`, 'manifests/v1', { method: 'HEAD' })).status).toBe(404);
  });
});
