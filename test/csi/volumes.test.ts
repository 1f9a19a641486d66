import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, readlink, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { mountsAt } from '../../csi/mount-table.ts';
import { ProxyError } from '../../platform/errors.ts';
import { publishRequest } from './support/kubelet.ts';
import { requireMounts } from './support/require-mounts.ts';
import { mountedBelow, openScene } from './support/scene.ts';
import { ok, openVolume } from './support/volume.ts';

const modeOf = async (path: string) => ((await stat(path)).mode & 0o7777).toString(8);

requireMounts()('a volume', () => {
  test('is a small tmpfs that nothing can be executed from, with the files of the centre', async () => {
    await using volume = await openVolume();
    const { scene, path, publish } = volume;
    expect(await publish()).toMatchObject(ok);
    expect(await mountedBelow(scene.kubeletRoot)).toEqual([path]);
    const [options = ''] = readFileOf('/proc/self/mounts', (line) => line.split(' ')[1] === path);
    expect(options).toMatch(/^connectors-csi \S+ tmpfs rw,nosuid,nodev,noexec,noatime,size=64k,nr_inodes=22,mode=755/);
    expect(await readFile(join(path, 'context.token'), 'utf8')).toBe('pod-token');
    expect(scene.source.asked).toEqual([
      {
        token: 'pod-token',
        isRefresh: false,
        want: { connectors: [{ namespace: 'demo', name: 'harbor' }], names: [], excluded: [], params: {} },
      },
    ]);
  });

  test('has the layout of the kubelet, readable for all behind its private folder', async () => {
    await using volume = await openVolume();
    const { path, publish } = volume;
    await publish();
    const current = await readlink(join(path, '..data'));
    expect((await readdir(path)).toSorted()).toEqual(['..data', current, 'config.json', 'context.token'].toSorted());
    expect(await readlink(join(path, 'config.json'))).toBe('..data/config.json');
    expect(await modeOf(path)).toBe('755');
    expect(await modeOf(join(path, current))).toBe('755');
    expect(await modeOf(join(path, 'config.json'))).toBe('444');
    expect(await modeOf(join(path, '..data/..state.json'))).toBe('400');
    expect(await readFile(join(path, '..data/..state.json'), 'utf8')).not.toContain('pod-token');
  });

  test('is for the group of the pod alone, where it has one', async () => {
    await using volume = await openVolume();
    const { path, publish } = volume;
    expect(await publish({ group: '2000' })).toMatchObject(ok);
    for (const [name, mode] of [
      ['.', '2750'],
      ['..data', '2750'],
      ['config.json', '440'],
    ] as const) {
      expect([name, await modeOf(join(path, name)), (await stat(join(path, name))).gid]).toEqual([name, mode, 2000]);
    }
    expect(await modeOf(join(path, '..data/..state.json'))).toBe('400');
  });

  test('grows with its files', async () => {
    await using volume = await openVolume();
    const { scene, path, publish } = volume;
    await publish();
    const content = 'x'.repeat(200_000);
    const before = scene.source.answer;
    scene.source.answer = async (question, signal) => ({
      ...(await before(question, signal)),
      files: Array.from({ length: 5 }, (_, at) => ({ name: `${at}.json`, content: content + at })),
    });
    expect(await publish({ token: 'next' })).toMatchObject(ok);
    expect(await readFile(join(path, '4.json'), 'utf8')).toBe(`${content}4`);
    expect((await readdir(path)).filter((name) => !name.startsWith('..'))).toHaveLength(5);
    // And again, beside as many.
    expect(await publish({ token: 'third' })).toMatchObject(ok);
  });

  test('grows with the number of its files, where there are bytes enough', async () => {
    await using volume = await openVolume();
    const { scene, path, publish } = volume;
    const before = scene.source.answer;
    const answer = (files: { name: string; content: string }[]) => {
      scene.source.answer = async (question, signal) => ({ ...(await before(question, signal)), files });
    };
    answer([{ name: 'one', content: 'x'.repeat(1_000_000) }]);
    expect(await publish()).toMatchObject(ok);
    answer(Array.from({ length: 100 }, (_, at) => ({ name: `${at}`, content: '' })));
    expect(await publish({ token: 'next' })).toMatchObject(ok);
    expect((await readdir(path)).filter((name) => !name.startsWith('..'))).toHaveLength(100);
  });

  test('is not there when the centre refuses, with its message for the pod', async () => {
    await using volume = await openVolume();
    const { scene, path, publish } = volume;
    let mountsWhenAsked: readonly string[] = ['?'];
    scene.source.answer = async () => {
      mountsWhenAsked = await mountedBelow(scene.kubeletRoot);
      throw new ProxyError('ACCESS_DENIED', 'system:serviceaccount:team:default may not use demo/harbor');
    };
    expect(await publish()).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: 'system:serviceaccount:team:default may not use demo/harbor',
    });
    expect(mountsWhenAsked).toEqual([]);
    expect(await mountedBelow(scene.kubeletRoot)).toEqual([]);
    await expect(stat(path)).rejects.toThrow('ENOENT');
    expect(scene.results).toEqual(['team/app demo/harbor: system:serviceaccount:team:default may not use demo/harbor']);
  });

  test.each<[string, { name: string; content: string }[], string, string]>([
    ['a path in a name', [{ name: '../x', content: '' }], 'INTERNAL', 'a path in its name'],
    ['the name of an inner folder', [{ name: '..data', content: '' }], 'INTERNAL', 'a path in its name'],
    ['too much', [{ name: 'x', content: 'x'.repeat(1_048_577) }], 'RESOURCE_EXHAUSTED', '1048577 bytes'],
    [
      'too many',
      Array.from({ length: 257 }, (_, at) => ({ name: `${at}`, content: '' })),
      'RESOURCE_EXHAUSTED',
      '257 files',
    ],
  ])('is refused before it is mounted if the centre answers %s', async (_, files, code, message) => {
    await using volume = await openVolume();
    const { scene, path, publish } = volume;
    const before = scene.source.answer;
    scene.source.answer = async (question, signal) => ({ ...(await before(question, signal)), files });
    expect(await publish()).toMatchObject({ code, message: expect.stringContaining(message) });
    await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  test.each(['mount', 'write'])('leaves nothing when it fails at the %s', async (step) => {
    await using parts = new AsyncDisposableStack();
    let isBroken = true;
    const scene = await openScene(parts, {
      mounts: (real) => ({
        ...real,
        mount: async (target, limits) => {
          if (!isBroken) return await real.mount(target, limits);
          if (step === 'mount') throw new Error('mount: canary');
          // Too small for anything.
          await real.mount(target, { bytes: 4_096, inodes: 2 });
        },
      }),
    });
    const path = await scene.target('a');
    const result = await scene.node.call('NodePublishVolume', publishRequest(path));
    expect(result).toMatchObject({ code: 'INTERNAL', message: 'the driver failed; its log tells why' });
    expect(await mountedBelow(scene.kubeletRoot)).toEqual([]);
    await expect(stat(path)).rejects.toThrow('ENOENT');
    isBroken = false;
    expect(await scene.node.call('NodePublishVolume', publishRequest(path))).toMatchObject(ok);
  });

  test('is not mounted for a caller who has gone meanwhile', async () => {
    await using volume = await openVolume();
    const { scene, path } = volume;
    const before = scene.source.answer;
    scene.source.answer = async (question, signal) => {
      await once(signal, 'abort');
      return await before(question, signal);
    };
    const call = scene.node.call('NodePublishVolume', publishRequest(path), { timeoutMs: 300 });
    expect(await call).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    // One after the other: when this one is through, so is that.
    expect(await volume.unpublish()).toMatchObject(ok);
    expect(scene.results.filter((result) => result === 'mounted')).toEqual([]);
    expect(await mountedBelow(scene.kubeletRoot)).toEqual([]);
  });

  test('does not hide a file system that is not ours, nor take it away', async () => {
    await using volume = await openVolume();
    const { path, publish, unpublish } = volume;
    await mkdir(path);
    execFileSync('mount', ['-t', 'tmpfs', 'foreign', path]);
    const refusal = { code: 'FAILED_PRECONDITION', message: expect.stringContaining("not this driver's (tmpfs)") };
    expect(await publish()).toMatchObject(refusal);
    expect(await unpublish()).toMatchObject(refusal);
    expect(await mountsAt(path)).toMatchObject([{ source: 'foreign' }]);
    execFileSync('umount', [path]);
    expect(await publish()).toMatchObject(ok);
  });

  test('can stand in a folder with spaces and backslashes', async () => {
    await using volume = await openVolume();
    const { scene } = volume;
    const path = await scene.target('a b\\c\td');
    expect(await scene.node.call('NodePublishVolume', publishRequest(path))).toMatchObject(ok);
    expect(await scene.node.call('NodePublishVolume', publishRequest(path))).toMatchObject(ok);
    expect(await mountedBelow(scene.kubeletRoot)).toEqual([path]);
    expect(await volume.unpublish(path)).toMatchObject(ok);
    expect(await mountedBelow(scene.kubeletRoot)).toEqual([]);
  });

  test('is never outside of the folder of the kubelet', async () => {
    await using volume = await openVolume();
    const { scene, path, publish, unpublish } = volume;
    const outside = join(scene.kubeletRoot, '../csi-outside');
    await mkdir(outside, { recursive: true });
    const link = join(scene.kubeletRoot, 'pods/link');
    await symlink(outside, link);
    await symlink(outside, path);
    for (const [target, message] of [
      ['/etc/oci', 'not below'],
      [`${scene.kubeletRoot}-2/x`, 'not below'],
      [scene.kubeletRoot, 'not below'],
      [`${scene.kubeletRoot}/pods/../../x`, '".."'],
      ['pods/a', 'no absolute path'],
      [join(link, 'x'), 'not below'],
      [path, 'symbolic link'],
      [`${scene.kubeletRoot}/${'x/'.repeat(3_000)}`, 'no absolute path'],
    ] as const) {
      const refusal = { code: 'INVALID_ARGUMENT', message: expect.stringContaining(message) };
      expect(await scene.node.call('NodePublishVolume', publishRequest(target))).toMatchObject(refusal);
      expect(await unpublish(target)).toMatchObject(refusal);
    }
    expect(scene.source.asked).toEqual([]);
    await rm(path);
    expect(await publish()).toMatchObject(ok);
    await rm(outside, { recursive: true });
  });

  test('needs the folder that the kubelet makes for it', async () => {
    await using volume = await openVolume();
    const { scene, publish, unpublish, path } = volume;
    await rm(join(scene.kubeletRoot, 'pods'), { recursive: true });
    expect(await publish()).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await unpublish()).toMatchObject(ok);
    await expect(stat(dirname(path))).rejects.toThrow('ENOENT');
  });
});

function readFileOf(path: string, keep: (line: string) => boolean): string[] {
  return execFileSync('cat', [path], { encoding: 'utf8' }).split('\n').filter(keep);
}
