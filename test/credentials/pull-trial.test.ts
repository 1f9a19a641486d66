import { describe, expect, onTestFinished, test } from 'vitest';
import type { Credential } from '../../credentials/credential.ts';
import { type PullTrial, tryAuthorization, tryPull, tryWith } from '../../credentials/pull-trial.ts';
import { RegistryTransport } from '../../platform/transport.ts';
import { type Fault, hanging, resetBeforeHeaders, status, tooManyRequests } from '../support/faults.ts';
import { makeImage } from '../support/image.ts';
import { type RegistryAuth, startRegistry } from '../support/registry.ts';
import { robot } from './fixtures.ts';

const right: Credential = { kind: 'password', ...robot };
const wrong: Credential = { kind: 'password', username: 'robot', password: 'canary-of-a-wrong-password' };
const nobody = undefined;
const token = (more: object = {}): RegistryAuth => ({ kind: 'token', ...robot, ...more });
const basic: RegistryAuth = { kind: 'basic', ...robot };
const open: RegistryAuth = { kind: 'none' };
const tags = /\/tags\/list$/;
const trials = /\/(?:tags\/list|manifests\/sha256:0{64})$/;
const missing = `/v2/team/app/manifests/sha256:${'0'.repeat(64)}`;
const ofOther = {
  grantAccess: (asked: readonly { name: string }[]) => asked.filter(({ name }) => name === 'team/other'),
};

/** A registry with the repository team/app, and trials of pulls from it. */
async function start(auth: RegistryAuth) {
  const registry = await startRegistry({ auth });
  registry.seed('team/app', makeImage(), ['v1']);
  const transport = new RegistryTransport({ origin: registry.origin });
  onTestFinished(async () => {
    await transport.destroy();
    await registry.close();
  });
  const { signal } = new AbortController();
  const questionOf = (credential: Credential | undefined, repository = 'team/app') =>
    ({ transport, repository, credential, now: Date.now }) as const;
  const attempt = (credential: Credential | undefined, repository?: string, own = signal) =>
    tryPull(questionOf(credential, repository), own);
  return { registry, questionOf, attempt, signal };
}

describe('a pull is', () => {
  test.each<
    [verdict: PullTrial['verdict'], what: string, auth: RegistryAuth, credential: Credential | undefined, repo?: string]
  >([
    ['allowed', 'with a token', token(), right],
    ['allowed', 'with Basic', basic, right],
    ['allowed', 'from an open registry', open, nobody],
    ['allowed', 'from an open registry, also for us', open, right],
    ['allowed', 'for everybody, by a token', token({ anonymousPull: true }), nobody],
    ['denied', 'where the token server refuses', token(), wrong],
    ['denied', 'where nobody gets a token without a credential', token(), nobody],
    ['denied', 'where the registry refuses Basic', basic, wrong],
    ['denied', 'where Basic is wanted and there is no credential', basic, nobody],
    ['denied', 'where the token is not for the repository (401)', token(ofOther), right],
    ['denied', 'where policy denies (403)', token({ ...ofOther, lackingRightStatus: 403 }), right],
    ['unclear', 'where the registry hides it (404)', token({ ...ofOther, lackingRightStatus: 404 }), right],
    ['unclear', 'where there is no such repository', token(), right, 'team/none'],
  ])('%s %s', async (verdict, _what, auth, credential, repository) => {
    const { attempt } = await start(auth);
    const trial = await attempt(credential, repository);
    expect(trial.verdict).toBe(verdict);
    if (verdict === 'allowed') expect(trial.message).toBe('');
    else expect(trial.message).toMatch(/(?:answered|refused).* (?:401|403|404)/);
    for (const { password } of [robot, wrong]) expect(trial.message).not.toContain(password);
  });

  test.each([405, 501])('allowed by a registry that lists no tags and says so (%d)', async (answered) => {
    const { registry, attempt } = await start(token());
    registry.faults.add({ match: { path: tags }, fault: status(answered) });
    expect(await attempt(right)).toEqual({ verdict: 'allowed', message: '' });
  });

  test.each([401, 403, 429, 503])('allowed where the tags alone are refused, with %d', async (refused) => {
    const { registry, attempt } = await start(token());
    registry.faults.add({ match: { path: tags }, fault: status(refused) });
    expect(await attempt(right)).toEqual({ verdict: 'allowed', message: '' });
    expect(registry.requests.at(-1)).toMatchObject({ method: 'GET', url: missing });
  });

  test('unclear where tags are refused and the manifest is somehow missing', async () => {
    const { registry, attempt } = await start(token());
    registry.faults.add({ match: { path: tags }, fault: status(503) });
    registry.faults.add({
      match: { path: /manifests/ },
      fault: status(404, { body: '{"errors":[{"code":"NAME_UNKNOWN"}]}' }),
    });
    expect((await attempt(right)).verdict).toBe('unclear');
  });

  test('tried with the challenge that comes only at the repository', async () => {
    const { registry, attempt } = await start(token());
    registry.faults.add({ match: { path: '/v2/' }, fault: status(200) });
    expect((await attempt(right)).verdict).toBe('allowed');
    expect((await attempt(wrong)).verdict).toBe('denied');
    expect(registry.tokenRequests.map(({ query }) => query.getAll('scope'))).toEqual(
      Array(2).fill(['repository:team/app:pull']),
    );
  });

  test('tried once more at most', async () => {
    const { registry, attempt } = await start(basic);
    registry.faults.add({ match: { path: '/v2/' }, fault: status(200) });
    expect((await attempt(wrong)).verdict).toBe('denied');
    expect(registry.requests.map(({ url }) => url)).toEqual([
      '/v2/',
      ...Array(2).fill('/v2/team/app/tags/list?n=1'),
      missing,
    ]);
  });

  test('denied where the registry wants what we do not have', async () => {
    const { attempt } = await start({ ...basic, challengeHeader: 'Negotiate' });
    expect((await attempt(right)).verdict).toBe('denied');
  });
});

test('a trial asks for one tag, with a token for pulling from that repository alone', async () => {
  const { registry, attempt } = await start(token());
  await attempt(right);
  expect(registry.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
    'GET /v2/',
    'GET /v2/team/app/tags/list?n=1',
  ]);
  expect(registry.tokenRequests.map(({ query }) => query.getAll('scope'))).toEqual([['repository:team/app:pull']]);
});

describe('what is known is not asked for', () => {
  test('a challenge', async () => {
    const { registry, questionOf, signal } = await start(basic);
    const challenges = [{ scheme: 'basic', params: new Map() }];
    expect((await tryWith(questionOf(right), challenges, signal)).verdict).toBe('allowed');
    expect(registry.requests).toHaveLength(1);
  });

  test('an authorization, or that there is none', async () => {
    const { registry, questionOf, signal } = await start(token());
    const authorization = `Bearer ${registry.issueToken(['repository:team/app:pull'])}`;
    expect((await tryAuthorization(questionOf(right), authorization, signal)).verdict).toBe('allowed');
    expect((await tryAuthorization(questionOf(right), undefined, signal)).verdict).toBe('denied');
    expect([registry.requests.length, registry.tokenRequests.length]).toEqual([3, 0]);
  });
});

describe('a registry that cannot be asked says nothing of the credential:', () => {
  test.each<[what: string, code: string, fault: Fault, retryAfter: string | undefined]>([
    ['429', 'UPSTREAM_LIMITED', tooManyRequests(7), '7'],
    ['503', 'UPSTREAM_UNREACHABLE', status(503, { headers: { 'retry-after': '9' } }), '9'],
    ['500', 'UPSTREAM_UNREACHABLE', status(500), undefined],
    ['a reset connection', 'UPSTREAM_UNREACHABLE', resetBeforeHeaders, undefined],
  ])('%s', async (_what, code, fault, retryAfter) => {
    for (const path of [/\/v2\/$/, /^\/token$/, trials]) {
      const { registry, attempt } = await start(token());
      registry.faults.add({ match: { path }, fault });
      const error = await attempt(right).catch((thrown) => thrown);
      expect(error).toMatchObject({ name: 'ProxyError', code });
      expect(error.headers['retry-after']).toBe(retryAfter);
    }
  });

  test('who asked has gone', async () => {
    const { registry, attempt } = await start(token());
    registry.faults.add({ match: { path: tags }, fault: hanging });
    const leaving = new AbortController();
    const asked = attempt(right, 'team/app', leaving.signal);
    await registry.arrival(({ url }) => url.includes('tags/list'));
    leaving.abort(new Error('gone'));
    await expect(asked).rejects.toThrow('gone');
  });
});

test('what the registry repeats of credential and token is taken out', async () => {
  const { registry, attempt } = await start(token());
  const body = () => {
    const sent = registry.requests.at(-1)?.headers.authorization;
    const words = [robot.password, Buffer.from(`robot:${robot.password}`).toString('base64'), sent].join(' ');
    return JSON.stringify({ errors: [{ code: 'DENIED', message: words }] });
  };
  const echo: Fault = {
    name: 'echo',
    inflict: (answer, exchange) => status(403, { body: body() }).inflict(answer, exchange),
  };
  registry.faults.add({ match: { path: trials }, fault: echo });
  const { verdict, message } = await attempt(right);
  expect(verdict).toBe('denied');
  expect(message).toContain('[redacted]');
  expect(message).not.toContain(robot.password);
  expect(message).not.toContain(Buffer.from(`robot:${robot.password}`).toString('base64'));
  const sent = registry.requests.at(-1)?.headers.authorization?.replace('Bearer ', '') ?? 'none';
  expect(message).not.toContain(sent);
});
