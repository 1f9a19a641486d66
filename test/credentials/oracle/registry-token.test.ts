import { describe, expect, test } from 'vitest';
import { OracleError } from '../../../credentials/oracle/errors.ts';
import { fetchRegistryToken } from '../../../credentials/oracle/registry-token.ts';
import { tokenPath } from '../../support/oracle/registry.ts';
import { failureOf, keepConsole, oddBody, open, patience, plainMessage, start } from './fixtures.ts';

keepConsole();

const jwt = (claims: object): string =>
  `${['{"alg":"none"}', JSON.stringify(claims)].map((text) => Buffer.from(text).toString('base64url')).join('.')}.sig`;

describe('a token of OCIR', () => {
  test.each(['token', 'access_token'] as const)('may stand in %s, and expires when the answer says', async (field) => {
    const cloud = await start();
    cloud.registry.tokenField = field;
    cloud.registry.lifeSeconds = 1800;
    const now = Date.now();
    const { token, expiresAt } = await open(cloud, { now: () => now }).registryToken(cloud.registryHost, patience());
    expect(cloud.isValidToken(token)).toBe(true);
    expect(expiresAt).toBe(now + 1_800_000);
    expect(cloud.registryService.requests[0]?.path).toBe(tokenPath);
  });

  const second = (now: number, seconds: number): number => Math.floor(now / 1000) + seconds;
  test.each([
    ['the JWT is shorter', { expires_in: 3600 }, 60, 60],
    ['the answer is shorter', { expires_in: 30 }, 60, 30],
    ['the answer says nothing', { expires_in: undefined }, 600, 600],
    ['the answer says nonsense', { expires_in: -5 }, 600, 600],
    ['neither says it', { expires_in: null }, undefined, 60],
    ['the answer says it as text', { expires_in: '90' }, undefined, 90],
    ['nothing lasts longer than a day', { expires_in: 1e300 }, undefined, 86_400],
    ['nor where the JWT says so too', { expires_in: '1e308' }, 1e300, 86_400],
  ])('of expiries the sooner counts: %s', async (_, extraFields, jwtSeconds, expected) => {
    const cloud = await start();
    const now = Math.floor(Date.now() / 1000) * 1000;
    if (jwtSeconds !== undefined) cloud.registry.makeToken = () => jwt({ exp: second(now, jwtSeconds) });
    cloud.registry.extraFields = extraFields;
    const { expiresAt } = await open(cloud, { now: () => now }).registryToken(cloud.registryHost, patience());
    expect((expiresAt - now) / 1000).toBe(expected);
  });

  test.each([
    [{ status: 401, body: { code: 'NotAuthenticated' } }, 'Denied', /401 NotAuthenticated/],
    [{ status: 403, body: { code: 'NotAuthorized', message: 'x' } }, 'Denied', /403 NotAuthorized: no policy/],
    [{ status: 404 }, 'Denied', /404: it has no token endpoint/],
    [{ status: 400, body: { code: 'x y' } }, 'Protocol', /answered 400$/],
    [{ status: 302, headers: { location: 'http://127.0.0.1:1/' } }, 'Protocol', /answered 302$/],
    [{ status: 200, body: 'no JSON' }, 'Protocol', /without a token/],
    [{ status: 200, body: {} }, 'Protocol', /without a token/],
    [{ status: 200, body: { token: 'a\r\nx-evil: b' } }, 'Protocol', /without a token/],
    [{ status: 200, body: { token: 'a b' } }, 'Protocol', /without a token/],
    [{ status: 200, body: { token: jwt({ exp: 1 }) } }, 'Protocol', /has expired/],
    [{ status: 200, body: { token: 'a'.repeat(300_000) } }, 'Protocol', /more than 256 KiB/],
  ])('an answer %j is told of', async (answer, code, words) => {
    const cloud = await start();
    cloud.registryService.misbehave({ kind: 'answer', ...answer });
    const error = await failureOf(cloud, open(cloud).registryToken(cloud.registryHost, patience()));
    expect(error).toMatchObject({ step: 'token', code, isRetryable: false });
    expect(error.message).toMatch(words);
  });

  test.each([400, 401, 403, 404])(
    'an answer %i with odd characters is told of in short and in plain ones',
    async (status) => {
      const cloud = await start();
      cloud.registryService.misbehave({ kind: 'answer', status, body: oddBody });
      const { message } = await failureOf(cloud, open(cloud).registryToken(cloud.registryHost, patience()));
      expect(message).toMatch(plainMessage);
    },
  );

  test.each([
    ['fra.ocir.io', 'https://fra.ocir.io'],
    ['FRA.OCIR.IO:443', 'https://fra.ocir.io'],
    ['ocir.eu-frankfurt-1.oci.oraclecloud.com', 'https://ocir.eu-frankfurt-1.oci.oraclecloud.com'],
    ['ocir.dedicated.example', 'http://ocir.dedicated.example'],
  ])('protocol http is for others than Oracle’s own hosts: %s', async (host, origin) => {
    const asked: string[] = [];
    const settings = { auth: 'instance', environment: {}, registryProtocol: 'http' } as const;
    const failure = new OracleError('token', 'Denied', 'x');
    const ask = async ({ url }: { readonly url: URL }) => {
      asked.push(url.origin);
      throw failure;
    };
    await expect(fetchRegistryToken(host, { settings, ask, now: Date.now }, patience())).rejects.toBe(failure);
    expect(asked).toEqual([origin]);
  });

  test.each([
    [{ status: 429 }, 'Limited'],
    [{ status: 503 }, 'Unavailable'],
    [{ status: 500, body: 'x' }, 'Unavailable'],
  ])('after %j it is asked again, and again, and then told of', async (answer, code) => {
    const cloud = await start();
    cloud.registryService.misbehave({ kind: 'answer', ...answer }, { times: 2 });
    const oracle = open(cloud);
    await oracle.registryToken(cloud.registryHost, patience());
    expect(cloud.registryService.requests.length).toBe(3);
    cloud.registryService.misbehave({ kind: 'answer', ...answer });
    const hasty = open(cloud, { stepTimeoutMs: 1000 });
    const error = await failureOf(cloud, hasty.registryToken(cloud.registryHost, patience()));
    expect(error).toMatchObject({ step: 'token', code, isRetryable: true });
  });

  test('nobody waits for a Retry-After that is longer than the step', async () => {
    const cloud = await start();
    cloud.registryService.misbehave({ kind: 'answer', status: 429, headers: { 'retry-after': '30' } });
    const error = await failureOf(cloud, open(cloud).registryToken(cloud.registryHost, patience()));
    expect(error).toMatchObject({ code: 'Limited', retryAfterMs: 30_000 });
    expect(cloud.registryService.requests.length).toBe(1);
  });

  test.each(['user@127.0.0.1:1', '127.0.0.1:1/path', 'a b', '', '127.0.0.1:99999', '127.0.0.1:1#'])(
    'nothing is sent to %j, which is no registry',
    async (host) => {
      const cloud = await start();
      const error = await failureOf(cloud, open(cloud).registryToken(host, patience()));
      expect(error).toMatchObject({ step: 'configuration', code: 'Misconfigured' });
      expect(cloud.metadata.requests).toEqual([]);
    },
  );

  test('a signature for one host is nothing to another', async () => {
    const cloud = await start();
    const other = await start();
    const error = await failureOf(cloud, open(cloud).registryToken(other.registryHost, patience()));
    expect(error).toMatchObject({ step: 'token', code: 'Denied' });
  });
});
