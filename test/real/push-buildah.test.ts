import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { ClientHome } from './support/clients.ts';
import { pushBase } from './support/push-base.ts';
import { describePushesAsRoot } from './support/push-suite.ts';

const storage = ['--storage-driver=vfs'];

describePushesAsRoot('buildah', ['buildah', 'runc', 'busybox', 'crane'], ({ form, scene }) => {
  let client: ClientHome;
  const at = form === 'path form' ? 'by-path' : 'by-host';
  const name = (repository: string) => scene().image(form, `${at}/${repository}`);
  const buildah = (...args: string[]) => client.mustRun('buildah', [...storage, ...args]);

  beforeAll(async () => {
    client = await scene().makeClient({ isRoot: true });
    await pushBase(client, scene().image('path form', `${at}/base:v1`));
  });

  test('it builds upon a private image, pushes what it built, and pulls it again', async () => {
    const context = join(client.folder, 'context');
    await mkdir(context);
    await writeFile(join(context, 'Containerfile'), `FROM ${name('base:v1')}\nRUN echo ${at} > /built\n`);
    await buildah('bud', '--tls-verify=false', '--isolation=chroot', '--tag', name('built:v1'), context);
    await buildah('push', '--tls-verify=false', '--format=oci', name('built:v1'));
    const { digest } = await scene().stored.readWhole(`${at}/built`, 'v1');
    await buildah('rmi', '--all', '--force');
    const id = (await buildah('pull', '--quiet', '--tls-verify=false', name('built:v1'))).trim();
    expect(JSON.parse(await buildah('inspect', '--type=image', id)).FromImageDigest).toBe(digest);
  });
});
