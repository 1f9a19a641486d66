import { describe, expect, test } from 'vitest';
import { KubernetesError } from '../../../platform/kubernetes/client.ts';
import { type KubernetesObject, keyText, type ObjectKey, resources } from '../../../platform/kubernetes/object.ts';
import { startObjectWatches } from '../../../platform/kubernetes/object-watches.ts';
import { ManualTimers, settle } from './support/manual-timers.ts';
import { type OpenList, ScriptedClient } from './support/scripted-client.ts';

const key = (name: string): ObjectKey => ({ namespace: 'demo', name });
const object = (name: string, version: string): KubernetesObject => ({
  metadata: { namespace: 'demo', name, resourceVersion: version, managedFields: [] },
});
const failure = (status: number, reason: string): KubernetesError =>
  new KubernetesError(`refused: ${reason}`, { status, reason });

function start(concurrency = 16) {
  const client = new ScriptedClient();
  const timers = new ManualTimers();
  const watches = startObjectWatches<KubernetesObject>({
    ...{ client, timers, concurrency, resource: resources.secrets, random: () => 1 },
  });
  const changes: string[] = [];
  watches.onChange((changed) => changes.push(keyText(changed)));
  return { client, timers, watches, changes };
}

const nameIn = ({ options }: OpenList): string => `${options.namespace} ${options.fieldSelector}`;

describe('watches of single objects', () => {
  test('ask for nothing but the object by its name, and tell when it has been looked for', async () => {
    const { client, watches, changes } = start();
    watches.want([key('a')]);
    const list = await client.nextList();
    expect([nameIn(list), watches.isSynced(key('a'))]).toEqual(['demo metadata.name=a', false]);
    list.answer('10', []);
    const watch = await client.nextWatch();
    expect([watch.options.fieldSelector, watch.options.resourceVersion]).toEqual(['metadata.name=a', '10']);
    expect([watches.isSynced(key('a')), watches.get(key('a')), changes]).toEqual([true, undefined, ['demo/a']]);
    watch.send('ADDED', object('a', '11'));
    expect(watches.get(key('a'))).toEqual({ metadata: { namespace: 'demo', name: 'a', resourceVersion: '11' } });
    watch.send('DELETED', object('a', '12'));
    expect([watches.get(key('a')), watches.isSynced(key('a')), changes.length]).toEqual([undefined, true, 3]);
    await watches.close();
  });

  test('end for objects that are no longer wanted, and go on for the others', async () => {
    const { client, watches } = start();
    watches.want([key('a'), key('b')]);
    for (const name of ['a', 'b']) (await client.nextList()).answer('10', [object(name, '5')]);
    await settle();
    expect(client.openWatches).toBe(2);
    watches.want([key('b'), key('b'), key('c')]);
    expect(nameIn(await client.nextList())).toBe('demo metadata.name=c');
    expect(client.openWatches).toBe(1);
    expect([watches.get(key('a')), watches.isSynced(key('a'))]).toEqual([undefined, false]);
    expect(watches.get(key('b'))?.metadata.name).toBe('b');
    await watches.close();
    expect(client.openWatches).toBe(0);
  });

  test('begin a few at a time', async () => {
    const { client, watches } = start(2);
    watches.want(['a', 'b', 'c', 'd'].map(key));
    const first = await client.nextList();
    await client.nextList();
    await settle();
    expect(client.waiting).toBe(0);
    first.answer('10', []);
    expect(nameIn(await client.nextList())).toBe('demo metadata.name=c');
    await watches.close();
  });

  test('let one try for all while the server is away, and begin again together when it is back', async () => {
    const { client, timers, watches } = start(8);
    const wanted = Array.from({ length: 20 }, (_, index) => key(`s-${index}`));
    watches.want(wanted);
    for (let index = 0; index < 8; index += 1) (await client.nextList()).fail(failure(0, 'Unreachable'));
    await settle();
    expect(client.waiting).toBe(0);
    await timers.advance(500);
    (await client.nextList()).fail(failure(0, 'Unreachable'));
    await settle();
    expect(client.waiting).toBe(0);
    await timers.advance(1000);
    (await client.nextList()).answer('10', []);
    await settle();
    expect(client.waiting).toBeGreaterThanOrEqual(8);
    await watches.close();
    expect(timers.waits).toEqual([]);
  });

  test('keep what they know while the server is away, and say why', async () => {
    const { client, timers, watches } = start();
    watches.want([key('a')]);
    (await client.nextList()).answer('10', [object('a', '5')]);
    (await client.nextWatch()).fail(failure(0, 'Unreachable'));
    await timers.nextWait();
    expect(watches.get(key('a'))?.metadata.resourceVersion).toBe('5');
    expect(watches.failureOf(key('a'))).toMatchObject({ reason: 'Unreachable' });
    await timers.skip();
    const watch = await client.nextWatch();
    expect(watch.options.resourceVersion).toBe('10');
    watch.send('MODIFIED', object('a', '11'));
    expect([watches.get(key('a'))?.metadata.resourceVersion, watches.failureOf(key('a'))]).toEqual(['11', undefined]);
    await watches.close();
  });

  test('do not let a missing right of one object hold up another', async () => {
    const { client, timers, watches } = start(1);
    watches.want([key('a'), key('b')]);
    (await client.nextList()).fail(failure(403, 'Forbidden'));
    (await client.nextList()).answer('10', [object('b', '5')]);
    await settle();
    expect([watches.isSynced(key('a')), watches.isSynced(key('b'))]).toEqual([false, true]);
    expect(watches.failureOf(key('a'))).toMatchObject({ reason: 'Forbidden' });
    expect(timers.waits).toEqual([1000]);
    await watches.close();
  });

  test.each(['../../kube-system/secrets/x', 'a,metadata.name!=b', '', 'A', 'x'.repeat(254)])(
    'ask the server nothing about %j, which no object can be called',
    async (name) => {
      const { client, watches } = start();
      watches.want([key(name), { namespace: 'a/b', name: 'c' }]);
      await settle();
      expect(client.waiting).toBe(0);
      expect([watches.isSynced(key(name)), watches.get(key(name))]).toEqual([true, undefined]);
      await watches.close();
    },
  );
});
