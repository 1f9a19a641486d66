import { describe, expect, onTestFinished, test } from 'vitest';
import type { ResolvedConnector } from '../../connectors/connector.ts';
import type { Action, Grant, GrantWant } from '../../credentials/grant.ts';
import { LocalGrants } from '../../credentials/local-grants.ts';
import { RegistryTransports } from '../../credentials/registry-transports.ts';
import type { Resolve } from '../../platform/transport.ts';
import { secretOf } from '../connectors/documents.ts';
import { call } from '../support/call.ts';
import { type Fault, hanging, status, tooManyRequests } from '../support/faults.ts';
import { type Registry, type RegistryAuth, startRegistry } from '../support/registry.ts';
import { connectorFor, robot, robotSecret } from './fixtures.ts';

const caller = { name: 'test' };
const token = (more: object = {}): RegistryAuth => ({ kind: 'token', ...robot, expiresInSeconds: 300, ...more });

/** A registry, grants for it, and a clock that stands still unless it is moved. */
async function start(auth: RegistryAuth, resolve?: Resolve) {
  const clock = { at: Date.parse('2026-01-01T00:00:00Z') };
  const systemClock = { now: () => clock.at, sleep: () => new Promise<void>(() => {}) };
  const registry = await startRegistry({ auth, clock: systemClock });
  const transports = new RegistryTransports(resolve === undefined ? {} : { resolve });
  onTestFinished(async () => {
    await transports.close();
    await registry.close();
  });
  const exchanges: string[] = [];
  const onExchange = (connector: string, result: string) => void exchanges.push(`${connector} ${result}`);
  const grants = new LocalGrants({ transports, now: () => clock.at, onExchange });
  const connector = connectorFor(registry.origin, robotSecret);
  const grant = (want: Partial<GrantWant> = {}, signal = new AbortController().signal): Promise<Grant> =>
    grants.grant({ connector, repository: 'team/app', actions: ['pull'], caller, ...want }, signal);
  return { clock, registry, connector, exchanges, grant };
}

const open = (registry: Registry) => connectorFor(registry.origin, undefined);
const textOf = (grant: Grant) => (grant.kind === 'authorization' ? grant.value : grant.kind);

async function statusWith(registry: Registry, grant: Grant) {
  const headers = grant.kind === 'authorization' ? { authorization: grant.value } : {};
  return (await call(`${registry.origin}/v2/team/app/tags/list`, { headers })).status;
}

/** The refusal of a grant that the registry no longer takes. */
async function refusalOf(registry: Registry, grant: Grant): Promise<Pick<Required<GrantWant>, 'refused'>> {
  const headers = grant.kind === 'authorization' ? { authorization: grant.value } : {};
  const answer = await call(`${registry.origin}/v2/team/app/tags/list`, { headers });
  expect(answer.status).toBe(401);
  return { refused: { grant, challenge: answer.headers['www-authenticate'] } };
}

describe('a grant', () => {
  const lines = (...challenges: string[]) => ({
    challengeHeader: ({ realm }: { realm: string }) => challenges.map((text) => text.replace('REALM', realm)),
  });
  test.each<[what: string, auth: RegistryAuth, kind: RegExp]>([
    ['an open registry', { kind: 'none' }, /^anonymous$/],
    ['Basic', { kind: 'basic', ...robot }, /^Basic \S+$/],
    ['Basic in a list', { kind: 'basic', ...robot, challengeHeader: 'Negotiate, bAsIc realm="x"' }, /^Basic \S+$/],
    ['tokens', token(), /^Bearer \S+$/],
    ['tokens without service', token({ service: null }), /^Bearer \S+$/],
    ['tokens with an empty scope', token({ scope: '' }), /^Bearer \S+$/],
    ['tokens with a scope *', token({ scope: '*' }), /^Bearer \S+$/],
    ['tokens or Basic', token(lines('Bearer realm="REALM"', 'Basic realm="x"')), /^Bearer \S+$/],
    ['Basic or tokens', token(lines('Basic realm="x"', 'Bearer realm="REALM"')), /^Bearer \S+$/],
    ['a relative realm', token({ realm: '/token' }), /^Bearer \S+$/],
    ['a realm elsewhere', token({ tokenEndpoint: 'own-port' }), /^Bearer \S+$/],
    ['a realm with a user in it', token({ realm: (url: string) => url.replace('//', '//evil:evil@') }), /^Bearer \S+$/],
  ])('for %s is what the registry takes', async (_what, auth, kind) => {
    const { registry, grant } = await start(auth);
    const granted = await grant();
    expect(textOf(granted)).toMatch(kind);
    expect(await statusWith(registry, granted)).not.toBe(401);
  });

  test('without a credential is a token for the anonymous, or nothing', async () => {
    const tokens = await start(token({ anonymousPull: true }));
    expect(textOf(await tokens.grant({ connector: open(tokens.registry) }))).toMatch(/^Bearer/);
    expect(tokens.registry.tokenRequests[0]?.authorization).toBeUndefined();
    const basic = await start({ kind: 'basic', ...robot });
    expect(textOf(await basic.grant({ connector: open(basic.registry) }))).toBe('anonymous');
  });

  test.each<[actions: Action[], scope: string]>([
    [['pull'], 'repository:team/app:pull'],
    [['pull', 'push'], 'repository:team/app:pull,push'],
    [['delete'], 'repository:team/app:delete'],
  ])('for %j names the scope itself', async (actions, scope) => {
    const { registry, grant } = await start(token({ scope: 'repository:other:*' }));
    await grant({ actions });
    expect(registry.tokenRequests[0]?.query.getAll('scope')).toEqual([scope]);
  });
});

describe('grants are kept', () => {
  test('until shortly before they expire', async () => {
    const { clock, registry, exchanges, grant } = await start(token());
    const first = await grant();
    clock.at += 269_000;
    expect(await grant()).toBe(first);
    clock.at += 1_000;
    const second = await grant();
    expect(textOf(second)).not.toBe(textOf(first));
    expect(exchanges).toEqual(['demo/harbor granted', 'demo/harbor granted']);
    expect(await statusWith(registry, second)).not.toBe(401);
  });

  test('also short ones, for nine tenths of their life', async () => {
    const { clock, registry, grant } = await start(token({ expiresInSeconds: 10 }));
    await grant();
    clock.at += 8_999;
    await grant();
    expect(registry.tokenRequests).toHaveLength(1);
    clock.at += 1;
    await grant();
    expect(registry.tokenRequests).toHaveLength(2);
  });

  test('for each repository, set of actions and connector', async () => {
    const { registry, connector, grant } = await start(token());
    const wants: Partial<GrantWant>[] = [{}, { repository: 'x' }, { actions: ['pull', 'push'] }];
    wants.push({ connector: { ...connector, uid: 'other' } }, { connector: { ...connector, revision: 'other' } });
    for (const want of [...wants, ...wants]) await grant(want);
    expect(registry.tokenRequests).toHaveLength(wants.length);
  });

  test('not beyond the credential that they were made with', async () => {
    const { registry, grant } = await start(token());
    const before = await grant();
    registry.setCredential('robot', 'new');
    const connector = connectorFor(registry.origin, secretOf('robot', { username: 'robot', password: 'new' }));
    expect(textOf(await grant({ connector }))).not.toBe(textOf(before));
  });

  test('and the challenge too, for some minutes', async () => {
    const { clock, registry, grant } = await start(token());
    for (const repository of ['a', 'b']) await grant({ repository });
    expect(registry.requests).toHaveLength(1);
    clock.at += 300_000;
    await grant({ repository: 'c' });
    expect(registry.requests.map(({ url }) => url)).toEqual(['/v2/', '/v2/']);
  });

  test('but failures are not', async () => {
    const { registry, exchanges, grant } = await start(token());
    registry.faults.add({ match: { path: '/v2/' }, times: 1, fault: status(503) });
    registry.faults.add({ match: { path: '/token' }, times: 1, fault: status(500) });
    registry.faults.add({ match: { path: '/token' }, times: 1, fault: status(403) });
    for (const code of ['UPSTREAM_UNREACHABLE', 'UPSTREAM_UNREACHABLE', 'CREDENTIAL_REFUSED']) {
      await expect(grant()).rejects.toMatchObject({ code });
    }
    await expect(grant()).resolves.toBeDefined();
    expect(exchanges.map((line) => line.split(' ')[1])).toEqual(['failed', 'refused', 'granted']);
  });
});

describe('concurrent wants', () => {
  test('that are equal share one exchange, others the question how to authenticate', async () => {
    const { registry, grant } = await start(token());
    const repositories = Array.from({ length: 50 }, (_, at) => `team/app-${at % 5}`);
    const granted = await Promise.all(repositories.map((repository) => grant({ repository })));
    expect(new Set(granted.map(textOf)).size).toBe(5);
    expect([registry.requests.length, registry.tokenRequests.length]).toEqual([1, 5]);
  });

  test('lose nothing when one of them goes', async () => {
    const { registry, grant } = await start(token());
    const held = Promise.withResolvers<void>();
    const late: Fault = { name: 'late', inflict: (answer) => held.promise.then(answer) };
    registry.faults.add({ match: { path: '/token' }, fault: late });
    const caller = new AbortController();
    const [gone, stays] = [grant({}, caller.signal), grant()];
    await registry.tokenArrival(() => true);
    caller.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    held.resolve();
    await expect(stays).resolves.toMatchObject({ kind: 'authorization' });
    expect(registry.tokenRequests).toHaveLength(1);
  });

  test('end the exchange when all of them go, and the next one begins anew', async () => {
    const { registry, grant } = await start(token());
    registry.faults.add({ match: { path: '/token' }, times: 1, fault: hanging });
    const caller = new AbortController();
    const wants = [grant({}, caller.signal), grant({}, caller.signal)];
    const { ended } = await registry.tokenArrival(() => true);
    caller.abort(new Error('gone'));
    expect(await Promise.allSettled(wants)).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
    await expect(ended).resolves.toBe('broken');
    await expect(grant()).resolves.toMatchObject({ kind: 'authorization' });
  });
});

describe('a grant that the registry refused', () => {
  test('is dropped, and another one is asked for once', async () => {
    const { registry, grant } = await start(token());
    const first = await grant();
    registry.revokeTokens();
    const refusal = await refusalOf(registry, first);
    const renewed = await Promise.all([grant(refusal), grant(refusal), grant(refusal)]);
    expect(new Set(renewed.map(textOf)).size).toBe(1);
    expect(textOf(await grant())).toBe(textOf(renewed[0] ?? first));
    expect(await statusWith(registry, await grant(refusal))).not.toBe(401);
    expect(registry.tokenRequests).toHaveLength(2);
  });

  test('tells of a registry that is open at /v2/ only, each time', async () => {
    const { registry, grant } = await start(token());
    registry.faults.add({ match: { path: '/v2/' }, fault: status(200) });
    const anonymous = await grant();
    expect(anonymous.kind).toBe('anonymous');
    const first = await grant(await refusalOf(registry, anonymous));
    expect(await statusWith(registry, first)).not.toBe(401);
    registry.revokeTokens();
    const second = await grant(await refusalOf(registry, first));
    expect(await statusWith(registry, second)).not.toBe(401);
  });

  test('tells of a registry that has changed its ways', async () => {
    const { registry, grant } = await start({ kind: 'basic', ...robot });
    const basic = await grant();
    const challenge = `Bearer realm="${registry.origin}/token"`;
    registry.faults.add({ match: { path: '/token' }, fault: status(200, { body: '{"token":"t"}' }) });
    expect(textOf(await grant({ refused: { grant: basic, challenge } }))).toBe('Bearer t');
  });

  test.each([undefined, '', 'Bearer error="invalid_token"', 'Negotiate'])(
    'with the challenge %j leads to a new question',
    async (challenge) => {
      const { registry, grant } = await start(token());
      const first = await grant();
      const second = await grant({ refused: { grant: first, challenge } });
      expect(textOf(second)).not.toBe(textOf(first));
      expect(registry.requests).toHaveLength(2);
    },
  );
});

describe('a token server that hangs', () => {
  test('has 32 exchanges and 2,000 that wait, and no other connector waits for it', async () => {
    const { registry, connector, grant } = await start(token());
    registry.faults.add({ match: { path: '/token' }, times: 32, fault: hanging });
    const leaving = new AbortController();
    const asked = Array.from({ length: 32 + 2000 }, (_, at) => grant({ repository: `r${at}` }, leaving.signal));
    const settled = Promise.allSettled(asked);
    await registry.tokenArrival(() => true, 32);
    const limited = { code: 'UPSTREAM_LIMITED', status: 429, headers: { 'retry-after': '2' } };
    await expect(grant({ repository: 'one-more' })).rejects.toMatchObject(limited);
    // Who asks for what is asked already takes no room.
    const same = grant({ repository: 'r2031' }, leaving.signal);
    const other = await grant({ connector: { ...connector, uid: 'other' } });
    expect(other.kind).toBe('authorization');
    expect(registry.tokenRequests).toHaveLength(33);
    leaving.abort(new Error('gone'));
    await expect(same).rejects.toThrow('gone');
    expect(new Set((await settled).map((outcome) => outcome.status))).toEqual(new Set(['rejected']));
    expect((await grant({ repository: 'one-more' })).kind).toBe('authorization');
    expect(registry.tokenRequests).toHaveLength(34);
  });
});

describe('a token server that limits us', () => {
  test.each<[what: string, answer: Fault, first: string | undefined, seconds: number]>([
    ['for 30 s', tooManyRequests(30), '30', 30],
    ['for an hour', tooManyRequests(3600), '3600', 60],
    ['for a time it does not name', status(429), undefined, 1],
  ])('%s is not asked again for so long, or a minute, for any repository', async (_what, answer, first, seconds) => {
    const { clock, registry, connector, grant } = await start(token());
    const kept = await grant({ repository: 'kept' });
    registry.faults.add({ match: { path: '/token' }, times: 1, fault: answer });
    const refusal = await grant().catch((error) => error);
    expect(refusal).toMatchObject({ code: 'UPSTREAM_LIMITED', headers: first ? { 'retry-after': first } : {} });
    expect(registry.tokenRequests).toHaveLength(2);
    clock.at += seconds * 1000 - 600;
    for (let count = 0; count < 100; count += 1) {
      const again = grant({ repository: `r${count}` });
      await expect(again).rejects.toMatchObject({ code: 'UPSTREAM_LIMITED', headers: { 'retry-after': '1' } });
    }
    expect(await grant({ repository: 'kept' })).toBeDefined();
    expect(registry.tokenRequests).toHaveLength(2);
    // Another Secret may be another account.
    expect((await grant({ connector: { ...connector, revision: 'other' } })).kind).toBe('authorization');
    clock.at += 600;
    expect((await grant()).kind).toBe(kept.kind);
  });

  test('is not asked by those who waited for their turn meanwhile', async () => {
    const { registry, grant } = await start(token());
    registry.faults.add({ match: { path: '/token' }, times: 32, fault: tooManyRequests(30) });
    const asked = Array.from({ length: 100 }, (_, at) => grant({ repository: `r${at}` }));
    expect(new Set((await Promise.allSettled(asked)).map((each) => each.status))).toEqual(new Set(['rejected']));
    expect(registry.tokenRequests.length).toBeLessThanOrEqual(32);
  });
});

describe('there is no grant', () => {
  test.each<[code: string, message: RegExp, answer: Fault]>([
    ['UPSTREAM_PROTOCOL', /answered 404 at \/v2\/, where a registry answers 200 or 401/, status(404)],
    ['UPSTREAM_PROTOCOL', /answered 401 at \/v2\/, without a challenge/, status(401)],
    ['UPSTREAM_PROTOCOL', /answered 301 at/, status(301, { headers: { location: 'http://169.254.169.254/' } })],
    [
      'UPSTREAM_PROTOCOL',
      /wants negotiate; supported are/,
      status(401, { headers: { 'www-authenticate': 'Negotiate' } }),
    ],
    ['UPSTREAM_PROTOCOL', /wants bearer; supported are/, status(401, { headers: { 'www-authenticate': 'Bearer' } })],
    [
      'UPSTREAM_PROTOCOL',
      /answered a web page at/,
      status(200, { headers: { 'content-type': 'text/html' }, body: '<p>' }),
    ],
    ['UPSTREAM_LIMITED', /limits our requests/, tooManyRequests(5)],
    ['UPSTREAM_UNREACHABLE', /answered 502 at/, status(502)],
    [
      'TARGET_FORBIDDEN',
      /to scheme file:/,
      status(401, { headers: { 'www-authenticate': 'Bearer realm="file:///x"' } }),
    ],
    [
      'TARGET_FORBIDDEN',
      /at a forbidden address/,
      status(401, { headers: { 'www-authenticate': 'Bearer realm="http://169.254.169.254/"' } }),
    ],
  ])('%s when the registry %s', async (code, message, answer) => {
    const { registry, grant } = await start(token());
    registry.faults.add({ match: { path: '/v2/' }, fault: answer });
    await expect(grant()).rejects.toMatchObject({ name: 'ProxyError', code, message: expect.stringMatching(message) });
    expect(registry.tokenRequests).toEqual([]);
  });

  test.each<[what: string, reason: RegExp, connector: (origin: string) => ResolvedConnector]>([
    [
      'a problem',
      /^ConnectorClassNotFound: /,
      (origin) => connectorFor(origin, robotSecret, { connectorClassName: 'x' }),
    ],
    ['an odd Secret', /^SecretWrongType: /, (origin) => connectorFor(origin, secretOf('s', robot, 'x'))],
  ])('for a connector with %s, which asks nothing', async (_what, message, connector) => {
    const { registry, grant } = await start(token());
    await expect(grant({ connector: connector(registry.origin) })).rejects.toMatchObject({
      code: 'CONNECTOR_UNUSABLE',
      message: expect.stringMatching(message),
    });
    expect(registry.requests).toEqual([]);
  });

  test('for a public registry whose realm is not public, unless the host is trusted', async () => {
    // A name with one public address counts as public; the other one is where the registry listens.
    const resolve: Resolve = async () => [
      { address: '127.0.0.1', family: 4 },
      { address: '203.0.113.1', family: 4 },
    ];
    const { registry, grant } = await start(token(), resolve);
    const address = registry.origin.replace('127.0.0.1', 'registry.example.com');
    const denied = grant({ connector: connectorFor(address, robotSecret) });
    await expect(denied).rejects.toMatchObject({
      code: 'TARGET_FORBIDDEN',
      message: expect.stringMatching(/^the registry, at a public address, sends us to 127.0.0.1:\d+, .*trustedHosts/),
    });
    expect(registry.tokenRequests).toEqual([]);
    const params = [{ name: 'trustedHosts', value: registry.authority }];
    await expect(grant({ connector: connectorFor(address, robotSecret, { params }) })).resolves.toBeDefined();
  });
});

describe('a grant that a body is sent with', () => {
  test.each([
    ['is the one there is while it is good for long enough', 300, 230, 'same'],
    ['is a new one when the other ends before that', 300, 245, 'new'],
    ['is the one there is for half of a life that is shorter', 60, 20, 'same'],
    ['is a new one in the second half of such a life', 60, 40, 'new'],
  ])('%s', async (_what, expiresInSeconds, ageSeconds, expected) => {
    const { clock, grant } = await start(token({ expiresInSeconds }));
    const first = await grant();
    clock.at += ageSeconds * 1000;
    const second = await grant({ freshMs: 60_000 });
    expect(textOf(second) === textOf(first) ? 'same' : 'new').toBe(expected);
  });

  test('may come with the right to mount from another repository, and is another one then', async () => {
    const { registry, grant } = await start(token());
    await grant({ actions: ['pull', 'push'] });
    await grant({ actions: ['pull', 'push'], mountFrom: 'team/base' });
    expect(registry.tokenRequests.map(({ query }) => query.getAll('scope'))).toEqual([
      ['repository:team/app:pull,push'],
      ['repository:team/app:pull,push', 'repository:team/base:pull'],
    ]);
  });
});
