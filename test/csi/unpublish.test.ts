import { execFileSync } from 'node:child_process';
import { mkdir, open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mountsAt } from '../../csi/mount-table.ts';
import { requireMounts } from './support/require-mounts.ts';
import { mountedBelow } from './support/scene.ts';
import { ok, openVolume } from './support/volume.ts';

requireMounts()('unpublish', () => {
  test('leaves nothing, and is OK where there is nothing', async () => {
    await using volume = await openVolume();
    const { scene, path, publish, unpublish } = volume;
    expect(await unpublish()).toMatchObject(ok);
    await publish();
    expect(scene.driver.mountedVolumes).toBe(1);
    expect(await unpublish()).toMatchObject(ok);
    expect(await mountedBelow(scene.kubeletRoot)).toEqual([]);
    await expect(stat(path)).rejects.toThrow('ENOENT');
    expect(scene.driver.mountedVolumes).toBe(0);
    expect(await unpublish()).toMatchObject(ok);
  });

  test('takes away what a reboot has left: a folder without a mount', async () => {
    await using volume = await openVolume();
    await mkdir(volume.path);
    expect(await volume.unpublish()).toMatchObject(ok);
    await expect(stat(volume.path)).rejects.toThrow('ENOENT');
  });

  test('leaves a folder alone that somebody has put files into', async () => {
    await using volume = await openVolume();
    await mkdir(volume.path);
    await writeFile(join(volume.path, 'mine'), 'mine');
    expect(await volume.unpublish()).toMatchObject({ code: 'INTERNAL' });
    expect(await readFile(join(volume.path, 'mine'), 'utf8')).toBe('mine');
  });

  test('takes every layer away', async () => {
    await using volume = await openVolume();
    await volume.publish();
    for (const _ of [1, 2]) execFileSync('mount', ['-t', 'tmpfs', 'connectors-csi', volume.path]);
    expect(await mountsAt(volume.path)).toHaveLength(3);
    expect(await volume.unpublish()).toMatchObject(ok);
    expect(await mountsAt(volume.path)).toEqual([]);
    await expect(stat(volume.path)).rejects.toThrow('ENOENT');
  });

  test('does not wait for who has a file open', async () => {
    await using volume = await openVolume();
    await volume.publish();
    const file = await open(join(volume.path, 'config.json'));
    expect(await volume.unpublish()).toMatchObject(ok);
    await expect(stat(volume.path)).rejects.toThrow('ENOENT');
    expect(await file.readFile('utf8')).toContain('harbor');
    await file.close();
    expect(await mountedBelow(volume.scene.kubeletRoot)).toEqual([]);
  });

  test('needs an id and a target', async () => {
    await using volume = await openVolume();
    const call = (request: object) => volume.scene.node.call('NodeUnpublishVolume', request);
    expect(await call({ volume_id: '', target_path: volume.path })).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await call({ volume_id: 'x', target_path: '' })).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
