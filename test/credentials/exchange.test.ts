import { describe, expect, onTestFinished, test } from 'vitest';
import { basicAuthorization, type Credential } from '../../credentials/credential.ts';
import { exchangeToken, type TokenRequest } from '../../credentials/exchange.ts';
import { ProxyError } from '../../platform/errors.ts';
import { RegistryTransport } from '../../platform/transport.ts';
import {
  type Fault,
  hanging,
  malformedAnswer,
  redirectedTo,
  resetBeforeHeaders,
  stalledAfter,
  status,
} from '../support/faults.ts';
import { type Registry, startRegistry, type TokenAuth } from '../support/registry.ts';
import { startStorage } from '../support/storage.ts';
import { robot } from './fixtures.ts';

const password: Credential = { kind: 'password', ...robot };
const identity: Credential & { kind: 'identityToken' } = {
  kind: 'identityToken',
  username: 'robot',
  token: 'refresh-7f3a',
};
const scope = 'repository:team/app:pull';
const now = Date.parse('2026-01-01T00:00:00Z');

async function start(auth: Partial<TokenAuth> = {}, fault?: Fault) {
  const registry = await startRegistry({
    auth: { kind: 'token', ...robot, identityToken: identity.token, ...auth },
    faults: fault === undefined ? [] : [{ match: { path: '/token' }, fault }],
  });
  const resolve = () => Promise.reject(Object.assign(new Error('no names here'), { code: 'ENOTFOUND' }));
  const transport = new RegistryTransport({ origin: registry.origin, resolve });
  onTestFinished(async () => {
    await transport.destroy();
    await registry.close();
  });
  const ask = (request: Partial<TokenRequest> = {}, signal = new AbortController().signal) => {
    const whole = {
      realm: `${registry.origin}/token`,
      service: 'test-registry',
      scopes: [scope],
      credential: password,
    };
    return exchangeToken(transport, { ...whole, ...request }, () => now, signal);
  };
  return { registry, ask };
}

/** How token requests were made: their method, and whether they carried Basic. */
const traceOf = (registry: Registry) =>
  registry.tokenRequests.map(({ method, authorization }) => (authorization === undefined ? method : `${method} Basic`));

const failureOf = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ProxyError) return error;
  throw new Error(`no ProxyError but ${error}`);
};

describe('a token is asked for', () => {
  test('by GET with service, repeated scopes and account', async () => {
    const { registry, ask } = await start();
    await ask({ realm: `${registry.origin}/token?tenant=a%20b&scope=own`, scopes: [scope, 'repository:x:pull'] });
    const [request] = registry.tokenRequests;
    expect([...(request?.query ?? [])]).toEqual([
      ['tenant', 'a b'],
      ['scope', 'own'],
      ['service', 'test-registry'],
      ['scope', scope],
      ['scope', 'repository:x:pull'],
      ['account', 'robot'],
    ]);
    expect(request?.authorization).toBe(basicAuthorization(password));
  });

  test('without a service where there is none, and without a credential where there is none', async () => {
    const { registry, ask } = await start({ anonymousPull: true });
    await ask({ service: undefined, credential: undefined });
    expect(registry.tokenRequests.map(({ url }) => decodeURIComponent(url))).toEqual([`/token?scope=${scope}`]);
    expect(traceOf(registry)).toEqual(['GET']);
  });

  test('by POST with one scope parameter', async () => {
    const { registry, ask } = await start();
    await ask({ credential: identity, scopes: [scope, 'repository:x:pull'] });
    expect(Object.fromEntries(registry.tokenRequests[0]?.form ?? [])).toEqual({
      client_id: 'oci-connector',
      grant_type: 'refresh_token',
      refresh_token: identity.token,
      scope: `${scope} repository:x:pull`,
      service: 'test-registry',
    });
  });

  test.each<[what: string, credential: Credential | undefined, auth: Partial<TokenAuth>, trace: string[]]>([
    ['a password', password, {}, ['GET Basic']],
    ['a password where GET is 405', password, { methods: ['POST'] }, ['GET Basic', 'POST']],
    ['a password where GET is 404', password, { methods: ['POST'], refusedMethodStatus: 404 }, ['GET Basic', 'POST']],
    ['an identity token', identity, {}, ['POST']],
    ['nothing', undefined, { anonymousPull: true }, ['GET']],
  ])('with %s in the way the server understands', async (_what, credential, auth, trace) => {
    const { registry, ask } = await start(auth);
    await expect(ask({ credential })).resolves.toMatchObject({ token: expect.stringMatching(/^\S+$/) });
    expect(traceOf(registry)).toEqual(trace);
  });

  test.each([400, 401, 404, 405])(
    'with an identity token as a password where POST is %d',
    async (refusedMethodStatus) => {
      const { registry, ask } = await start({ methods: ['GET'], refusedMethodStatus, password: identity.token });
      await expect(ask({ credential: identity })).resolves.toBeDefined();
      expect(traceOf(registry)).toEqual(['POST', 'GET Basic']);
    },
  );
});

describe('an answer', () => {
  const life = (body: object) => JSON.stringify({ token: 't', ...body });
  const iso = (offsetSeconds: number) => new Date(now + offsetSeconds * 1000).toISOString();

  test.each<[body: string, seconds: number]>([
    ['{"token":"t"}', 60],
    ['{"access_token":"t"}', 60],
    ['{"token":"","access_token":"t"}', 60],
    [life({ expires_in: 300 }), 300],
    [life({ expires_in: '300' }), 300],
    [life({ expires_in: 0 }), 60],
    [life({ expires_in: -5 }), 60],
    [life({ expires_in: 'soon' }), 60],
    [life({ expires_in: 1e300 }), 3600],
    [life({ expires_in: 300, issued_at: iso(0) }), 300],
    [life({ expires_in: 300, issued_at: iso(-100) }), 200],
    [life({ issued_at: iso(-20) }), 40],
    // A clock that is not ours: a token is not expired, nor for the future, when it is issued.
    [life({ expires_in: 300, issued_at: iso(-300) }), 300],
    [life({ expires_in: 300, issued_at: iso(-86_400) }), 300],
    [life({ expires_in: 300, issued_at: iso(86_400) }), 300],
    [life({ expires_in: 300, issued_at: 'yesterday' }), 300],
    [life({ expires_in: 300, issued_at: now }), 300],
  ])('%s lives %d seconds', async (body, seconds) => {
    const { ask } = await start({}, status(200, { body }));
    await expect(ask()).resolves.toEqual({ token: 't', expiresAt: now + seconds * 1000 });
  });

  test.each<[what: string, body: string]>([
    ['nothing', ''],
    ['no JSON', 'token'],
    ['null', 'null'],
    ['a list', '["t"]'],
    ['no token', '{"expires_in":300}'],
    ['a token that is none', '{"token":{"a":1}}'],
    ['a token with a line break', '{"token":"a\\r\\nx-evil: b"}'],
    ['a token with a space', '{"token":"a b"}'],
    ['a token that is no ASCII', '{"token":"ä"}'],
    ['a token that fits into no request', JSON.stringify({ token: 'x'.repeat(200_000) })],
    ['more than a MiB', JSON.stringify({ token: 't', padding: 'x'.repeat(3_000_000) })],
  ])('with %s is no token', async (_what, body) => {
    const { ask } = await start({}, status(200, { body }));
    expect(await failureOf(ask())).toMatchObject({
      code: 'UPSTREAM_PROTOCOL',
      message: expect.stringMatching(/answered 200 without a token$/),
    });
  });

  test.each<[code: string, fault: Fault, message: RegExp]>([
    ['CREDENTIAL_REFUSED', status(401, { code: 'UNAUTHORIZED' }), /refused the credential with 401 \(UNAUTHORIZED: /],
    ['CREDENTIAL_REFUSED', status(403), /refused the credential with 403/],
    ['UPSTREAM_LIMITED', status(429, { headers: { 'retry-after': '7' } }), /limits our requests/],
    ['UPSTREAM_UNREACHABLE', status(503, { headers: { 'retry-after': '7' } }), /answered 503/],
    ['UPSTREAM_PROTOCOL', status(204), /answered 204 instead of a token/],
    ['UPSTREAM_PROTOCOL', status(302), /answered 302 instead of a token/],
    ['UPSTREAM_UNREACHABLE', resetBeforeHeaders, /127.0.0.1:\d+: the connection was (reset|closed)/],
    ['UPSTREAM_UNREACHABLE', malformedAnswer(), /the answer is not HTTP/],
  ])('is %s for %o', async (code, fault, message) => {
    const { ask } = await start({}, fault);
    const error = await failureOf(ask());
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    const isLater = code === 'UPSTREAM_LIMITED' || fault.name === 'status(503)';
    expect(error.headers).toEqual(isLater ? { 'retry-after': '7' } : {});
  });

  test.each([hanging, stalledAfter(3)])(
    'that does not come is waited for as long as the caller waits: %o',
    async (fault) => {
      const { registry, ask } = await start({}, fault);
      const caller = new AbortController();
      const asked = ask({}, caller.signal);
      const request = await registry.tokenArrival(() => true);
      caller.abort(new Error('gone'));
      await expect(asked).rejects.toThrow('gone');
      await expect(request.ended).resolves.toBe('broken');
    },
  );
});

describe('a redirect of the token server', () => {
  test('to itself is followed with Basic', async () => {
    const { registry, ask } = await start();
    registry.faults.add({ match: { path: '/elsewhere' }, fault: redirectedTo('/token?moved=1') });
    await ask({ realm: `${registry.origin}/elsewhere` });
    expect(traceOf(registry)).toEqual(['GET Basic']);
  });

  test('to another host is followed without, also when that sends us back', async () => {
    const { registry, ask } = await start({ anonymousPull: true });
    await using other = await startStorage();
    other.faults.add({ fault: redirectedTo(`${registry.origin}/token`) });
    registry.faults.add({ match: { path: '/token' }, times: 1, fault: redirectedTo(`${other.origin}/x`) });
    await ask();
    expect(traceOf(registry)).toEqual(['GET Basic', 'GET']);
    expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  test.each<[location: string, code: string]>([
    ['/token', 'UPSTREAM_PROTOCOL'],
    ['http://169.254.169.254/latest/meta-data', 'TARGET_FORBIDDEN'],
    ['http://[::ffff:169.254.169.254]/', 'TARGET_FORBIDDEN'],
    ['ftp://127.0.0.1/', 'TARGET_FORBIDDEN'],
    ['http://[', 'TARGET_FORBIDDEN'],
  ])('to %s is not followed', async (location, code) => {
    const { registry, ask } = await start({}, redirectedTo(location));
    expect(await failureOf(ask())).toMatchObject({ code });
    expect(registry.tokenRequests.length).toBeLessThan(6);
  });
});

describe('no error repeats the credential', () => {
  const spellings = [
    robot.password,
    Buffer.from(robot.password).toString('base64'),
    Buffer.from(`robot:${robot.password}`).toString('base64'),
    encodeURIComponent(robot.password),
    new URLSearchParams({ '': robot.password }).toString().slice(1),
  ];
  const echo = `you sent ${spellings.join(' and ')}`;
  const host = 'canary-host';

  test.each<[what: string, fault: Fault, credential?: Credential]>([
    ['an OCI error', status(401, { body: JSON.stringify({ errors: [{ code: echo, message: echo }] }) })],
    ['an OAuth2 error', status(400, { body: JSON.stringify({ error: echo, error_description: echo }) })],
    ['a server error', status(500, { body: JSON.stringify({ message: echo }) })],
    ['a limit', status(429, { body: JSON.stringify({ details: echo }) })],
    ['plain text', status(403, { body: echo })],
    ['a token that is none', status(200, { body: JSON.stringify({ token: echo }) })],
    ['what is no JSON', status(200, { body: echo })],
    ['a status line', malformedAnswer(`HTTP/1.1 ${robot.password} no\r\n\r\n`)],
    ['a header', malformedAnswer(`HTTP/1.1 401 no\r\n${robot.password}\r\n\r\n`)],
    [
      'a path',
      redirectedTo(`http://10.0.0.1:1/?${encodeURIComponent(robot.password)}`),
      { ...password, username: 'x' },
    ],
    ['a user', redirectedTo(`ftp://${encodeURIComponent(robot.password)}@127.0.0.1/`)],
    ['a host', redirectedTo(`http://${host}.invalid./`), { kind: 'password', username: 'x', password: host }],
    ['a scheme', redirectedTo(`${host}://x/`), { kind: 'password', username: 'x', password: host }],
  ])('where %s does', async (_what, fault, credential = password) => {
    const { ask } = await start({}, fault);
    const controller = new AbortController();
    const error = await failureOf(ask({ credential }, controller.signal));
    const causes = [error, error.cause, (error.cause as Error | undefined)?.cause].map((one) => String(one));
    const whole = [...causes, error.toBody('demo/harbor'), JSON.stringify(error.headers)].join('\n');
    for (const spelling of [...spellings, host]) expect(whole).not.toContain(spelling);
  });
});
