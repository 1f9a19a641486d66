import { describe, expect, test } from 'vitest';
import { KubernetesError } from '../../../platform/kubernetes/client.ts';
import { type Informer, type InformerOptions, startInformer } from '../../../platform/kubernetes/informer.ts';
import { type KubernetesObject, resources } from '../../../platform/kubernetes/object.ts';
import { ManualTimers, settle } from './support/manual-timers.ts';
import { ScriptedClient } from './support/scripted-client.ts';

const object = (name: string, version: string, more = {}): KubernetesObject => ({
  metadata: { namespace: 'demo', name, resourceVersion: version },
  ...more,
});
const gone = new KubernetesError('gone', { status: 410, reason: 'Expired' });
const unreachable = new KubernetesError('unreachable', { status: 0, reason: 'Unreachable' });
const broken = new KubernetesError('half a mind', { status: 500, reason: 'InternalError' });

function start(options: Partial<InformerOptions<KubernetesObject>> = {}) {
  const client = new ScriptedClient();
  const timers = new ManualTimers();
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const informer = startInformer<KubernetesObject>({
    ...{ client, timers, onError, resource: resources.secrets, random: () => 1, ...options },
  });
  const changes: string[] = [];
  informer.onChange(({ key, current, previous }) => {
    const versions = [previous, current].map((one) => one?.metadata.resourceVersion ?? '-');
    changes.push(`${key.namespace}/${key.name} ${versions.join('→')}`);
  });
  return { client, timers, errors, informer, changes };
}

const names = (informer: Informer<KubernetesObject>): string[] => [...informer.list()].map((one) => one.metadata.name);

describe('an informer', () => {
  test('lists, then watches from the version of the list, with bookmarks and an end after five to ten minutes', async () => {
    const { client, informer, changes } = start({ namespace: 'demo', labelSelector: 'a=b', fieldSelector: 'c=d' });
    const list = await client.nextList();
    expect(informer.isSynced).toBe(false);
    list.answer('10', [object('a', '3'), object('b', '4')]);
    await informer.synced();
    const { options } = await client.nextWatch();
    const selection = { namespace: 'demo', labelSelector: 'a=b', fieldSelector: 'c=d' };
    expect(list.options).toMatchObject(selection);
    expect(options).toMatchObject({ ...selection, resourceVersion: '10', bookmarks: true, timeoutSeconds: 600 });
    expect(names(informer)).toEqual(['a', 'b']);
    expect(changes).toEqual(['demo/a -→3', 'demo/b -→4']);
    await informer.close();
  });

  test('follows what is added, changed and deleted', async () => {
    const { client, informer, changes } = start();
    (await client.nextList()).answer('10', [object('a', '3')]);
    const watch = await client.nextWatch();
    watch.send('ADDED', object('b', '11'));
    watch.send('MODIFIED', object('a', '12'));
    watch.send('DELETED', object('b', '13'));
    watch.send('DELETED', object('never-seen', '14'));
    expect(changes).toEqual(['demo/a -→3', 'demo/b -→11', 'demo/a 3→12', 'demo/b 11→-']);
    expect(informer.get({ namespace: 'demo', name: 'a' })?.metadata.resourceVersion).toBe('12');
    await informer.close();
  });

  test('goes on where the server ended a watch, without a pause and without a list', async () => {
    const { client, informer, timers } = start();
    (await client.nextList()).answer('10', []);
    const first = await client.nextWatch();
    first.send('ADDED', object('a', '11'));
    first.send('BOOKMARK', { metadata: { name: '', resourceVersion: '20' } });
    first.end();
    const second = await client.nextWatch();
    expect([second.options.resourceVersion, timers.waits, names(informer)]).toEqual(['20', [], ['a']]);
    await informer.close();
  });

  test('asks with pauses for watches that end at once, without a word', async () => {
    const { client, informer, timers } = start();
    (await client.nextList()).answer('10', []);
    const waits: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      (await client.nextWatch()).end();
      waits.push(await timers.skip());
    }
    expect(waits).toEqual([1000, 2000, 4000]);
    await informer.close();
  });

  test('keeps its memory while the server is away, tries with growing pauses up to 30 s, and goes on where it was', async () => {
    const { client, informer, timers, changes, errors } = start();
    (await client.nextList()).answer('10', [object('a', '3')]);
    const waits: number[] = [];
    for (let round = 0; round < 7; round += 1) {
      const watch = await client.nextWatch();
      expect(watch.options.resourceVersion).toBe('10');
      watch.fail(unreachable);
      waits.push(await timers.skip());
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    expect([informer.isSynced, names(informer), errors.length]).toEqual([true, ['a'], 7]);
    const watch = await client.nextWatch();
    watch.send('MODIFIED', object('a', '11'));
    watch.fail(unreachable);
    expect(await timers.skip()).toBe(1000);
    expect(changes).toEqual(['demo/a -→3', 'demo/a 3→11']);
    await informer.close();
  });

  test('lists again at once when its version is gone, and notices what was deleted in between', async () => {
    const { client, informer, changes, errors, timers } = start();
    (await client.nextList()).answer('10', [object('a', '3'), object('b', '4'), object('c', '5')]);
    (await client.nextWatch()).fail(gone);
    (await client.nextList()).answer('90', [object('b', '4'), object('c', '80'), object('d', '81')]);
    await client.nextWatch();
    expect(changes.slice(3)).toEqual(['demo/c 5→80', 'demo/d -→81', 'demo/a 3→-']);
    expect([names(informer), errors, timers.waits]).toEqual([['b', 'c', 'd'], [], []]);
    await informer.close();
  });

  test('pauses when the version of a new list is gone as well', async () => {
    const { client, informer, timers } = start();
    (await client.nextList()).answer('10', []);
    (await client.nextWatch()).fail(gone);
    (await client.nextList()).answer('20', []);
    (await client.nextWatch()).fail(gone);
    expect(await timers.skip()).toBe(2000);
    (await client.nextList()).answer('30', []);
    await client.nextWatch();
    await informer.close();
  });

  test('lists again after an answer that leaves doubt about what was missed', async () => {
    const { client, informer, timers } = start();
    (await client.nextList()).answer('10', [object('a', '3')]);
    (await client.nextWatch()).fail(broken);
    await timers.skip();
    (await client.nextList()).answer('20', []);
    await client.nextWatch();
    expect(names(informer)).toEqual([]);
    await informer.close();
  });

  test('waits as long as a busy server asks for', async () => {
    const { client, informer, timers } = start();
    const busy = new KubernetesError('busy', { status: 429, reason: 'TooManyRequests', retryAfterMs: 7000 });
    (await client.nextList()).fail(busy);
    expect(await timers.skip()).toBe(7000);
    (await client.nextList()).answer('10', []);
    await informer.synced();
    await informer.close();
  });

  test('drops managedFields, and keeps what its transform leaves', async () => {
    const { client, informer } = start({ transform: ({ metadata, kind = 'x' }) => ({ metadata, kind }) });
    const { metadata } = object('a', '3');
    (await client.nextList()).answer('10', [
      { metadata: { ...metadata, managedFields: [{}] }, data: { much: 'of it' } },
    ]);
    await informer.synced();
    expect([...informer.list()]).toEqual([{ metadata, kind: 'x' }]);
    await informer.close();
  });

  test('is not stopped by a listener that throws', async () => {
    const { client, informer, errors, changes } = start();
    const end = informer.onChange(() => {
      throw new Error('no');
    });
    (await client.nextList()).answer('10', [object('a', '3')]);
    const watch = await client.nextWatch();
    end();
    watch.send('ADDED', object('b', '11'));
    expect([errors.length, changes.length]).toEqual([1, 2]);
    await informer.close();
  });

  test('ends its requests and waits when it is closed, and rejects those who wait for its first list', async () => {
    for (const stage of ['list', 'pause', 'watch']) {
      const { client, informer, timers } = start();
      const synced = informer.synced().then(
        () => 'synced',
        (error: Error) => error.name,
      );
      const list = await client.nextList();
      if (stage === 'pause') list.fail(unreachable);
      if (stage === 'watch') list.answer('10', []);
      await settle();
      await informer.close();
      expect([await synced, timers.waits, client.openWatches]).toEqual([
        stage === 'watch' ? 'synced' : 'AbortError',
        [],
        0,
      ]);
    }
  });

  test('lets go who waits for its first list, with the signal that he gave', async () => {
    const { informer } = start();
    const abort = new AbortController();
    const waiting = informer.synced(abort.signal);
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await informer.close();
  });
});
