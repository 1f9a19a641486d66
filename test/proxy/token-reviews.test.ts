import { describe, expect, test } from 'vitest';
import { callerAudience } from '../../connectors/pull-identity.ts';
import { TokenReviews, type TokenReviewsOptions } from '../../proxy/token-reviews.ts';
import { agentName, makeClock } from './support/centre.ts';
import { FakeApiServer, makeToken, nodeExtra } from './support/reviews.ts';

function arrange(options: Pick<Partial<TokenReviewsOptions>, 'askMs' | 'subjects' | 'max' | 'acceptedMs'> = {}) {
  const api = new FakeApiServer();
  const clock = makeClock();
  const results: string[] = [];
  const reviews = new TokenReviews({
    client: api,
    audience: callerAudience,
    now: clock.now,
    onReview: (result) => results.push(result),
    ...options,
  });
  const identify = (token: string, address = '10.0.0.1', node?: string) =>
    reviews.identify(token, { address, node }, new AbortController().signal);
  const token = api.login({ username: 'system:serviceaccount:demo:default', groups: ['g'], extra: nodeExtra('n1') });
  return { api, clock, results, identify, token };
}

const unavailable = { code: 'ACCESS_UNAVAILABLE', status: 503, headers: { 'retry-after': '2' } };
const limited = { code: 'CALLER_LIMITED', status: 429, headers: { 'retry-after': '1' } };
const codeOf = (outcome: PromiseSettledResult<unknown>) =>
  outcome.status === 'rejected' ? outcome.reason.code : outcome.value === undefined ? 'nobody' : 'somebody';

describe('a token', () => {
  test('is its account’s, with groups, extra and node', async () => {
    const { api, identify, token } = arrange();
    expect(await identify(token)).toEqual({
      username: 'system:serviceaccount:demo:default',
      uid: 'u1',
      groups: ['g'],
      extra: nodeExtra('n1'),
      node: 'n1',
    });
    expect(api.reviews[0]?.spec).toEqual({ token, audiences: [callerAudience] });
  });

  test.each<[string, string]>([
    ['no token', 'password'],
    ['a token for another audience', makeToken({ audiences: ['https://kubernetes.default.svc'] })],
    ['a token that has expired', makeToken({ expiresAt: Date.now() - 2_000 })],
    ['a token of a hundred kilobytes', `${makeToken()}${'x'.repeat(100_000)}`],
  ])('that is %s is nobody’s, and costs no review', async (_what, token) => {
    const { api, identify } = arrange();
    expect(await identify(token)).toBeUndefined();
    expect(api.reviews).toEqual([]);
  });

  test.each([undefined, '', 'system:serviceaccount:demo:default', `${agentName}2`])(
    'of subject %j is nobody’s where there is one subject only, and costs no review',
    async (subject) => {
      const { api, identify } = arrange({ subjects: [agentName] });
      const options = subject === undefined ? {} : { subject };
      expect(await identify(api.login({ username: agentName }, options))).toBeUndefined();
      expect(api.reviews).toEqual([]);
      expect(await identify(api.login({ username: agentName }, { subject: agentName }))).toBeDefined();
    },
  );

  test('that says our audience, and is reviewed for none or another, is nobody’s', async () => {
    const { api, identify } = arrange();
    for (const audiences of [[], ['other']]) {
      const token = makeToken();
      api.accounts.set(token, { username: 'x', audiences });
      expect(await identify(token)).toBeUndefined();
    }
    const deaf = new TokenReviews({
      client: { post: async <T>() => ({ status: { authenticated: true, user: { username: 'x' } } }) as T },
      audience: callerAudience,
    });
    const { signal } = new AbortController();
    expect(await deaf.identify(makeToken(), { address: '' }, signal)).toBeUndefined();
  });

  test('ends with its own end, whatever was said of it before', async () => {
    const { clock, identify, token } = arrange();
    expect(await identify(token)).toBeDefined();
    clock.pass(3_601_000);
    expect(await identify(token)).toBeUndefined();
  });

  test('that is withdrawn is followed within a minute', async () => {
    const { api, clock, identify, token } = arrange();
    await identify(token);
    api.accounts.delete(token);
    clock.pass(30_000);
    expect(await identify(token)).toBeUndefined();
  });
});

describe('reviews', () => {
  test('of equal tokens at once are one, and are remembered', async () => {
    const { api, clock, results, identify, token } = arrange();
    const found = await Promise.all(Array.from({ length: 500 }, () => identify(token)));
    expect(found.every((identity) => identity !== undefined)).toBe(true);
    clock.pass(29_000);
    await identify(token);
    expect(api.reviews).toHaveLength(1);
    expect(results).toEqual(['accepted']);
  });

  test('count for as long as is said, and no longer', async () => {
    const { api, clock, identify, token } = arrange({ acceptedMs: 300_000 });
    await identify(token);
    clock.pass(299_000);
    await identify(token);
    expect(api.reviews).toHaveLength(1);
    api.accounts.delete(token);
    clock.pass(1_000);
    expect(await identify(token)).toBeUndefined();
  });

  test.each([
    [3, 1],
    [2, 2],
  ])('of %d tokens at most are remembered', async (max, count) => {
    const { api, identify, token } = arrange({ max });
    for (const each of [token, ...[1, 2].map(() => api.login({ username: 'other' })), token]) await identify(each);
    expect(api.reviews.filter(({ spec }) => spec.token === token)).toHaveLength(count);
  });

  test('of a token that was refused are remembered for a shorter time', async () => {
    const { api, clock, identify } = arrange();
    const token = makeToken();
    await identify(token);
    clock.pass(9_000);
    await identify(token);
    expect(api.reviews).toHaveLength(1);
    api.accounts.set(token, { username: 'late', audiences: [callerAudience] });
    clock.pass(1_000);
    expect(await identify(token)).toMatchObject({ username: 'late' });
  });

  test('of garbage are bounded for one origin, and for all of them; a known token is not held up', async () => {
    const { api, clock, identify, token } = arrange();
    await identify(token);
    const attack = (address: string, count: number) =>
      Promise.allSettled(Array.from({ length: count }, () => identify(makeToken(), address)));
    const first = (await attack('10.0.0.66', 1_000)).map(codeOf);
    expect(first.filter((code) => code === 'nobody')).toHaveLength(200);
    expect(first.filter((code) => code === 'CALLER_LIMITED')).toHaveLength(800);
    await expect(identify(makeToken(), '10.0.0.66')).rejects.toMatchObject(limited);
    // Others are served: those who are known, and those who are not.
    expect(await identify(token, '10.0.0.66')).toBeDefined();
    const other = api.login({ username: 'other' });
    expect(await identify(other, '10.0.0.2')).toBeDefined();
    const before = api.reviews.length;
    await Promise.all(Array.from({ length: 30 }, (_, at) => attack(`10.0.1.${at}`, 300)));
    expect(api.reviews.length - before).toBeLessThanOrEqual(1_000);
    clock.pass(1_000);
    const later = api.reviews.length;
    await Promise.all(Array.from({ length: 30 }, (_, at) => attack(`10.0.1.${at}`, 300)));
    expect(api.reviews.length - later).toBeLessThanOrEqual(200);
  });

  test('from where good tokens came do not fail for garbage from elsewhere', async () => {
    const { api, identify } = arrange();
    const attack = (address: string, node?: string) =>
      Promise.allSettled(Array.from({ length: 300 }, () => identify(makeToken(), address, node)));
    const login = () => api.login({ username: 'somebody' });
    await identify(login(), '10.0.0.1');
    await identify(login(), '10.0.0.9', 'n1');
    await Promise.all(Array.from({ length: 10 }, (_, at) => attack(`10.0.1.${at}`)));
    await expect(identify(login(), '10.0.0.2')).rejects.toMatchObject(limited);
    await expect(identify(login(), '10.0.0.9', 'n2')).rejects.toMatchObject(limited);
    expect(await identify(login(), '10.0.0.1')).toBeDefined();
    expect(await identify(login(), '10.0.0.8', 'n1')).toBeDefined();
    // Its own bound stays.
    const codes = (await attack('10.0.0.1')).map(codeOf);
    expect(codes.filter((code) => code === 'nobody')).toHaveLength(198);
  });

  test('of garbage that comes again and again are no less bounded', async () => {
    const { api, clock, identify } = arrange();
    const garbage = Array.from({ length: 2_000 }, () => makeToken());
    const replay = () => Promise.allSettled(garbage.map((token) => identify(token)));
    for (let round = 0; round < 10; round += 1) {
      await replay();
      clock.pass(10_000);
    }
    const before = api.reviews.length;
    await replay();
    expect(api.reviews.length - before).toBeLessThanOrEqual(200);
  });

  test('are counted by the agent’s node where they come through one', async () => {
    const { identify } = arrange();
    for (let at = 0; at < 200; at += 1) await identify(makeToken(), '10.0.0.9', 'n1');
    await expect(identify(makeToken(), '10.0.0.8', 'n1')).rejects.toMatchObject(limited);
    expect(await identify(makeToken(), '10.0.0.9', 'n2')).toBeUndefined();
  });

  test('of one new token by hundreds at once cost its origin one', async () => {
    const { identify, token } = arrange();
    await Promise.all(Array.from({ length: 500 }, () => identify(token)));
    for (let at = 0; at < 199; at += 1) expect(await identify(makeToken())).toBeUndefined();
    await expect(identify(makeToken())).rejects.toMatchObject(limited);
  });
});

describe('with the API server away', () => {
  test('a token that was accepted is good until it expires, and others are told to come again', async () => {
    const { api, clock, identify, token } = arrange();
    await identify(token);
    const refused = makeToken();
    await identify(refused);
    api.state = 'away';
    for (const passed of [31_000, 1_000, 6_000, 1_800_000, 1_700_000]) {
      clock.pass(passed);
      expect(await identify(token)).toBeDefined();
    }
    await expect(identify(makeToken({ expiresAt: clock.now() + 60_000 }))).rejects.toMatchObject(unavailable);
    clock.pass(70_000);
    expect(await identify(token)).toBeUndefined();
  });

  test('it is asked no more than every few seconds about one token, and believed as soon as it is back', async () => {
    const { api, clock, identify, token } = arrange();
    await identify(token);
    api.state = 'away';
    clock.pass(31_000);
    const before = api.reviews.length;
    for (let at = 0; at < 100; at += 1) await identify(token);
    expect(api.reviews.length - before).toBe(1);
    api.state = 'up';
    api.accounts.delete(token);
    clock.pass(6_000);
    await identify(token);
    // That one asked, without waiting.
    await expect.poll(() => identify(token)).toBeUndefined();
  });

  test('the failure of one review does not keep the others from being made', async () => {
    const { api, clock, identify, token } = arrange();
    await identify(token);
    api.accounts.delete(token);
    clock.pass(31_000);
    const poison = makeToken();
    const { post } = api;
    api.post = (path, body, options) => {
      if ((body as { spec: { token: string } }).spec.token === poison) return Promise.reject(new Error('too slow'));
      return post.call(api, path, body, options) as never;
    };
    for (let round = 0; round < 3; round += 1) {
      await expect(identify(poison)).rejects.toMatchObject(unavailable);
      await identify(token).catch(() => {});
      clock.pass(1_000);
    }
    expect(await identify(token)).toBeUndefined();
  });
});

describe('with an API server that hangs', () => {
  test('a known caller waits a moment at most, and then no more', async () => {
    const { api, clock, identify, token } = arrange({ askMs: 60_000 });
    await identify(token);
    api.state = 'hanging';
    clock.pass(31_000);
    const startedAt = performance.now();
    for (let at = 0; at < 50; at += 1) {
      expect(await identify(token)).toBeDefined();
      clock.pass(6_000);
    }
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  test('an unknown one waits as long as it may take, and is told to come again', async () => {
    const { api, identify } = arrange({ askMs: 20 });
    api.state = 'hanging';
    await expect(identify(makeToken())).rejects.toMatchObject(unavailable);
  });

  test('an unknown one waits five seconds', async () => {
    const { api, identify } = arrange();
    api.state = 'hanging';
    const startedAt = performance.now();
    await expect(identify(makeToken())).rejects.toMatchObject(unavailable);
    expect(performance.now() - startedAt).toBeLessThan(6_000);
  });
});
