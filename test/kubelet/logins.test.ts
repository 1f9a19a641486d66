import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { OracleError } from '../../credentials/oracle/errors.ts';
import type { Oracle } from '../../credentials/oracle/oracle.ts';
import { noCache, openCache } from '../../kubelet/cache.ts';
import { type LoginsOptions, sharedLogins } from '../../kubelet/logins.ts';
import { takeTurn } from '../../kubelet/turn.ts';
import { memoryFolder } from './memory-folder.ts';

const { signal } = new AbortController();
const hourMs = 3_600_000;

/** An Oracle that counts, in which each invocation is one of those that share a folder. */
function start(oracle: Partial<Oracle> = {}, { folder = memoryFolder(), waitMs = 60_000 } = {}) {
  const clock = { now: 1_000_000 };
  const asked: string[] = [];
  const concealed: string[] = [];
  const counting: LoginsOptions['oracle'] = {
    registryToken: async (host, askSignal) => {
      asked.push(host);
      return (
        (await oracle.registryToken?.(host, askSignal)) ?? { token: `t${asked.length}`, expiresAt: clock.now + hourMs }
      );
    },
    vaultSecret: async (id, askSignal) => {
      asked.push(id);
      const version = asked.length;
      return (await oracle.vaultSecret?.(id, askSignal)) ?? { username: 'u', password: `p${version}`, version };
    },
  };
  const invocation = (isCaching = true) => {
    const uid = process.getuid?.() ?? 0;
    const options = { folder, uid, scope: '', now: () => clock.now, warn: () => {} };
    const cache = isCaching ? openCache(options) : noCache;
    const conceal = (secret: string): void => void concealed.push(secret);
    return sharedLogins({
      oracle: counting,
      cache,
      takeTurn,
      waitUntil: clock.now + waitMs,
      conceal,
      now: () => clock.now,
    });
  };
  return { invocation, asked, concealed, clock };
}

test('50 invocations at once ask for one token', async () => {
  const { invocation, asked, concealed } = start();
  const lent = await Promise.all(Array.from({ length: 50 }, () => invocation().registryToken('fra.ocir.io', signal)));
  expect(asked).toEqual(['fra.ocir.io']);
  expect(new Set(lent.map(({ value }) => value.token))).toEqual(new Set(['t1']));
  expect(concealed).toHaveLength(50);
});

test('a token is given up a minute before it ends', async () => {
  const { invocation, asked, clock } = start();
  expect(await invocation().registryToken('a', signal)).toMatchObject({ expiresAt: clock.now + hourMs - 60_000 });
  clock.now += hourMs - 60_001;
  expect(await invocation().registryToken('a', signal)).toMatchObject({ value: { token: 't1' }, isKept: true });
  clock.now += 1;
  expect(await invocation().registryToken('a', signal)).toMatchObject({ value: { token: 't2' } });
  expect(asked).toHaveLength(2);
});

test('a Vault secret is read again after five minutes, and at once where it is asked for anew', async () => {
  const { invocation, clock, concealed } = start();
  const passwordOf = async (isAnew = false) => (await invocation().vaultSecret('id', signal, isAnew)).value.password;
  expect(await passwordOf()).toBe('p1');
  clock.now += 5 * 60_000 - 1;
  expect(await passwordOf()).toBe('p1');
  expect(await passwordOf(true)).toBe('p2');
  expect(await passwordOf()).toBe('p2');
  clock.now += 5 * 60_000;
  expect(await passwordOf()).toBe('p3');
  expect(concealed).toEqual(['p1', 'p1', 'p2', 'p2', 'p3']);
});

test.each([
  ['metadata', { sameRegion: 'metadata', otherRegion: 'metadata', token: 'metadata' }],
  ['federation', { sameRegion: 'federation', otherRegion: 'federation', token: 'federation' }],
  ['vault', { sameRegion: 'vault', otherRegion: 'answered', token: 'answered' }],
] as const)(
  'whom %s has kept waiting too long fails at once, for the rest of the invocation',
  async (step, expected) => {
    const late = 'ocid1.vaultsecret.oc1.phx.late';
    const { invocation, asked } = start({
      vaultSecret: async (id) => {
        if (id === late) throw new OracleError(step, 'Timeout', 'did not answer');
        return { username: 'u', password: 'p', version: 1 };
      },
    });
    const logins = invocation();
    const outcomeOf = (asking: Promise<unknown>): Promise<string> =>
      asking.then(
        () => 'answered',
        (error: OracleError) => error.step,
      );
    await outcomeOf(logins.vaultSecret(late, signal));
    expect({
      sameRegion: await outcomeOf(logins.vaultSecret('ocid1.vaultsecret.oc1.phx.x', signal)),
      otherRegion: await outcomeOf(logins.vaultSecret('ocid1.vaultsecret.oc1.fra.x', signal)),
      token: await outcomeOf(logins.registryToken('phx.ocir.io', signal)),
    }).toEqual(expected);
    expect(asked).not.toContain('ocid1.vaultsecret.oc1.phx.x');
    expect(await outcomeOf(invocation().vaultSecret('ocid1.vaultsecret.oc1.phx.x', signal))).toBe('answered');
  },
);

test('who does not wait any more leaves no failure to others', async () => {
  const folder = memoryFolder();
  const registryToken: Oracle['registryToken'] = (_host, askSignal) =>
    new Promise((_resolve, reject) => askSignal.addEventListener('abort', () => reject(new Error('called away'))));
  const { invocation, asked } = start({ registryToken }, { folder });
  const abort = new AbortController();
  const asking = invocation().registryToken('a', abort.signal);
  await expect.poll(() => asked).toEqual(['a']);
  abort.abort();
  await expect(asking).rejects.toThrow('called away');
  expect(readdirSync(folder)).toEqual([]);
});

test('entries of one invocation that name the same secret read it once, without a cache too', async () => {
  const { invocation, asked } = start();
  const logins = invocation(false);
  await Promise.all([logins.vaultSecret('id', signal), logins.vaultSecret('id', signal)]);
  expect(asked).toEqual(['id']);
});

test('those who waited for a failure fail with it, and a moment later it is asked again', async () => {
  const failure = new OracleError('token', 'Limited', 'too many');
  const arrived = Promise.withResolvers<void>();
  const { invocation, asked, clock } = start({
    registryToken: async () => {
      await arrived.promise;
      throw failure;
    },
  });
  const all = Array.from({ length: 10 }, () => invocation().registryToken('a', signal));
  await expect.poll(() => asked.length).toBe(1);
  arrived.resolve();
  const results = await Promise.allSettled(all);
  expect(results.map((result) => result.status)).toEqual(Array(10).fill('rejected'));
  for (const result of results)
    expect(result).toMatchObject({ reason: { message: 'token: too many', isRetryable: true } });
  expect(asked.length).toBeLessThan(10);
  const before = asked.length;
  clock.now += 2_000;
  await expect(invocation().registryToken('a', signal)).rejects.toThrow('too many');
  expect(asked).toHaveLength(before + 1);
});

test('who has waited long enough for another asks for himself', async () => {
  const never = Promise.withResolvers<never>();
  let count = 0;
  const registryToken: Oracle['registryToken'] = async () => {
    count += 1;
    return count === 1 ? never.promise : { token: 'mine', expiresAt: 1_000_000 + hourMs };
  };
  const { invocation, asked } = start({ registryToken }, { waitMs: 100 });
  void invocation().registryToken('a', signal);
  await expect.poll(() => asked.length).toBe(1);
  expect(await invocation().registryToken('a', signal)).toMatchObject({ value: { token: 'mine' } });
});

test('nobody waits for a turn to ask a service that did not answer in time', async () => {
  const turns: string[] = [];
  const logins = sharedLogins({
    oracle: {
      registryToken: () => Promise.reject(new Error('not asked')),
      vaultSecret: () => Promise.reject(new OracleError('metadata', 'Timeout', 'did not answer')),
    },
    cache: openCache({ folder: memoryFolder(), uid: process.getuid?.() ?? 0, scope: '', now: () => 0, warn: () => {} }),
    takeTurn: async (name) => {
      turns.push(name);
      return undefined;
    },
    waitUntil: 3_000,
    conceal: () => {},
    now: () => 0,
  });
  for (const id of ['a', 'b', 'c']) await expect(logins.vaultSecret(id, signal)).rejects.toThrow('metadata');
  expect(turns).toHaveLength(1);
});

test('turns that somebody else holds are waited for together, and not one after the other', async () => {
  const clock = { now: 1_000_000 };
  const waits: number[] = [];
  const held: LoginsOptions['takeTurn'] = async (_name, { waitMs }) => {
    waits.push(waitMs);
    clock.now += waitMs;
    return undefined;
  };
  const uid = process.getuid?.() ?? 0;
  const logins = sharedLogins({
    oracle: {
      registryToken: () => Promise.reject(new Error('not asked')),
      vaultSecret: async () => ({ username: 'u', password: 'p', version: 1 }),
    },
    cache: openCache({ folder: memoryFolder(), uid, scope: '', now: () => clock.now, warn: () => {} }),
    takeTurn: held,
    waitUntil: clock.now + 3_000,
    conceal: () => {},
    now: () => clock.now,
  });
  for (const id of ['a', 'b', 'c', 'd']) await logins.vaultSecret(id, signal);
  expect(waits).toEqual([3_000, 0, 0, 0]);
});
