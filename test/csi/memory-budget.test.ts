import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MemoryBudget } from '../../csi/memory-budget.ts';
import { memoryFor, memoryOf } from '../../csi/volume-mount.ts';
import { type PublishOptions, publishRequest, unpublishRequest } from './support/kubelet.ts';
import { requireMounts } from './support/require-mounts.ts';
import { openScene } from './support/scene.ts';

const mebibyte = 1_048_576;

describe('the memory of a node', () => {
  test('is for all namespaces, and half of it for one', () => {
    const budget = new MemoryBudget(10 * mebibyte);
    budget.take('a', 'team', 5 * mebibyte);
    expect(() => budget.take('b', 'team', 1)).toThrow('of namespace team on this node may take 5 MiB');
    budget.take('c', 'other', 5 * mebibyte);
    expect(() => budget.take('d', 'third', 1)).toThrow('of this node may take 10 MiB');
    budget.release('c');
    budget.take('d', 'third', 1);
  });

  test('is not refused to a volume that takes no more than before', () => {
    const budget = new MemoryBudget(10);
    budget.recover('a', 20);
    budget.take('a', 'team', 20);
    budget.take('a', 'team', 19);
    expect(() => budget.take('a', 'team', 20)).toThrow('too little left');
  });

  test('counts what was there before, and for its namespace once that is known', () => {
    const budget = new MemoryBudget(10);
    budget.recover('a', 5);
    budget.take('b', 'team', 1);
    budget.release('b');
    budget.assign('a', 'team');
    expect(() => budget.take('b', 'team', 1)).toThrow('of namespace team');
    expect(() => budget.take('b', 'other', 6)).toThrow('of this node');
    budget.assign('gone', 'other');
    budget.take('b', 'other', 5);
  });
});

requireMounts()('volumes that take all the memory of a node', () => {
  /** Each volume has a file of 1 MB, and three of them fit, one of a namespace. */
  async function open() {
    const parts = new AsyncDisposableStack();
    const scene = await openScene(parts, { volumesBytes: 3_110_000 });
    let size = 1_000_000;
    const { answer } = scene.source;
    scene.source.answer = async (question, signal) => {
      const { files, ...rest } = await answer(question, signal);
      return { ...rest, files: [...files, { name: 'large', content: 'x'.repeat(size) }] };
    };
    const publish = async (name: string, namespace: string, options: PublishOptions = {}) =>
      await scene.node.call('NodePublishVolume', publishRequest(await scene.target(name), { namespace, ...options }));
    const resize = (bytes: number) => {
      size = bytes;
    };
    return { scene, publish, resize, [Symbol.asyncDispose]: () => parts.disposeAsync() };
  }
  const full = { code: 'RESOURCE_EXHAUSTED', message: expect.stringContaining('--volumes-mib') };

  test('are followed by none, until one goes', async () => {
    await using node = await open();
    const { scene, publish } = node;
    expect(await publish('a', 'one')).toMatchObject({ code: 'OK' });
    expect(await publish('a2', 'one')).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringContaining('namespace one'),
    });
    for (const name of ['two', 'three']) expect(await publish(name, name)).toMatchObject({ code: 'OK' });
    expect(await publish('four', 'four')).toMatchObject(full);
    await expect(stat(await scene.target('four'))).rejects.toThrow('ENOENT');
    await scene.node.call('NodeUnpublishVolume', unpublishRequest(await scene.target('two')));
    expect(await publish('four', 'four')).toMatchObject({ code: 'OK' });
  });

  test('get their new tokens, but no more files', async () => {
    await using node = await open();
    const { scene, publish, resize } = node;
    for (const name of ['one', 'two', 'three']) expect(await publish(name, name)).toMatchObject({ code: 'OK' });
    expect(await publish('one', 'one', { token: 'second' })).toMatchObject({ code: 'OK' });
    resize(1_040_000);
    expect(await publish('two', 'two', { token: 'second' })).toMatchObject(full);
    expect(await readFile(join(await scene.target('two'), 'context.token'), 'utf8')).toBe('pod-token');
    resize(900_000);
    expect(await publish('three', 'three', { token: 'second' })).toMatchObject({ code: 'OK' });
    expect(await readFile(join(await scene.target('three'), 'context.token'), 'utf8')).toBe('second');
  });

  test('are counted by a driver that was started anew', async () => {
    await using node = await open();
    const { scene, publish } = node;
    for (const name of ['one', 'two', 'three']) expect(await publish(name, name)).toMatchObject({ code: 'OK' });
    await scene.restart();
    expect(await publish('four', 'four')).toMatchObject(full);
    // Nobody asked, but it is known again whose the volume is.
    await scene.node.call('NodeUnpublishVolume', unpublishRequest(await scene.target('two')));
    expect(await publish('one', 'one')).toMatchObject({ code: 'OK' });
    expect(await publish('one-2', 'one')).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(await publish('four', 'four')).toMatchObject({ code: 'OK' });
  });

  test('take what was reckoned', async () => {
    await using node = await open();
    await node.publish('a', 'one');
    const target = await node.scene.target('a');
    const names = ['config.json', 'context.token', 'large'];
    const files = new Map(
      await Promise.all(names.map(async (name) => [name, await readFile(join(target, name), 'utf8')] as const)),
    );
    expect(await memoryOf(target)).toBe(memoryFor(files));
  });
});
