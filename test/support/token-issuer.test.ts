import { describe, expect, test } from 'vitest';
import { basic, call } from './call.ts';
import { makeImage } from './image.ts';
import { systemClock } from './registry/exchange.ts';
import { startRegistry, type TokenAuth } from './registry.ts';

const scope = 'repository:team/app:pull';
const manifestPath = '/v2/team/app/manifests/v1';
const user = basic('user', 'secret');

async function start(auth: Partial<TokenAuth> = {}, clock = systemClock) {
  const registry = await startRegistry({
    auth: { kind: 'token', username: 'user', password: 'secret', ...auth },
    clock,
  });
  registry.seed('team/app', makeImage(), ['v1']);
  const tokenUrl = `${registry.origin}/token`;
  return Object.assign(registry, {
    tokenUrl,
    challenge: async (path: string) => (await call(`${registry.origin}${path}`)).headers['www-authenticate'],
    get: (query: string, headers = {}) => call(`${tokenUrl}?${query}`, { headers }),
    post: (form: Record<string, string>) =>
      call(tokenUrl, { method: 'POST', body: new URLSearchParams(form).toString() }),
    pull: (token: string, method = 'GET', path = manifestPath) =>
      call(`${registry.origin}${path}`, { method, headers: { authorization: `Bearer ${token}` } }),
  });
}

const json = ({ body }: { body: Buffer }) => JSON.parse(`${body}`);

describe('a challenge', () => {
  test('names realm and service, and the scope where there is a repository', async () => {
    await using registry = await start();
    const beginning = `Bearer realm="${registry.tokenUrl}",service="test-registry"`;
    expect(await registry.challenge('/v2/')).toBe(beginning);
    expect(await registry.challenge(manifestPath)).toBe(`${beginning},scope="repository:team/app:pull"`);
    expect(await registry.challenge('/v2/_catalog')).toBe(`${beginning},scope="registry:catalog:*"`);
  });

  test.each<[string, Partial<TokenAuth>, string | RegExp]>([
    ['without a service', { service: null }, /token",scope="repository:team\/app:pull"$/],
    ['with an empty scope', { scope: '' }, /,scope=""$/],
    ['with the scope *', { scope: '*' }, /,scope="\*"$/],
    ['with another realm', { realm: (url) => url.replace('127.0.0.1', 'localhost') }, /realm="http:\/\/localhost:\d+/],
    ['with a fixed realm', { realm: 'https://169.254.169.254/token' }, /realm="https:\/\/169.254.169.254\/token"/],
    ['as one text', { challengeHeader: 'Basic realm="a", Bearer realm="b"' }, 'Basic realm="a", Bearer realm="b"'],
    ['as several lines', { challengeHeader: ['Basic realm="a"', 'Negotiate'] }, 'Basic realm="a", Negotiate'],
    ['made from its parts', { challengeHeader: ({ service }) => `bEARER service=${service}` }, /^bEARER service=test/],
  ])('can come %s', async (_, auth, expected) => {
    await using registry = await start(auth);
    expect(await registry.challenge(manifestPath)).toMatch(expected);
  });

  test('can name a realm on another origin that works', async () => {
    await using registry = await start({ tokenEndpoint: 'own-port' });
    const realm = /realm="([^"]+)"/.exec((await registry.challenge(manifestPath)) ?? '')?.[1] ?? '';
    expect(new URL(realm).origin).not.toBe(registry.origin);
    const { token } = json(await call(`${realm}?scope=${scope}`, { headers: user }));
    expect(await registry.pull(token)).toMatchObject({ status: 200 });
    expect(registry.tokenRequests).toHaveLength(1);
  });
});

describe('the token endpoint', () => {
  test('exchanges a credential by GET and by POST, and records what was asked', async () => {
    await using registry = await start();
    const grant = { grant_type: 'password', username: 'user', password: 'secret', service: 's', scope };
    const answers = [await registry.get(`service=s&scope=${scope}`, user), await registry.post(grant)];
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(await registry.pull(json(answer).token ?? json(answer).access_token)).toMatchObject({ status: 200 });
    }
    expect(registry.tokenRequests).toMatchObject([
      { method: 'GET', authorization: user.authorization, status: 200 },
      { method: 'POST', authorization: undefined, status: 200 },
    ]);
    expect(registry.tokenRequests[0]?.query.getAll('scope')).toEqual([scope]);
    expect(Object.fromEntries(registry.tokenRequests[1]?.form ?? [])).toEqual(grant);
    expect(registry.requests[0]?.tokenAccess).toEqual([{ type: 'repository', name: 'team/app', actions: ['pull'] }]);
  });

  test('refuses a wrong credential and nobody, and follows a rotation', async () => {
    await using registry = await start();
    const statusFor = async (headers: object) => (await registry.get(`scope=${scope}`, headers)).status;
    expect(await statusFor({})).toBe(401);
    expect(await statusFor(basic('user', 'wrong'))).toBe(401);
    registry.setCredential('user', 'new');
    expect(await statusFor(user)).toBe(401);
    expect(await statusFor(basic('user', 'new'))).toBe(200);
  });

  test('takes an identity token as refresh token, and gives it to who asks for offline access', async () => {
    await using registry = await start({ identityToken: 'identity' });
    const refresh = { grant_type: 'refresh_token', refresh_token: 'identity', scope };
    expect(json(await registry.post(refresh))).toEqual({ access_token: expect.any(String) });
    expect(await registry.post({ ...refresh, refresh_token: 'other' })).toMatchObject({ status: 401 });
    expect(json(await registry.get('offline_token=true', user)).refresh_token).toBe('identity');
  });

  test.each<[string, Partial<TokenAuth>, object]>([
    ['token only', {}, { token: expect.any(String) }],
    ['access_token only', { tokenField: 'access_token' }, { access_token: expect.any(String) }],
    ['both', { tokenField: 'both' }, { token: expect.any(String), access_token: expect.any(String) }],
    [
      'times',
      { expiresInSeconds: 9, issuedAt: 'now' },
      { token: expect.any(String), expires_in: 9, issued_at: '1970-01-01T00:00:05.000Z' },
    ],
    ['the token that a test makes', { makeToken: () => 'dXNlcjpzZWNyZXQ=' }, { token: 'dXNlcjpzZWNyZXQ=' }],
  ])('answers with %s', async (_, auth, expected) => {
    await using registry = await start(auth, { ...systemClock, now: () => 5000 });
    expect(json(await registry.get(`scope=${scope}`, user))).toEqual(expected);
  });

  test.each([400, 401, 404, 405])('can refuse POST with %i', async (refusedMethodStatus) => {
    await using registry = await start({ methods: ['GET'], refusedMethodStatus });
    expect(await registry.post({ grant_type: 'password' })).toMatchObject({ status: refusedMethodStatus });
    expect(await registry.get('', user)).toMatchObject({ status: 200 });
  });

  test('can issue JWTs that tell what they are for', async () => {
    await using registry = await start({ jwt: true, expiresInSeconds: 300 }, { ...systemClock, now: () => 5000 });
    const { token } = json(await registry.get(`service=s&scope=${scope}`, user));
    expect(JSON.parse(`${Buffer.from(token.split('.')[1], 'base64url')}`)).toMatchObject({
      aud: 's',
      sub: 'user',
      iat: 5,
      exp: 305,
      access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }],
    });
  });

  test('gives nobody tokens to pull, where that is allowed', async () => {
    await using registry = await start({ anonymousPull: true });
    const { token } = json(await registry.get('scope=repository:team/app:pull,push'));
    expect(await registry.pull(token)).toMatchObject({ status: 200 });
    expect(await registry.pull(token, 'DELETE')).toMatchObject({ status: 401 });
  });

  test('can honour the first scope only', async () => {
    await using registry = await start({ scopesHonoured: 'first' });
    const { token } = json(await registry.get(`scope=repository:other:pull&scope=${scope}`, user));
    expect(await registry.pull(token)).toMatchObject({ status: 401 });
  });

  test('can grant other access than was asked for', async () => {
    const everything = [{ type: 'repository', name: 'team/app', actions: ['*'] }];
    await using registry = await start({ grantAccess: () => everything });
    expect(await registry.pull(registry.issueToken([]), 'DELETE')).toMatchObject({ status: 202 });
  });
});

describe('a token', () => {
  test('is good until it expires or is revoked', async () => {
    let now = 0;
    await using registry = await start({ expiresInSeconds: 10 }, { ...systemClock, now: () => now });
    const token = registry.issueToken([scope]);
    now = 9_999;
    expect(await registry.pull(token)).toMatchObject({ status: 200 });
    now = 10_000;
    const expired = await registry.pull(token);
    expect(expired.headers['www-authenticate']).toMatch(/,error="invalid_token"$/);
    const another = registry.issueToken([scope]);
    registry.revokeTokens();
    expect(await registry.pull(another)).toMatchObject({ status: 401 });
  });

  test.each([
    ['another repository', 'GET', '/v2/team/other/manifests/v1'],
    ['another action', 'PUT', manifestPath],
    ['the repository that a mount takes from', 'POST', '/v2/team/app/blobs/uploads/?mount=x&from=team/other'],
  ])('is not good for %s', async (_, method, path) => {
    await using registry = await start();
    const answer = await registry.pull(registry.issueToken([scope]), method, path);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toMatch(/,error="insufficient_scope"$/);
  });

  test.each([403, 404] as const)('with too few rights can be answered %i', async (lackingRightStatus) => {
    await using registry = await start({ lackingRightStatus });
    const answer = await registry.pull(registry.issueToken([scope]), 'DELETE');
    expect(answer.status).toBe(lackingRightStatus);
    expect(answer.headers['www-authenticate']).toBeUndefined();
  });
});
