import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { type Buildkit, startBuildkit } from './support/buildkit.ts';
import type { ClientHome } from './support/clients.ts';
import { pushBase } from './support/push-base.ts';
import { describePushesAsRoot } from './support/push-suite.ts';

const parts = ['buildkitd', 'buildctl', 'runc', 'busybox', 'crane'] as const;

describePushesAsRoot('buildkit', parts, ({ form, scene }) => {
  let client: ClientHome;
  let buildkit: Buildkit | undefined;
  const at = form === 'path form' ? 'by-path' : 'by-host';
  const name = (repository: string) => scene().image(form, `${at}/${repository}`);

  beforeAll(async () => {
    client = await scene().makeClient({ isRoot: true });
    await pushBase(client, scene().image('path form', `${at}/base:v1`));
  });
  afterEach(() => buildkit?.stop());

  const timeout = 60_000;

  test('it builds upon a private image, pushes image and cache, and builds from the cache elsewhere', {
    timeout,
  }, async () => {
    const context = await mkdtemp(join(client.folder, 'context-'));
    await writeFile(join(context, 'Containerfile'), `FROM ${name('base:v1')}\nRUN echo ${at} > /built\n`);
    buildkit = await startBuildkit(client, { plainHttpHosts: [scene().host(form)] });
    const cache = `type=registry,ref=${name('cache:v1')}`;
    await buildkit.build(context, [
      `--output=type=image,name=${name('built:v1')},push=true,oci-mediatypes=true`,
      `--export-cache=${cache},mode=max,image-manifest=true,oci-mediatypes=true`,
    ]);
    await buildkit.stop();
    const built = await scene().stored.readWhole(`${at}/built`, 'v1');
    expect((await scene().stored.readWhole(`${at}/cache`, 'v1')).digests.length).toBeGreaterThan(2);

    buildkit = await startBuildkit(client, { plainHttpHosts: [scene().host(form)] });
    await buildkit.build(context, [
      `--output=type=image,name=${name('rebuilt:v1')},push=true,oci-mediatypes=true`,
      `--import-cache=${cache}`,
    ]);
    // A step that ran again would have made another layer: its file carries the time.
    expect((await scene().stored.readWhole(`${at}/rebuilt`, 'v1')).layers).toEqual(built.layers);
  });
});
