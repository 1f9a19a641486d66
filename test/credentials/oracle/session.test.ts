import { createServer } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { OracleError } from '../../../credentials/oracle/errors.ts';
import { type Session, Sessions } from '../../../credentials/oracle/session.ts';
import { failureOf, keepConsole, open, patience, secretId, start } from './fixtures.ts';

keepConsole();

const second = 1000;
const minute = 60 * second;
const day = 24 * 60 * minute;
const startedAt = Date.parse('2026-01-01T00:00:00Z');

const limited = (retryAfterMs?: number) => new OracleError('federation', 'Limited', 'answered 429', { retryAfterMs });
const denied = () => new OracleError('federation', 'Denied', 'answered 401');

/** Sessions of a clock that stands, each 20 minutes long, or as `expiresAt` says. */
function makeSessions(expiresAt = (at: number): number => at + 20 * minute) {
  const clock = { at: startedAt };
  const federation = { opened: 0, asked: 0, failure: undefined as OracleError | undefined };
  const sessions = new Sessions(
    async (): Promise<Session> => {
      federation.asked += 1;
      if (federation.failure !== undefined) throw federation.failure;
      federation.opened += 1;
      return { keyId: `ST$${federation.opened}`, privateKey: '', expiresAt: expiresAt(clock.at), claims: {} };
    },
    () => clock.at,
  );
  const current = () => sessions.current(patience());
  const renewed = (refused: Session) => sessions.renewed(refused, patience());
  return { clock, federation, current, renewed };
}

describe('a session that a service refuses', () => {
  test('is replaced when it is a minute old, and by one caller for all', async () => {
    const { clock, federation, current, renewed } = makeSessions();
    const first = await current();
    clock.at += minute - 1;
    expect(await renewed(first)).toBe(first);
    clock.at += 1;
    const [one, other] = await Promise.all([renewed(first), renewed(first)]);
    expect(one).toBe(other);
    expect(one).not.toBe(first);
    expect(await renewed(first)).toBe(one);
    expect(federation.asked).toBe(2);
  });

  test('is still the others’ while its successor is on the way, and where there is none', async () => {
    const { clock, federation, current, renewed } = makeSessions();
    const first = await current();
    clock.at += minute;
    const pending = renewed(first);
    expect(await current()).toBe(first);
    const next = await pending;
    clock.at += minute;
    federation.failure = denied();
    await expect(renewed(next)).rejects.toThrow('answered 401');
    expect(await current()).toBe(next);
  });

  test('goes on where its successor is only late', async () => {
    const { clock, federation, current, renewed } = makeSessions();
    const first = await current();
    clock.at += minute;
    federation.failure = limited();
    expect(await renewed(first)).toBe(first);
    expect(await renewed(first)).toBe(first);
    expect(federation.asked).toBe(2);
  });
});

describe('a session that cannot be opened', () => {
  test('goes on until it expires, and not longer', async () => {
    const { clock, federation, current } = makeSessions();
    const first = await current();
    federation.failure = limited();
    clock.at += 20 * minute - 1;
    expect(await current()).toBe(first);
    clock.at += 1;
    await expect(current()).rejects.toThrow('answered 429');
  });

  test.each([
    ['limited', limited(), 10 * second],
    ['limited, for less', limited(second), 10 * second],
    ['limited, for longer', limited(30 * second), 30 * second],
    ['limited, for a day', limited(day), minute],
    ['denied', denied(), 10 * second],
  ])('is not asked for again for a while: %s', async (_, failure, pauseMs) => {
    const { clock, federation, current } = makeSessions();
    federation.failure = failure;
    await expect(current()).rejects.toBe(failure);
    federation.failure = undefined;
    clock.at += pauseMs - 1;
    await expect(current()).rejects.toBe(failure);
    expect(federation.asked).toBe(1);
    clock.at += 1;
    expect((await current()).keyId).toBe('ST$1');
  });

  test('because nobody waits for it any more costs no pause', async () => {
    const sessions = new Sessions(
      (signal) =>
        new Promise((resolve, reject) => {
          if (isPatient) resolve({ keyId: 'ST$1', privateKey: '', expiresAt: undefined, claims: {} });
          else signal.addEventListener('abort', () => reject(limited()));
        }),
      () => startedAt,
    );
    let isPatient = false;
    const leaving = new AbortController();
    const left = sessions.current(leaving.signal);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    isPatient = true;
    expect((await sessions.current(patience())).keyId).toBe('ST$1');
  });
});

test.each([
  ['in a day and more', startedAt + 2 * day, startedAt + day],
  ['at no date', 1e303, startedAt + day],
  ['never', Number.POSITIVE_INFINITY, startedAt + day],
  ['before all dates', -1e303, 0],
])('a session that says that it ends %s ends at a date', async (_, said, expected) => {
  const { clock, federation, current } = makeSessions(() => said);
  expect((await current()).expiresAt).toBe(expected);
  clock.at += day;
  await current();
  expect(federation.asked).toBe(2);
});

test('hosts that do not know the principal cost no federation, and nobody else the session', async () => {
  const cloud = await start();
  cloud.putLogin(secretId, { username: 'u', password: 'vault-password-canary' });
  let now = Date.now();
  const oracle = open(cloud, { now: () => now });
  await oracle.identity(patience());
  let asked = 0;
  const stranger = createServer((_, response) => {
    asked += 1;
    response.writeHead(401).end('{"code":"NotAuthenticated"}');
  });
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void stranger.close());
  const host = `127.0.0.1:${(stranger.address() as { port: number }).port}`;
  const attempt = () => failureOf(cloud, oracle.registryToken(host, patience()));
  for (let times = 0; times < 5; times += 1) {
    expect(await attempt()).toMatchObject({ step: 'token', code: 'Denied' });
  }
  expect([cloud.federation.requests.length, asked]).toEqual([1, 5]);

  cloud.federation.misbehave({ kind: 'answer', status: 429 });
  now += minute;
  for (let times = 0; times < 5; times += 1) {
    expect(await attempt()).toMatchObject({ step: 'token', code: 'Denied' });
  }
  expect(await oracle.vaultSecret(secretId, patience())).toMatchObject({ username: 'u' });
  expect([cloud.federation.requests.length, asked]).toEqual([2, 10]);
});
