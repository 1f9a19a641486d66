import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ConfigurationWant } from '../../connectors/configurations/protocol.ts';
import { ProxyError, type ProxyErrorCode } from '../../platform/errors.ts';
import { type PublishOptions, publishRequest, unpublishRequest } from './support/kubelet.ts';
import { requireMounts } from './support/require-mounts.ts';
import { openScene, type SceneOptions } from './support/scene.ts';
import { refreshAfterMs, tokenLifeMs } from './support/source.ts';

/** A volume that is mounted, and the kubelet's return to it. */
async function openMounted(options: SceneOptions = {}) {
  const parts = new AsyncDisposableStack();
  const scene = await openScene(parts, options);
  const paths = { a: await scene.target('a'), b: await scene.target('b') };
  const publish = async (options: PublishOptions = {}, path = paths.a): Promise<string> => {
    const before = scene.results.length;
    const { code } = await scene.node.call('NodePublishVolume', publishRequest(path, options));
    return code === 'OK' ? (scene.results[before] ?? 'nobody was told') : code;
  };
  const token = (path = paths.a) => readFile(join(path, 'context.token'), 'utf8');
  const refuse = (code: ProxyErrorCode): void => {
    scene.source.answer = () => {
      throw new ProxyError(code, 'no');
    };
  };
  expect(await publish({ token: 'first' })).toBe('mounted');
  scene.source.asked.length = 0;
  scene.lines.length = 0;
  return { scene, paths, publish, token, refuse, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** The node's question for revisions comes after half of five minutes. */
const revisionsMs = 150_000;

requireMounts()('the kubelet comes back every minute', () => {
  test('and nobody is asked with the same token', async () => {
    await using volume = await openMounted();
    for (let minute = 0; minute < 5; minute += 1) {
      await volume.scene.timers.advance(60_000);
      expect(await volume.publish({ token: 'first' })).toBe('fresh');
    }
    expect(volume.scene.source.asked).toEqual([]);
    expect(volume.scene.lines).toEqual([]);
  });

  test('and a new token is in the files at once', async () => {
    await using volume = await openMounted();
    expect(await volume.publish({ token: 'second' })).toBe('refreshed');
    expect(volume.scene.source.asked).toMatchObject([{ token: 'second', isRefresh: true }]);
    expect(await volume.token()).toBe('second');
    expect(await volume.publish({ token: 'second' })).toBe('fresh');
  });

  test('and the centre is asked when it said so', async () => {
    await using volume = await openMounted();
    await volume.scene.timers.advance(refreshAfterMs - 1);
    expect(await volume.publish({ token: 'first' })).toBe('fresh');
    await volume.scene.timers.advance(1);
    expect(await volume.publish({ token: 'first' })).toBe('refreshed');
    expect(await volume.publish({ token: 'first' })).toBe('fresh');
  });

  test.each<[string, PublishOptions]>([
    ['another want', { attributes: { connectors: 'demo/harbor', 'configuration.names': 'dockerd' } }],
    ['another parameter', { attributes: { connectors: 'demo/harbor', 'configuration.params': '{"a":{"b":"c"}}' } }],
    ['another group', { group: '2000' }],
  ])('and %s is asked for', async (_, options) => {
    await using volume = await openMounted();
    expect(await volume.publish({ token: 'first', ...options })).toBe('refreshed');
    expect(await volume.publish({ token: 'first', ...options })).toBe('fresh');
  });

  test('and a driver that was started anew asks nobody', async () => {
    await using volume = await openMounted();
    await volume.scene.restart();
    expect(volume.scene.driver.mountedVolumes).toBe(0);
    expect(await volume.publish({ token: 'first' })).toBe('fresh');
    expect(volume.scene.source.asked).toEqual([]);
    expect(volume.scene.driver.mountedVolumes).toBe(1);
  });

  test('and a token that ends before the centre wants to be asked again is asked for', async () => {
    await using volume = await openMounted();
    const { scene, paths, publish } = volume;
    const { answer } = scene.source;
    scene.source.answer = async (question, signal) => ({
      ...(await answer(question, signal)),
      refreshAfter: Number.MAX_SAFE_INTEGER,
    });
    expect(await publish({ token: 'other' }, paths.b)).toBe('mounted');
    await scene.timers.advance(tokenLifeMs - 1);
    expect(await publish({ token: 'other' }, paths.b)).toBe('fresh');
    await scene.timers.advance(1);
    expect(await publish({ token: 'other' }, paths.b)).toBe('refreshed');
  });

  test('and files that a writer left in the middle are not taken for those of before', async () => {
    let isBroken = false;
    await using volume = await openMounted({
      settle: async () => {
        if (isBroken) throw new Error('disk');
      },
    });
    isBroken = true;
    expect(await volume.publish({ token: 'second' })).toBe('ABORTED');
    expect(await volume.token()).toBe('second');
    isBroken = false;
    expect(await volume.publish({ token: 'first' })).toBe('refreshed');
    expect(await volume.token()).toBe('first');
  });

  test('and files that are mounted no more are mounted again', async () => {
    await using volume = await openMounted();
    const { scene, paths, publish } = volume;
    await scene.node.call('NodeUnpublishVolume', unpublishRequest(paths.a));
    expect(await publish({ token: 'first' })).toBe('mounted');
  });
});

requireMounts()('a connector that changes', () => {
  test('is asked for by all its volumes, once each, and by no other', async () => {
    await using volume = await openMounted();
    const { scene, paths, publish } = volume;
    const other = { token: 'other', attributes: { connectors: 'demo/ghcr' } };
    expect(await publish(other, paths.b)).toBe('mounted');
    scene.source.revision = ({ connectors }: ConfigurationWant) => (connectors[0]?.name === 'harbor' ? '2' : '1');
    expect(await publish({ token: 'first' })).toBe('fresh');
    await scene.timers.advance(revisionsMs);
    expect(scene.source.askedRevisions).toHaveLength(1);
    expect(scene.source.askedRevisions[0]).toHaveLength(2);
    expect(await publish({ token: 'first' })).toBe('refreshed');
    expect(await publish({ token: 'first' })).toBe('fresh');
    expect(await publish(other, paths.b)).toBe('fresh');
  });

  test('is noticed by a second volume when the first was told of it by the centre', async () => {
    await using volume = await openMounted();
    const { scene, paths, publish } = volume;
    expect(await publish({ token: 'other' }, paths.b)).toBe('mounted');
    scene.source.revision = () => '2';
    expect(await publish({ token: 'second' })).toBe('refreshed');
    expect(await publish({ token: 'other' }, paths.b)).toBe('refreshed');
    expect(await publish({ token: 'second' })).toBe('fresh');
  });

  test('is one question for all volumes that want the same, and none for those that are gone', async () => {
    await using volume = await openMounted();
    const { scene, paths, publish } = volume;
    await publish({ token: 'other' }, paths.b);
    await scene.timers.advance(revisionsMs);
    expect(scene.source.askedRevisions.map((wants) => wants.length)).toEqual([1]);
    for (const path of Object.values(paths)) await scene.node.call('NodeUnpublishVolume', unpublishRequest(path));
    await scene.timers.advance(revisionsMs);
    expect(scene.source.askedRevisions).toHaveLength(1);
  });

  test('is noticed by a driver that was started anew, with the same token', async () => {
    await using volume = await openMounted();
    const { scene, publish } = volume;
    await scene.restart();
    expect(await publish({ token: 'first' })).toBe('fresh');
    scene.source.revision = () => '2';
    await scene.timers.advance(revisionsMs);
    expect(await publish({ token: 'first' })).toBe('refreshed');
  });

  test('is not noticed while nobody tells revisions, and files stay', async () => {
    await using volume = await openMounted();
    volume.scene.source.revisions = async () => {
      throw new ProxyError('CENTRE_UNREACHABLE', 'away');
    };
    await volume.scene.timers.advance(revisionsMs);
    expect(await volume.publish({ token: 'first' })).toBe('fresh');
  });

  test('to one that cannot be rendered is an error, and files stay', async () => {
    await using volume = await openMounted();
    volume.scene.source.revision = () => '';
    await volume.scene.timers.advance(revisionsMs);
    volume.refuse('CONNECTOR_UNKNOWN');
    expect(await volume.publish({ token: 'first' })).toBe('ABORTED');
    expect(await volume.token()).toBe('first');
  });
});

requireMounts()('while the centre is away', () => {
  test.each<ProxyErrorCode>([
    'CENTRE_UNREACHABLE',
    'ACCESS_UNAVAILABLE',
    'CALLER_LIMITED',
    'AGENT_UNKNOWN',
    'INTERNAL',
  ])('with %s files stay and all is well, until their token ends', async (code) => {
    await using volume = await openMounted();
    volume.refuse(code);
    expect(await volume.publish({ token: 'second' })).toBe('kept');
    await volume.scene.timers.advance(tokenLifeMs - 1);
    expect(await volume.publish({ token: 'second' })).toBe('kept');
    await volume.scene.timers.advance(1);
    expect(await volume.publish({ token: 'second' })).toMatch(/^(?:UNAVAILABLE|RESOURCE_EXHAUSTED|ABORTED)$/);
    expect(await volume.token()).toBe('first');
  });

  test('and its answer is not understood, files stay as well', async () => {
    await using volume = await openMounted();
    volume.scene.source.answer = () => {
      throw new TypeError('no JSON');
    };
    expect(await volume.publish({ token: 'second' })).toBe('kept');
  });

  test('a first publish is unavailable', async () => {
    await using volume = await openMounted();
    volume.refuse('CENTRE_UNREACHABLE');
    expect(await volume.publish({}, volume.paths.b)).toBe('UNAVAILABLE');
  });

  test.each<[string, PublishOptions]>([
    ['connectors', { attributes: { connectors: 'demo/ghcr' } }],
    ['parameters', { attributes: { connectors: 'demo/harbor', 'configuration.params': '{"a":{"b":"c"}}' } }],
    ['group', { group: '2000' }],
  ])('files of other %s are not good', async (_, options) => {
    await using volume = await openMounted();
    volume.refuse('CENTRE_UNREACHABLE');
    expect(await volume.publish({ token: 'first', ...options })).toBe('UNAVAILABLE');
  });

  test('and answers nothing at all, the first who asked wait, and nobody after them', async () => {
    await using volume = await openMounted();
    const { scene, publish } = volume;
    const paths = await Promise.all(Array.from({ length: 40 }, (_, at) => scene.target(`pod-${at}`)));
    const publishAll = (token: string) =>
      Promise.all(
        paths.map(async (path, at) => {
          const request = publishRequest(path, { token, pod: `app-${at}` });
          return (await scene.node.call('NodePublishVolume', request)).code;
        }),
      );
    expect(new Set(await publishAll('first'))).toEqual(new Set(['OK']));
    scene.source.asked.length = 0;
    scene.results.length = 0;
    const { answer } = scene.source;
    scene.source.answer = async (_, signal) => {
      await once(signal, 'abort');
      throw signal.reason;
    };
    const publishing = publishAll('second');
    // Their turns, and the time of all that wait for theirs.
    await expect.poll(() => scene.timers.waits.filter((ms) => ms === 30_000)).toHaveLength(40);
    expect(scene.source.asked).toHaveLength(16);
    await scene.timers.advance(30_000);
    expect(new Set(await publishing)).toEqual(new Set(['OK']));
    expect(scene.results).toEqual(paths.map(() => 'kept'));
    expect(scene.source.asked).toHaveLength(16);
    expect(await publish({ token: 'second' })).toBe('kept');
    expect(scene.source.asked).toHaveLength(16);
    // A pod without files is asked for all the same, and a good answer ends it.
    scene.source.answer = answer;
    expect(await publish({}, await scene.target('new'))).toBe('mounted');
    expect(await publish({ token: 'second' })).toBe('refreshed');
  });

  test('a pod with many volumes keeps no other pod waiting', async () => {
    await using volume = await openMounted();
    const { scene, publish } = volume;
    const { answer } = scene.source;
    const ending = new AbortController();
    scene.source.answer = async (question, signal) => {
      if (question.token === 'many' && !ending.signal.aborted)
        await once(AbortSignal.any([signal, ending.signal]), 'abort');
      return await answer(question, signal);
    };
    const paths = await Promise.all(Array.from({ length: 30 }, (_, at) => scene.target(`many-${at}`)));
    const many = paths.map((path) =>
      scene.node.call('NodePublishVolume', publishRequest(path, { token: 'many', pod: 'many' })),
    );
    await expect.poll(() => scene.source.asked.filter(({ token }) => token === 'many')).toHaveLength(4);
    expect(await publish({ token: 'second' })).toBe('refreshed');
    ending.abort();
    expect(new Set((await Promise.all(many)).map(({ code }) => code))).toEqual(new Set(['OK']));
  });

  test('it is asked again for good files after 5 seconds', async () => {
    await using volume = await openMounted();
    const { scene, publish, refuse } = volume;
    const { answer } = scene.source;
    refuse('CENTRE_UNREACHABLE');
    expect(await publish({ token: 'second' })).toBe('kept');
    scene.source.answer = answer;
    await scene.timers.advance(4_999);
    expect(await publish({ token: 'second' })).toBe('kept');
    await scene.timers.advance(1);
    expect(await publish({ token: 'second' })).toBe('refreshed');
  });

  test('a driver that was started anew keeps them too', async () => {
    await using volume = await openMounted();
    volume.refuse('CENTRE_UNREACHABLE');
    await volume.scene.restart();
    expect(await volume.publish({ token: 'second' })).toBe('kept');
  });
});

requireMounts()('a refusal', () => {
  test.each<[ProxyErrorCode, string]>([
    ['ACCESS_DENIED', 'PERMISSION_DENIED'],
    ['CALLER_UNKNOWN', 'UNAUTHENTICATED'],
    ['CONNECTOR_UNKNOWN', 'NOT_FOUND'],
    ['CONFIGURATION_UNKNOWN', 'NOT_FOUND'],
    ['CONFIGURATION_INVALID', 'FAILED_PRECONDITION'],
    ['CONFIGURATION_TOO_LARGE', 'RESOURCE_EXHAUSTED'],
  ])('%s is told, and files stay as they are', async (code, name) => {
    await using volume = await openMounted();
    const { scene, paths } = volume;
    const { answer } = scene.source;
    volume.refuse(code);
    // Final codes are for volumes that are not mounted: see StillMounted.
    expect(await scene.node.call('NodePublishVolume', publishRequest(paths.a, { token: 'second' }))).toMatchObject(
      name === 'RESOURCE_EXHAUSTED'
        ? { code: name, message: 'no' }
        : { code: 'ABORTED', message: `${name}: no; the volume stays mounted as it is` },
    );
    expect(scene.lines.map((line) => JSON.parse(line))).toMatchObject([{ code: name, reason: 'no' }]);
    expect(await volume.token()).toBe('first');
    volume.scene.source.answer = answer;
    expect(await volume.publish({ token: 'second' })).toBe('refreshed');
  });
});

requireMounts()('calls for one target', () => {
  test('come one after the other, and those for others meanwhile', async () => {
    await using volume = await openMounted();
    const { scene, paths, publish, token } = volume;
    const { answer } = scene.source;
    const held = Promise.withResolvers<void>();
    scene.source.answer = async (question, signal) => {
      if (question.token === 'held') await held.promise;
      return await answer(question, signal);
    };
    const order: string[] = [];
    const note = (name: string) => (result: unknown) => void order.push(`${name} ${result}`);
    const first = publish({ token: 'held' }).then(note('held'));
    await expect.poll(() => scene.source.asked.length).toBe(1);
    const unpublish = scene.node
      .call('NodeUnpublishVolume', unpublishRequest(paths.a))
      .then(({ code }) => note('unpublish')(code));
    expect(await publish({ token: 'b' }, paths.b)).toBe('mounted');
    expect(order).toEqual([]);
    held.resolve();
    await Promise.all([first, unpublish]);
    expect(order.map((line) => line.split(' ')[0])).toEqual(['held', 'unpublish']);
    await expect(token()).rejects.toThrow('ENOENT');
  });
});

requireMounts()('a driver that ends', () => {
  test('breaks its questions off, and good files stay', async () => {
    await using volume = await openMounted();
    const { scene, publish, token } = volume;
    scene.source.answer = async (_, signal) => {
      await once(signal, 'abort');
      throw signal.reason;
    };
    const publishing = publish({ token: 'second' });
    await expect.poll(() => scene.source.asked.length).toBe(1);
    await scene.driver.close();
    expect(await publishing).toBe('kept');
    expect(await token()).toBe('first');
  });
});
