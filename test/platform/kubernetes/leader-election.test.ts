import { describe, expect, test } from 'vitest';
import { startLeaderElection } from '../../../platform/kubernetes/leader-election.ts';
import type { Lease } from '../../../platform/kubernetes/lease-record.ts';
import { ManualTimers, settle } from './support/manual-timers.ts';
import { ObjectStore } from './support/object-store.ts';

const wallClock = Date.parse('2026-01-01T00:00:00Z');

/** A lease in memory that candidates meet about, all by one clock that the test moves. */
function makeArena() {
  const store = new ObjectStore();
  const timers = new ManualTimers();
  const start = timers.now();
  const log: string[] = [];
  const elapsed = (): number => timers.now() - start;
  const candidate = (identity: string, isCut: () => boolean = () => false) => {
    let term: AbortSignal | undefined;
    const election = startLeaderElection({
      ...{ client: store.client(isCut), namespace: 'ns', name: 'lease', identity, timers, random: () => 0.5 },
      now: () => wallClock + elapsed(),
      onStarted: (signal) => {
        log.push(`${identity} started at ${elapsed()}`);
        term = signal;
        signal.addEventListener('abort', () => log.push(`${identity} aborted at ${elapsed()}`));
      },
      onStopped: () => log.push(`${identity} stopped at ${elapsed()}`),
    });
    return { election, term: () => term };
  };
  const lease = () => (store.objects.get('ns/lease') as Lease | undefined)?.spec;
  return { store, timers, log, candidate, lease, elapsed };
}

describe('leader election', () => {
  test('the first candidate makes the lease and leads; the second waits as long as it is renewed', async () => {
    const { timers, log, candidate, lease } = makeArena();
    await using first = candidate('first').election;
    await settle();
    await using second = candidate('second').election;
    await timers.advance(60_000);
    expect(log).toEqual(['first started at 0']);
    expect([first.isLeader, second.isLeader, second.leader]).toEqual([true, false, 'first']);
    expect(lease()).toEqual({
      ...{ holderIdentity: 'first', leaseDurationSeconds: 15, leaseTransitions: 0 },
      ...{ acquireTime: '2026-01-01T00:00:00.000000Z', renewTime: '2026-01-01T00:01:00.000000Z' },
    });
  });

  test('a lease that is given back on close is taken at the next attempt', async () => {
    const { timers, log, candidate, lease } = makeArena();
    const first = candidate('first').election;
    await settle();
    await using second = candidate('second').election;
    await timers.advance(10_000);
    await first.close();
    expect(log).toEqual(['first started at 0', 'first aborted at 10000', 'first stopped at 10000']);
    expect(lease()?.holderIdentity).toBe('');
    await timers.advance(3000);
    expect(second.isLeader).toBe(true);
    expect(lease()?.leaseTransitions).toBe(1);
  });

  test('a leader that is cut off stops before another can lead, and that one does within 20 s', async () => {
    const { timers, log, candidate } = makeArena();
    let isCut = false;
    const first = candidate('first', () => isCut);
    await settle();
    await using second = candidate('second').election;
    await timers.advance(21_000);
    isCut = true;
    await timers.advance(20_000);
    const [, aborted = '', , started = ''] = log;
    const timeIn = (line: string): number => Number(/\d+$/.exec(line)?.[0]);
    expect(aborted).toMatch(/^first aborted/);
    expect(started).toMatch(/^second started/);
    expect(timeIn(aborted)).toBeLessThanOrEqual(30_000);
    expect(timeIn(started)).toBeGreaterThanOrEqual(35_000);
    expect(timeIn(started)).toBeLessThan(41_000);
    expect(second.isLeader).toBe(true);
    isCut = false;
    await first.election.close();
    expect(second.isLeader).toBe(true);
  });

  test('a leader that comes back to a lease of another is a candidate', async () => {
    const { timers, candidate } = makeArena();
    let isCut = false;
    await using first = candidate('first', () => isCut).election;
    await settle();
    const second = candidate('second').election;
    await timers.advance(10_000);
    isCut = true;
    await timers.advance(20_000);
    isCut = false;
    await timers.advance(30_000);
    expect([first.isLeader, first.leader, second.isLeader]).toEqual([false, 'second', true]);
    await second.close();
    await timers.advance(3000);
    expect(first.isLeader).toBe(true);
  });

  test('times in the lease decide nothing: a record counts from when it was first seen', async () => {
    const { store, timers, candidate, log } = makeArena();
    await store.client().create(
      { apiVersion: '', kind: '', plural: '' },
      {
        metadata: { namespace: 'ns', name: 'lease' },
        spec: { holderIdentity: 'other', leaseDurationSeconds: 15, renewTime: '2000-01-01T00:00:00.000000Z' },
      },
    );
    await using candidateOf = candidate('late').election;
    await timers.advance(14_900);
    expect(candidateOf.isLeader).toBe(false);
    await timers.advance(600);
    expect(log[0]).toMatch(/^late started at 15\d\d\d$/);
  });

  test('close waits for the work of a leader, and gives the lease back only then', async () => {
    const store = new ObjectStore();
    const timers = new ManualTimers();
    const work = Promise.withResolvers<void>();
    const election = startLeaderElection({
      ...{ client: store.client(), namespace: 'ns', name: 'lease', identity: 'a', timers },
      onStarted: () => work.promise,
    });
    await settle();
    const closing = election.close();
    await settle();
    const holder = (): unknown => (store.objects.get('ns/lease') as Lease).spec?.holderIdentity;
    expect(holder()).toBe('a');
    work.resolve();
    await closing;
    expect([holder(), timers.waits]).toEqual(['', []]);
  });

  test('a candidate that is closed just as it gets the lease gives it back, and never leads', async () => {
    const { store, timers, log, lease } = makeArena();
    const client = store.client();
    const options = { namespace: 'ns', name: 'lease', identity: 'a', timers };
    const election = startLeaderElection({
      ...options,
      client: {
        ...client,
        create: async (...args) => {
          const created = await client.create(...args);
          closing = election.close();
          return created;
        },
      },
      onStarted: () => void log.push('started'),
    });
    let closing: Promise<void> | undefined;
    await settle();
    await closing;
    expect([log, lease()?.holderIdentity]).toEqual([[], '']);
  });

  test('work that fails ends the term and gives the lease to another, and is tried again, but not at once', async () => {
    const store = new ObjectStore();
    const timers = new ManualTimers();
    const log: string[] = [];
    const broken = Promise.withResolvers<void>();
    const works = [broken.promise, Promise.resolve()];
    await using election = startLeaderElection({
      ...{ client: store.client(), namespace: 'ns', name: 'lease', identity: 'a', timers, random: () => 0 },
      onStarted: () => {
        log.push('started');
        return works.shift();
      },
      onStopped: () => log.push('stopped'),
      onError: (error) => log.push(String(error)),
    });
    const holder = (): unknown => (store.objects.get('ns/lease') as Lease).spec?.holderIdentity;
    await settle();
    expect([election.isLeader, holder()]).toEqual([true, 'a']);
    broken.reject(new Error('broken'));
    await settle();
    expect([election.isLeader, holder(), log]).toEqual([false, '', ['started', 'Error: broken', 'stopped']]);
    await timers.advance(1_999);
    expect(log).toHaveLength(3);
    await timers.advance(1);
    expect([election.isLeader, log.at(-1)]).toEqual([true, 'started']);
  });

  test('refuses times that would let two lead', () => {
    const options = { client: new ObjectStore().client(), namespace: 'ns', name: 'lease', identity: 'a' };
    const start = () => startLeaderElection({ ...options, leaseMs: 10_000, renewMs: 10_000, onStarted: () => {} });
    expect(start).toThrow('retryMs < renewMs < leaseMs');
  });
});
