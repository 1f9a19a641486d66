import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeLargeLayout } from './support/large-image.ts';
import { requireParts } from './support/parts.ts';
import { openPushScene, type PushScene } from './support/push-scene.ts';

const timeoutMs = 120_000;

requireParts(
  'registry',
  'crane',
  'unshare',
  'mount',
)('an image with a layer of 1 GiB', () => {
  let scene: PushScene;

  beforeAll(async () => {
    scene = await openPushScene('registry');
  });
  afterAll(() => scene?.close());

  test('is pushed and pulled whole', { timeout: 2 * timeoutMs }, async () => {
    const client = await scene.makeClient();
    const source = await mkdtemp(join(client.folder, 'source-'));
    const { digest, layer } = await writeLargeLayout(source, 1024);
    const image = scene.image('path form', 'large/app:v1');
    await client.mustRun('crane', ['push', source, image], { timeoutMs });
    await rm(source, { recursive: true });
    expect((await client.mustRun('crane', ['digest', image])).trim()).toBe(digest);
    const target = join(client.folder, 'target');
    await client.mustRun('crane', ['pull', '--format=oci', image, target], { timeoutMs });
    const pulled = createReadStream(join(target, 'blobs', layer.digest.replace(':', '/')));
    const hash = createHash('sha256');
    for await (const chunk of pulled) hash.update(chunk);
    expect(`sha256:${hash.digest('hex')}`).toBe(layer.digest);
    const { status, headers } = await scene.stored.call('large/app', `blobs/${layer.digest}`, { method: 'HEAD' });
    expect([status, Number(headers['content-length'])]).toEqual([200, layer.size]);
    expect(scene.leaks()).toEqual([]);
  });
});
