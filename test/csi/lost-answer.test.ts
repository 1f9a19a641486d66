import { stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ProxyError } from '../../platform/errors.ts';
import { publishRequest, unpublishRequest } from './support/kubelet.ts';
import { requireMounts } from './support/require-mounts.ts';
import { mountedBelow, openScene } from './support/scene.ts';

// After a final code the kubelet takes the volume for unmounted, and never calls NodeUnpublishVolume.
requireMounts()('a kubelet that does not know whether a volume is mounted', () => {
  test('is told nothing final by a refusal after an answer that was lost, and takes the volume away', async () => {
    await using parts = new AsyncDisposableStack();
    const mounted = Promise.withResolvers<void>();
    const scene = await openScene(parts, {
      mounts: (real) => ({
        ...real,
        mount: async (target, limits) => {
          await real.mount(target, limits);
          await mounted.promise;
        },
      }),
    });
    const target = await scene.target('a');
    const first = scene.node.call('NodePublishVolume', publishRequest(target), { timeoutMs: 300 });
    expect(await first).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    scene.source.answer = () => {
      throw new ProxyError('ACCESS_DENIED', 'may not');
    };
    mounted.resolve();
    const second = await scene.node.call('NodePublishVolume', publishRequest(target, { token: 'second' }));
    expect(second).toMatchObject({ code: 'ABORTED', message: expect.stringMatching(/^PERMISSION_DENIED: may not; /) });
    expect(await mountedBelow(scene.kubeletRoot)).toEqual([target]);
    expect(await scene.node.call('NodeUnpublishVolume', unpublishRequest(target))).toMatchObject({ code: 'OK' });
    await expect(stat(target)).rejects.toThrow('ENOENT');
  });

  test('is told nothing final where what was mounted cannot be taken away', async () => {
    await using parts = new AsyncDisposableStack();
    let isBusy = true;
    const scene = await openScene(parts, {
      mounts: (real) => ({
        ...real,
        // Too small for anything.
        mount: (target) => real.mount(target, { bytes: 4_096, inodes: 2 }),
        unmount: async (target) => {
          if (isBusy) throw new Error('busy');
          await real.unmount(target);
        },
      }),
    });
    const target = await scene.target('a');
    expect(await scene.node.call('NodePublishVolume', publishRequest(target))).toMatchObject({
      code: 'ABORTED',
      message: expect.stringContaining('could not be taken away'),
    });
    expect(await mountedBelow(scene.kubeletRoot)).toEqual([target]);
    isBusy = false;
    expect(await scene.node.call('NodeUnpublishVolume', unpublishRequest(target))).toMatchObject({ code: 'OK' });
  });
});
