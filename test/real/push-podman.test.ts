import { beforeAll, expect, test } from 'vitest';
import type { ClientHome } from './support/clients.ts';
import { pushBase } from './support/push-base.ts';
import { describePushesAsRoot } from './support/push-suite.ts';

const storage = ['--storage-driver=vfs', '--events-backend=none', '--cgroup-manager=cgroupfs'];

describePushesAsRoot('podman', ['podman', 'runc', 'busybox', 'crane'], ({ form, scene }) => {
  let client: ClientHome;
  const at = form === 'path form' ? 'by-path' : 'by-host';
  const name = (repository: string) => scene().image(form, `${at}/${repository}`);
  const podman = (...args: string[]) => client.mustRun('podman', [...storage, ...args]);

  beforeAll(async () => {
    client = await scene().makeClient({ isRoot: true });
    await pushBase(client, scene().image('path form', `${at}/base:v1`));
  });

  test('it pulls a private image, pushes it under another name, and pulls that', async () => {
    await podman('pull', '--quiet', '--tls-verify=false', name('base:v1'));
    await podman('tag', name('base:v1'), name('again:v1'));
    await podman('push', '--tls-verify=false', name('again:v1'));
    const { digest } = await scene().stored.readWhole(`${at}/again`, 'v1');
    await podman('rmi', '--all', '--force');
    await podman('pull', '--quiet', '--tls-verify=false', `${name('again')}@${digest}`);
    const [image] = JSON.parse(await podman('image', 'inspect', `${name('again')}@${digest}`));
    expect(image.Digest).toBe(digest);
  });
});
