import { describe, expect, onTestFinished, test } from 'vitest';
import type { Credential } from '../../credentials/credential.ts';
import { probeLiveness } from '../../credentials/probe.ts';
import { probeAuthentication } from '../../credentials/probe-authentication.ts';
import { RegistryTransport } from '../../platform/transport.ts';
import { type Fault, hanging, resetBeforeHeaders, status, tooManyRequests } from '../support/faults.ts';
import { makeImage } from '../support/image.ts';
import { type Registry, type RegistryAuth, startRegistry } from '../support/registry.ts';
import { robot } from './fixtures.ts';

const right: Credential = { kind: 'password', ...robot };
const wrong: Credential = { kind: 'password', username: 'robot', password: 'canary-of-a-wrong-password' };
const nobody = undefined;
const token = (more: object = {}): RegistryAuth => ({ kind: 'token', ...robot, ...more });
const basic: RegistryAuth = { kind: 'basic', ...robot };
const open: RegistryAuth = { kind: 'none' };
const { signal } = new AbortController();

/** A registry with the repository team/app, and what a probe of it says. */
async function start(auth: RegistryAuth) {
  const registry = await startRegistry({ auth });
  registry.seed('team/app', makeImage(), ['v1']);
  const transport = new RegistryTransport({ origin: registry.origin });
  onTestFinished(async () => {
    await transport.destroy();
    await registry.close();
  });
  const probe = async (credential: Credential | undefined, repository?: string, timeoutMs = 5_000) => {
    const liveness = await probeLiveness(transport, credential, { signal });
    if (!liveness.ok) throw new Error(liveness.message);
    const question = { transport, challenges: liveness.challenges, credential, repository, now: Date.now };
    return probeAuthentication(question, { signal, timeoutMs });
  };
  return { registry, probe };
}

describe('a credential', () => {
  const readerOf = (name: string) => ({
    grantAccess: (asked: readonly { name: string }[]) => asked.filter((access) => access.name === name),
  });
  test.each<
    [
      reason: string,
      what: string,
      auth: RegistryAuth,
      credential: Credential | undefined,
      repository: string | undefined,
    ]
  >([
    ['CredentialAccepted', 'a token without scope is had', token(), right, undefined],
    ['CredentialAccepted', 'Basic is taken', basic, right, undefined],
    ['RepositoryReadable', 'a token for a repository is had', token(), right, 'team/app'],
    ['RepositoryReadable', 'Basic opens a repository', basic, right, 'team/app'],
    ['RepositoryReadable', 'everybody may pull with a token', token({ anonymousPull: true }), nobody, 'team/app'],
    ['RepositoryReadable', 'everybody may pull', open, nobody, 'team/app'],
    ['RepositoryReadable', 'everybody may pull, also we', open, right, 'team/app'],
    ['NothingToProve', 'the registry is open', open, nobody, undefined],
    ['NothingToProve', 'the registry is open, also for us', open, right, undefined],
    ['NothingToProve', 'there is none', token(), nobody, undefined],
    ['CredentialRefused', 'the token server refuses it', token(), wrong, undefined],
    ['CredentialRefused', 'the token server refuses it, whatever the repository', token(), wrong, 'team/app'],
    ['CredentialRefused', 'the registry refuses it as Basic', basic, wrong, undefined],
    ['CredentialRequired', 'a Basic registry lets nobody in', basic, nobody, undefined],
    ['RepositoryDenied', 'the token is not for the repository', token(readerOf('other')), right, 'team/app'],
    ['RepositoryDenied', '(403)', token({ ...readerOf('other'), lackingRightStatus: 403 }), right, 'team/app'],
    ['RepositoryDenied', 'nobody gets a token without one', token(), nobody, 'team/app'],
    ['RepositoryNotFound', '(404)', token({ ...readerOf('other'), lackingRightStatus: 404 }), right, 'team/app'],
    ['RepositoryNotFound', 'there is no such repository', token(), right, 'team/none'],
    ['SchemeUnsupported', 'Negotiate', { ...basic, challengeHeader: 'Negotiate' }, right, undefined],
    [
      'TokenServerForbidden',
      'realm at a link-local address',
      token({ realm: 'http://169.254.169.254/' }),
      right,
      undefined,
    ],
  ])('%s: %s', async (reason, _what, auth, credential, repository) => {
    const { probe } = await start(auth);
    const outcome = await probe(credential, repository);
    expect(outcome).toMatchObject({ reason });
    expect(outcome.ok).toBe(['CredentialAccepted', 'RepositoryReadable', 'NothingToProve'].includes(reason));
    expect(outcome.message).toMatch(/\w+/);
  });

  test('that is wrong is shown once in a probe, so that no account is locked by probing', async () => {
    const { registry, probe } = await start(token());
    await probe(wrong, 'team/app');
    expect(registry.tokenRequests).toHaveLength(1);
  });

  test('is asked a token of exactly the repository', async () => {
    const { registry, probe } = await start(token());
    await probe(right, 'team/app');
    const scopes = registry.tokenRequests.map(({ query }) => query.getAll('scope'));
    expect(scopes).toEqual([[], ['repository:team/app:pull']]);
  });

  test('of a registry that is open at /v2/ and closed at a repository is proved there', async () => {
    const { registry, probe } = await start(token());
    registry.faults.add({ match: { path: '/v2/' }, fault: status(200) });
    expect(await probe(right, 'team/app')).toMatchObject({ ok: true, reason: 'RepositoryReadable' });
    expect(await probe(wrong, 'team/app')).toMatchObject({ ok: false, reason: 'CredentialRefused' });
  });

  test('whose registry does not list tags counts as good', async () => {
    const { registry, probe } = await start(token());
    registry.faults.add({ match: { path: /tags/ }, fault: status(405) });
    expect(await probe(right, 'team/app')).toMatchObject({ ok: true, reason: 'RepositoryReadable' });
  });

  test('whose token the registry itself refuses is not to blame', async () => {
    const { registry, probe } = await start(token());
    registry.faults.add({ match: { path: '/v2/' }, skip: 1, fault: status(403) });
    expect(await probe(right)).toMatchObject({ ok: false, reason: 'TokenRefused' });
  });
});

describe('a registry in trouble is no verdict on the credential', () => {
  test.each<[reason: string, path: string | RegExp, fault: Fault, message: RegExp]>([
    ['TokenServerFailed', '/token', status(500), /^no token could be had: the token server \S+ answered 500/],
    ['TokenServerFailed', '/token', status(200, { body: '{}' }), /answered 200 without a token/],
    ['TokenServerFailed', '/token', resetBeforeHeaders, /the connection was/],
    ['RateLimited', '/token', tooManyRequests(3), /limits our requests/],
    ['RateLimited', /tags/, tooManyRequests(3), /answered 429 at \/v2\/team\/app\/tags/],
    ['ServerError', /tags/, status(502), /answered 502/],
    ['Unreachable', /tags/, resetBeforeHeaders, /the connection was/],
    ['NotARegistry', /tags/, status(301), /answered 301/],
    ['Timeout', '/token', hanging, /no answer came within 0\.1 s/],
  ])('%s: %s %s', async (reason, path, fault, message) => {
    const { registry, probe } = await start(token());
    registry.faults.add({ match: { path }, fault });
    const outcome = await probe(right, 'team/app', fault === hanging ? 100 : 5_000);
    expect(outcome).toMatchObject({ ok: false, reason, message: expect.stringMatching(message) });
  });
});

test('a registry that repeats what it was sent does not get it into the message', async () => {
  const echo: Fault = {
    name: 'echo',
    inflict: (answer, exchange) => {
      const { authorization = '' } = exchange.headers;
      const said = `${authorization} ${Buffer.from(authorization.slice(6), 'base64')} ${robot.password}`;
      const body = JSON.stringify({ errors: [{ code: 'DENIED', message: said }] });
      return status(403, { body }).inflict(answer, exchange);
    },
  };
  for (const [auth, path] of [
    [token(), '/token'],
    [token(), /tags/],
    [basic, '/v2/'],
    [basic, /tags/],
  ] as const) {
    const { registry, probe } = await start(auth);
    registry.faults.add({
      match: ({ path: at, exchange }) => at.search(path) >= 0 && 'authorization' in exchange.headers,
      fault: echo,
    });
    const outcome = await probe(right, 'team/app');
    expect(outcome).toMatchObject({ ok: false });
    expect(outcome.message).toContain('[redacted]');
    expectNoCanary(outcome.message, registry);
  }
});

function expectNoCanary(text: string, registry: Registry): void {
  const sent = registry.requests.flatMap(({ headers }) => headers.authorization?.split(' ')[1] ?? []);
  for (const canary of [robot.password, Buffer.from(robot.password).toString('base64').slice(0, 16), ...sent]) {
    expect(text).not.toContain(canary);
  }
}
