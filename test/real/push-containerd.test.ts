import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeImage } from '../support/image.ts';
import { type Containerd, type ContainerdRelease, containerdParts, startContainerd } from './support/containerd.ts';
import { describePushes } from './support/push-suite.ts';
import { pushContent } from './support/seed.ts';

const image = makeImage({ layerBytes: 256 * 1024, seed: 'containerd' });
const releases = Object.keys(containerdParts) as ContainerdRelease[];

describe.each(releases)('release %s', (release) => {
  const parts = ['crane', ...containerdParts[release]] as const;
  describePushes('containerd', parts, ({ form, scene }) => {
    let containerd: Containerd;
    const at = form === 'path form' ? 'by-path' : 'by-host';
    const name = (repository: string) => scene().image(form, `${at}/${repository}`);

    beforeAll(async () => {
      const client = await scene().makeClient();
      await pushContent(client, image, scene().image('path form', `${at}/app:v1`));
      containerd = await startContainerd({ release, mounts: client.mounts });
    });
    afterAll(() => containerd?.stop());

    test('it pulls and unpacks an image, and pushes it to another repository', async () => {
      const { caller, stored } = scene();
      expect(await containerd.pull(name('app:v1'), caller && { credential: caller })).toMatchObject({ code: 0 });
      expect(await containerd.unpackedImages()).toEqual([name('app:v1')]);
      await containerd.ctr('images', 'tag', name('app:v1'), name('again:v1'));
      const user = caller === undefined ? [] : ['--user', `${caller.username}:${caller.password}`];
      const pushed = await containerd.ctr('images', 'push', '--plain-http', ...user, name('again:v1'));
      expect(pushed).toMatchObject({ code: 0 });
      expect((await stored.readWhole(`${at}/again`, 'v1')).digest).toBe(image.digest);
    });
  });
});
