import { describe, expect, test } from 'vitest';
import type { Action } from '../../credentials/grant.ts';
import { AccessReviews } from '../../proxy/access-reviews.ts';
import type { Identity } from '../../proxy/token-reviews.ts';
import { makeClock } from './support/centre.ts';
import { FakeApiServer } from './support/reviews.ts';

const connector = { namespace: 'demo', name: 'harbor' };
const identityOf = (more: Partial<Identity> = {}): Identity => ({
  username: 'system:serviceaccount:demo:default',
  uid: 'u1',
  groups: ['system:serviceaccounts', 'system:serviceaccounts:demo'],
  extra: {},
  node: undefined,
  ...more,
});

function arrange() {
  const api = new FakeApiServer();
  const clock = makeClock();
  const access = new AccessReviews({ client: api, now: clock.now });
  const may = (identity = identityOf(), action: Action = 'pull', key = connector) =>
    access.may(identity, action, key, new AbortController().signal);
  return { api, clock, may };
}

test('the API server is asked with all that an authorizer may go by', async () => {
  const { api, may } = arrange();
  const extra = { 'authentication.kubernetes.io/node-name': ['n1'] };
  expect(await may(identityOf({ extra }))).toBe(true);
  expect(api.reviews[0]?.spec).toEqual({
    user: 'system:serviceaccount:demo:default',
    uid: 'u1',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:demo'],
    extra,
    resourceAttributes: {
      group: 'connectors.alauda.io',
      resource: 'connectors',
      subresource: 'proxy',
      namespace: 'demo',
      name: 'harbor',
      verb: 'get',
    },
  });
});

test.each<[Action, string]>([
  ['pull', 'get'],
  ['push', 'create'],
  ['delete', 'delete'],
])('%s needs the verb %s', async (action, verb) => {
  const { api, may } = arrange();
  await may(identityOf(), action);
  expect(api.reviews[0]?.spec.resourceAttributes.verb).toBe(verb);
});

test('a denial that says allowed is a denial', async () => {
  const client = { post: async <T>() => ({ status: { allowed: true, denied: true } }) as T };
  const access = new AccessReviews({ client });
  expect(await access.may(identityOf(), 'pull', connector, new AbortController().signal)).toBe(false);
});

describe('an answer', () => {
  test('is remembered, a right for longer than its lack', async () => {
    const { api, clock, may } = arrange();
    api.rights = new Set();
    expect(await may()).toBe(false);
    clock.pass(4_000);
    expect(await may()).toBe(false);
    expect(api.reviews).toHaveLength(1);
    api.rights.add('system:serviceaccount:demo:default get demo/harbor');
    clock.pass(1_000);
    expect(await may()).toBe(true);
    clock.pass(29_000);
    expect(await may()).toBe(true);
    expect(api.reviews).toHaveLength(2);
    api.rights.clear();
    clock.pass(1_000);
    expect(await may()).toBe(false);
  });

  test.each<[string, Partial<Identity>, Action, typeof connector]>([
    ['another user', { username: 'system:serviceaccount:demo:other' }, 'pull', connector],
    ['a user who was made anew', { uid: 'u2' }, 'pull', connector],
    ['another group', { groups: ['system:masters'] }, 'pull', connector],
    ['no group', { groups: [] }, 'pull', connector],
    ['another extra', { extra: { scopes: ['x'] } }, 'pull', connector],
    ['another node', { extra: { 'authentication.kubernetes.io/node-name': ['n2'] } }, 'pull', connector],
    ['another action', {}, 'delete', connector],
    ['another connector', {}, 'pull', { ...connector, name: 'other' }],
    ['another namespace', {}, 'pull', { ...connector, namespace: 'other' }],
  ])('is not one for %s', async (_what, more, action, key) => {
    const { api, may } = arrange();
    await may();
    await may(identityOf(more), action, key);
    expect(api.reviews).toHaveLength(2);
  });

  test('is one for all pods of an account, in whatever order its groups come', async () => {
    const { api, may } = arrange();
    const pod = (name: string) => ({ extra: { 'authentication.kubernetes.io/pod-name': [name] } });
    await may(identityOf(pod('a')));
    await may(identityOf({ ...pod('b'), groups: ['system:serviceaccounts:demo', 'system:serviceaccounts'] }));
    expect(api.reviews).toHaveLength(1);
  });

  test('cannot be forged by names that run into each other', async () => {
    const { api, may } = arrange();
    await may(identityOf({ groups: ['a', 'b'] }));
    await may(identityOf({ groups: ['a,b'] }));
    await may(identityOf({ groups: ['a'], extra: { b: [] } }));
    expect(api.reviews).toHaveLength(3);
  });
});

test('with the API server away, a right goes on, and its lack is not known any more', async () => {
  const { api, clock, may } = arrange();
  api.rights = new Set(['system:serviceaccount:demo:default get demo/harbor']);
  const stranger = identityOf({ username: 'stranger' });
  expect([await may(), await may(stranger)]).toEqual([true, false]);
  api.state = 'away';
  clock.pass(40_000);
  expect(await may()).toBe(true);
  await expect(may(stranger)).rejects.toMatchObject({ code: 'ACCESS_UNAVAILABLE', headers: { 'retry-after': '2' } });
  clock.pass(3_600_000);
  await expect(may()).rejects.toMatchObject({ code: 'ACCESS_UNAVAILABLE' });
});

describe('who names ever new connectors', () => {
  const named = (count: number, first = 0) =>
    Array.from({ length: count }, (_, at) => ({ namespace: 'demo', name: `c${first + at}` }));
  const outcomes = async (answers: Promise<boolean>[]) =>
    (await Promise.allSettled(answers)).map((each) => (each.status === 'fulfilled' ? each.value : each.reason.code));

  test('is asked about a hundred times at once, and twenty times a second; the others as before', async () => {
    const { api, clock, may } = arrange();
    api.rights = new Set(['other get demo/c0']);
    const all = await outcomes(named(300).map((key) => may(identityOf(), 'pull', key)));
    expect(all.filter((answer) => answer === 'CALLER_LIMITED')).toHaveLength(200);
    expect(api.reviews).toHaveLength(100);
    await expect(may(identityOf(), 'pull', { namespace: 'demo', name: 'new' })).rejects.toMatchObject({
      status: 429,
      headers: { 'retry-after': '1' },
    });
    expect(await may(identityOf({ username: 'other' }), 'pull', { namespace: 'demo', name: 'c0' })).toBe(true);
    clock.pass(1_000);
    await outcomes(named(50, 1000).map((key) => may(identityOf(), 'push', key)));
    // A push takes two rights: asked is for both, or for none that is not counted.
    expect(api.reviews.length).toBeLessThanOrEqual(121);
  });

  test('keeps what was allowed before, however often it is asked about again', async () => {
    const { api, clock, may } = arrange();
    const mine = named(80);
    expect(new Set(await outcomes(mine.map((key) => may(identityOf(), 'pull', key))))).toEqual(new Set([true]));
    api.rights = new Set(mine.map(({ name }) => `system:serviceaccount:demo:default get demo/${name}`));
    await outcomes(named(300, 1000).map((key) => may(identityOf(), 'pull', key)));
    clock.pass(30_000);
    await outcomes(named(300, 2000).map((key) => may(identityOf(), 'pull', key)));
    expect(new Set(await outcomes(mine.map((key) => may(identityOf(), 'pull', key))))).toEqual(new Set([true]));
  });

  test('with ever new identities is asked about a thousand times at once, and keeps nobody away who has rights', async () => {
    const { api, may } = arrange();
    api.rights = new Set(['known get demo/a', 'known get demo/b']);
    const known = identityOf({ username: 'known' });
    expect(await may(known, 'pull', { namespace: 'demo', name: 'a' })).toBe(true);
    const flood = Array.from({ length: 1500 }, (_, at) => may(identityOf({ username: `u${at}` })));
    expect((await outcomes(flood)).filter((answer) => answer === 'CALLER_LIMITED').length).toBeGreaterThan(400);
    expect(await may(known, 'pull', { namespace: 'demo', name: 'b' })).toBe(true);
  });
});
