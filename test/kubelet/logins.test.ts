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
  const { invocation, clock } = start();
  const passwordOf = async (isAnew = false) => (await invocation().vaultSecret('id', signal, isAnew)).value.password;
  expect(await passwordOf()).toBe('p1');
  clock.now += 5 * 60_000 - 1;
  expect(await passwordOf()).toBe('p1');
  expect(await passwordOf(true)).toBe('p2');
  expect(await passwordOf()).toBe('p2');
  clock.now += 5 * 60_000;
  expect(await passwordOf()).toBe('p3');
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
