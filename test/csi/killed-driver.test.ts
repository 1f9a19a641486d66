import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ProxyError } from '../../platform/errors.ts';
import { publishRequest } from './support/kubelet.ts';
import { requireMounts } from './support/require-mounts.ts';
import { mountedBelow } from './support/scene.ts';
import { refreshAfterMs } from './support/source.ts';
import { ok, openVolume } from './support/volume.ts';

const modeOf = async (path: string) => ((await stat(path)).mode & 0o7777).toString(8);

requireMounts()('a driver that was killed', () => {
  /** What the disk looks like after each step of a publish. */
  const states: Readonly<Record<string, (path: string) => Promise<void>>> = {
    'before the mount': (path) => mkdir(path),
    'before the first file': async (path) => {
      await mkdir(path);
      execFileSync('mount', ['-t', 'tmpfs', 'connectors-csi', path]);
    },
    'among the files': async (path) => {
      await states['before the first file']?.(path);
      await mkdir(join(path, '..1.half'), { mode: 0o700 });
      await writeFile(join(path, '..1.half/config.json'), 'ha');
    },
    'before the swap': async (path) => {
      await states['among the files']?.(path);
      await symlink('..1.half', join(path, '..data_tmp'));
    },
    'after the swap': async (path) => {
      await states['before the first file']?.(path);
      await mkdir(join(path, '..1.whole'));
      await writeFile(join(path, '..1.whole/gone.json'), '{}');
      await symlink('..1.whole', join(path, '..data'));
    },
  };

  test.each(Object.keys(states))('%s is followed by one that publishes', async (step) => {
    await using volume = await openVolume();
    const { scene, path, publish, unpublish } = volume;
    await states[step]?.(path);
    expect(await publish()).toMatchObject(ok);
    expect(await mountedBelow(scene.kubeletRoot)).toEqual([path]);
    const names = (await readdir(path)).filter((name) => name !== '..data' && !/^\.\.\d+\.[0-9a-f]{8}$/.test(name));
    expect(names.toSorted()).toEqual(['config.json', 'context.token']);
    expect(await readFile(join(path, 'context.token'), 'utf8')).toBe('pod-token');
    expect(await unpublish()).toMatchObject(ok);
    await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  test.each(Object.keys(states))('%s is followed by one that takes it away', async (step) => {
    await using volume = await openVolume();
    await states[step]?.(volume.path);
    expect(await volume.unpublish()).toMatchObject(ok);
    expect(await mountedBelow(volume.scene.kubeletRoot)).toEqual([]);
    await expect(stat(volume.path)).rejects.toThrow('ENOENT');
  });

  test('before its files were whole leaves no mount when the centre refuses', async () => {
    await using volume = await openVolume();
    await states['before the swap']?.(volume.path);
    volume.scene.source.answer = () => {
      throw new ProxyError('CONNECTOR_UNKNOWN', 'there is no demo/harbor');
    };
    expect(await volume.publish()).toMatchObject({ code: 'NOT_FOUND', message: 'there is no demo/harbor' });
    expect(await mountedBelow(volume.scene.kubeletRoot)).toEqual([]);
  });

  test('after the swap has its links made, and nobody asked', async () => {
    await using volume = await openVolume();
    const { scene, path, publish } = volume;
    await publish();
    await rm(join(path, 'config.json'));
    await symlink('..data/old', join(path, 'old'));
    await mkdir(join(path, '..0.old'));
    await scene.restart();
    expect(await scene.node.call('NodePublishVolume', publishRequest(path))).toMatchObject(ok);
    expect(scene.source.asked).toHaveLength(1);
    expect((await readdir(path)).filter((name) => !/^\.\.\d/.test(name)).toSorted()).toEqual([
      '..data',
      'config.json',
      'context.token',
    ]);
    expect((await readdir(path)).filter((name) => name === '..0.old')).toEqual([]);
  });

  test.each<[string, (file: string) => Promise<void>]>([
    ['mode', (file) => chmod(file, 0o666)],
    ['group', (file) => chown(file, 0, 1234)],
  ])(
    'leaves a file whose %s somebody changed: it is written anew, though its content is the same',
    async (_, change) => {
      await using volume = await openVolume();
      const { scene, path, publish } = volume;
      await publish();
      await change(join(path, 'config.json'));
      await scene.timers.advance(refreshAfterMs);
      expect(await publish()).toMatchObject(ok);
      expect(scene.results.at(-1)).toBe('refreshed');
      expect(await modeOf(join(path, 'config.json'))).toBe('444');
      expect((await stat(join(path, 'config.json'))).gid).toBe(0);
    },
  );

  test('leaves files whose owner or mode somebody changed: the next refresh writes them anew', async () => {
    await using volume = await openVolume();
    const { path, publish } = volume;
    await publish();
    await chmod(join(path, 'config.json'), 0o666);
    await chown(join(path, 'context.token'), 0, 1234);
    expect(await publish({ token: 'next' })).toMatchObject(ok);
    expect(await modeOf(join(path, 'config.json'))).toBe('444');
    expect((await stat(join(path, 'context.token'))).gid).toBe(0);
  });
});
