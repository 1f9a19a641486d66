import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Step } from './support/driver-process.ts';
import { connectTo, publishRequest, unpublishRequest } from './support/kubelet.ts';
import { requireMounts } from './support/require-mounts.ts';
import { makeTarget, mountedBelow, openScene, removeRoot } from './support/scene.ts';

const mounts = () => readFile('/proc/mounts', 'utf8');
const below = async (folder: string) => (await mounts()).split('\n').filter((line) => line.includes(folder));
const count = (length: number) => Array.from({ length }, (_, at) => at);

requireMounts()('200 pods at once', () => {
  test('leave the mounts as they were', async () => {
    await using parts = new AsyncDisposableStack();
    const { kubeletRoot, node, target, source, driver } = await openScene(parts);
    let asks = 0;
    let mostAsks = 0;
    const { answer } = source;
    source.answer = async (question, signal) => {
      asks += 1;
      mostAsks = Math.max(mostAsks, asks);
      await new Promise((resolve) => setImmediate(resolve));
      asks -= 1;
      return await answer(question, signal);
    };
    const paths = await Promise.all(count(200).map((at) => target(`pod-${at}`)));
    const all = (method: string, request: (path: string) => object) =>
      Promise.all(
        paths.map((path) => node.call(method, request(path), { timeoutMs: 120_000 }).then(({ code }) => code)),
      );

    expect(new Set(await all('NodePublishVolume', publishRequest))).toEqual(new Set(['OK']));
    expect(await mountedBelow(kubeletRoot)).toHaveLength(200);
    expect(driver.mountedVolumes).toBe(200);
    expect(mostAsks).toBeLessThanOrEqual(16);
    // Each is published again while it is taken away.
    const [again, gone] = await Promise.all([
      all('NodePublishVolume', publishRequest),
      all('NodeUnpublishVolume', unpublishRequest),
    ]);
    expect(new Set([...again, ...gone])).toEqual(new Set(['OK']));
    expect(new Set(await all('NodeUnpublishVolume', unpublishRequest))).toEqual(new Set(['OK']));
    expect(await below(kubeletRoot)).toEqual([]);
    for (const path of paths) await expect(stat(path)).rejects.toThrow('ENOENT');
    expect(driver.mountedVolumes).toBe(0);
  }, 300_000);
});

// Commands to mount that are under way outlive their driver: up to 3 volumes more are mounted each time.
/** At which step, and the how manieth time that anybody comes to it, the driver is killed. */
const deaths: readonly (readonly [Step, number])[] = [
  ['answer', 5],
  ['mounted', 1],
  ['mounted', 3],
  ['mounted', 5],
  ['none', 0],
  ['swapped', 1],
  ['swapped', 20],
];

requireMounts()('a driver that is killed again and again amid 40 publishes', () => {
  test('is followed by one that publishes all of them, and takes all of them away', async () => {
    await using parts = new AsyncDisposableStack();
    const kubeletRoot = await realpath(await mkdtemp(join(tmpdir(), 'csi-')));
    parts.defer(() => removeRoot(kubeletRoot));
    const paths = await Promise.all(count(40).map((at) => makeTarget(kubeletRoot, `pod-${at}`)));
    const start = async (step: Step, nth: number) => {
      const program = join(import.meta.dirname, 'support/driver-process.ts');
      const child = spawn(process.execPath, [program, kubeletRoot, step, String(nth)]);
      parts.defer(() => void child.kill('SIGKILL'));
      await once(child.stdout, 'data');
      const node = connectTo(join(kubeletRoot, 'plugins/connectors-csi/csi.sock'));
      parts.defer(() => node.close());
      return {
        child,
        all: (method: string, request: (path: string) => object) =>
          Promise.all(paths.map(async (path) => (await node.call(method, request(path), { timeoutMs: 120_000 })).code)),
      };
    };
    for (const [round, [step, nth]] of deaths.entries()) {
      const { child, all } = await start(step, nth);
      const exit = once(child, 'exit');
      const results = await all('NodePublishVolume', (path) => publishRequest(path, { token: `round-${round}` }));
      expect(new Set(results).has('UNAVAILABLE'), step).toBe(step !== 'none');
      if (step === 'none') child.kill('SIGKILL');
      expect(await exit).toEqual([null, 'SIGKILL']);
    }
    const { all } = await start('unmounted', 11);
    const publishLast = (path: string) => publishRequest(path, { token: 'last' });
    expect(new Set(await all('NodePublishVolume', publishLast))).toEqual(new Set(['OK']));
    expect(await below(kubeletRoot)).toHaveLength(40);
    for (const path of paths) {
      expect(await readFile(join(path, 'context.token'), 'utf8')).toBe('last');
      expect((await readdir(path)).filter((name) => name.startsWith('..'))).toHaveLength(2);
    }
    expect(await all('NodeUnpublishVolume', unpublishRequest)).toContain('UNAVAILABLE');
    const last = await start('none', 0);
    expect(new Set(await last.all('NodeUnpublishVolume', unpublishRequest))).toEqual(new Set(['OK']));
    for (const path of paths) await expect(stat(path)).rejects.toThrow('ENOENT');
    expect(await below(kubeletRoot)).toEqual([]);
  }, 300_000);
});
