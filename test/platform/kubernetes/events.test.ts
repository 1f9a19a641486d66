import { describe, expect, test } from 'vitest';
import { type EventDescription, EventRecorder } from '../../../platform/kubernetes/events.ts';
import { ManualTimers, settle } from './support/manual-timers.ts';
import { ObjectStore, refusal } from './support/object-store.ts';

const event: EventDescription = {
  regarding: { apiVersion: 'connectors.alauda.io/v1alpha1', kind: 'Connector', namespace: 'demo', name: 'harbor' },
  type: 'Warning',
  reason: 'SecretNotFound',
  action: 'Probe',
  note: 'there is no Secret demo/harbor',
  reportingController: 'connectors.cpaas.io/oci-connector',
};

function makeRecorder() {
  const store = new ObjectStore();
  const timers = new ManualTimers();
  const wallClock = Date.parse('2026-01-01T00:00:00Z') - timers.now();
  const recorder = new EventRecorder({
    ...{ client: store.client(), timers, reportingInstance: 'pod-1', now: () => wallClock + timers.now() },
  });
  return { store, timers, recorder };
}

describe('events', () => {
  test('are written beside the object, with all that events.k8s.io/v1 asks for', async () => {
    const { store, recorder } = makeRecorder();
    await recorder.record(event);
    const [{ object } = { object: undefined }] = store.writes;
    expect(object).toMatchObject({ ...event, eventTime: '2026-01-01T00:00:00.000000Z', reportingInstance: 'pod-1' });
    expect(object?.metadata.namespace).toBe('demo');
    expect(object?.metadata.name).toMatch(/^harbor\.[0-9a-f]{16}$/);
  });

  test('of objects of the whole cluster are found in the namespace default', async () => {
    const { store, recorder } = makeRecorder();
    await recorder.record({ ...event, regarding: { apiVersion: 'v1', kind: 'Node', name: 'n1' } });
    expect(store.writes[0]?.object.metadata.namespace).toBe('default');
  });

  test('that are equal become a series, written once a minute at most', async () => {
    const { store, timers, recorder } = makeRecorder();
    for (let second = 0; second < 90; second += 1) {
      await recorder.record(event);
      await timers.advance(1000);
    }
    await timers.advance(60_000);
    expect(store.writes.map(({ verb }) => verb)).toEqual(['create', 'patch', 'patch']);
    expect(store.writes.map(({ object }) => object['series'])).toEqual([
      undefined,
      { count: 60, lastObservedTime: '2026-01-01T00:00:59.000000Z' },
      { count: 90, lastObservedTime: '2026-01-01T00:01:29.000000Z' },
    ]);
    expect(timers.waits).toEqual([]);
  });

  test('that come after six quiet minutes are new', async () => {
    const { store, timers, recorder } = makeRecorder();
    await recorder.record(event);
    await timers.advance(7 * 60_000);
    await recorder.record(event);
    expect(store.writes.map(({ verb }) => verb)).toEqual(['create', 'create']);
  });

  test('whose series has been removed by the server are written anew with their count', async () => {
    const { store, timers, recorder } = makeRecorder();
    await recorder.record(event);
    store.objects.clear();
    await recorder.record(event);
    await timers.advance(60_000);
    expect(store.writes.map(({ verb, object }) => [verb, object['series']])).toEqual([
      ['create', undefined],
      ['create', { count: 2, lastObservedTime: '2026-01-01T00:00:00.000000Z' }],
    ]);
  });

  test('never make trouble of their own: failures are told, repetitions beyond the bound forgotten', async () => {
    const timers = new ManualTimers();
    const failures: unknown[] = [];
    const create = async (): Promise<never> => {
      throw refusal(403, 'Forbidden');
    };
    const client = { create, patch: create };
    const recorder = new EventRecorder({ client, timers, onError: (error) => failures.push(error) });
    for (let index = 0; index < 1100; index += 1) {
      await recorder.record({ ...event, note: `${index}` });
      await recorder.record({ ...event, note: `${index}` });
    }
    expect(failures.length).toBe(1100);
    expect(timers.waits.length).toBe(1000);
    recorder.close();
    expect(timers.waits.length).toBe(0);
  });

  test('are dropped while too many writes are under way', async () => {
    let writes = 0;
    const create = (): Promise<never> => {
      writes += 1;
      return new Promise(() => {});
    };
    const recorder = new EventRecorder({ client: { create, patch: create } });
    for (let index = 0; index < 100; index += 1) void recorder.record({ ...event, note: `${index}` });
    await settle();
    expect(writes).toBe(32);
  });

  test('have notes that the server takes', async () => {
    const { store, recorder } = makeRecorder();
    await recorder.record({ ...event, note: 'ä'.repeat(1000) });
    const note = String(store.writes[0]?.object['note']);
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024);
    expect(note).toMatch(/^ä+…$/);
  });
});
