import { describe, expect, test } from 'vitest';
import type { Credential } from '../../credentials/credential.ts';
import type { Grant, GrantWant } from '../../credentials/grant.ts';
import { isNarrow } from '../../credentials/narrow.ts';
import { connectorFor, robot, robotSecret } from './fixtures.ts';

const now = 1_900_000_000_000;
const minutes = (count: number) => now + count * 60_000;
const connector = connectorFor('https://registry.example.com', robotSecret);
const want: GrantWant = { connector, repository: 'team/app', actions: ['pull'], caller: { name: 'demo' } };
const credential: Credential = { kind: 'password', ...robot };
const { password } = robot;

const encode = (text: string) => Buffer.from(text).toString('base64url');
const access = [{ type: 'repository', name: 'team/app', actions: ['pull'] }];
const claims = { iss: 'issuer', sub: 'robot', aud: 'registry', exp: minutes(5) / 1000, access };

interface Parts {
  readonly header?: string;
  readonly payload?: string;
  readonly signature?: string;
  readonly claims?: object;
}

const jwt = ({ header = '{"alg":"RS256"}', claims: more = {}, payload, signature = 'c2lnbmF0dXJl' }: Parts = {}) =>
  `${encode(header)}.${encode(payload ?? JSON.stringify({ ...claims, ...more }))}.${signature}`;
const bearer = (token: string, expiresAt = minutes(5)): Grant => ({
  kind: 'authorization',
  value: `Bearer ${token}`,
  expiresAt,
});
/** Every character as an escape of JSON. */
const escaped = (text: string) =>
  [...Array(text.length).keys()].map((at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');
const withEntry = (entry: object) => jwt({ claims: { access: [entry] } });
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('what may leave the centre', () => {
  test.each<[string, Grant]>([
    ['a JWT for exactly what was wanted', bearer(jwt())],
    ['one that lives a quarter of an hour', bearer(jwt({ claims: { exp: minutes(15) / 1000 } }), minutes(15))],
    ['one with fewer rights beside the wanted', bearer(jwt({ claims: { access: [...access, { ...access[0] }] } }))],
    ['one without any action', bearer(withEntry({ ...access[0], actions: [] }))],
    ['one that names the user', bearer(jwt({ claims: { sub: robot.username } }))],
    ['no credential at all', { kind: 'anonymous' }],
  ])('%s', (_what, grant) => {
    expect(isNarrow(grant, want, [credential], now)).toBe(true);
  });

  test.each<[string, Grant]>([
    ['Basic', { kind: 'authorization', value: `Basic ${base64(`robot:${password}`)}`, expiresAt: minutes(5) }],
    ['an opaque token', bearer('b3BhcXVl')],
    ['a token of two parts', bearer(jwt().split('.').slice(0, 2).join('.'))],
    ['a JWT that is none', bearer(jwt({ payload: 'not JSON' }))],
    ['a JWT with a list of claims', bearer(jwt({ payload: '[]' }))],
    ['a JWT with a header that is no JSON', bearer(jwt({ header: 'header' }))],
    ['two tokens', bearer(`${jwt()} ${jwt()}`)],
    ['an encrypted one', bearer(`${jwt()}.${jwt()}`)],
    ['one for another repository', bearer(withEntry({ ...access[0], name: 'team/other' }))],
    ['one for all below', bearer(withEntry({ ...access[0], name: 'team/*' }))],
    ['one for everything', bearer(withEntry({ ...access[0], name: '*' }))],
    ['one that may push', bearer(withEntry({ ...access[0], actions: ['pull', 'push'] }))],
    ['one that may do all', bearer(withEntry({ ...access[0], actions: ['*'] }))],
    ['one with a text for actions', bearer(withEntry({ ...access[0], actions: 'pull' }))],
    ['one for the catalog', bearer(withEntry({ type: 'registry', name: 'catalog', actions: ['pull'] }))],
    ['one for a plugin', bearer(withEntry({ ...access[0], type: 'repository(plugin)' }))],
    ['one for one repository too many', bearer(jwt({ claims: { access: [...access, { ...access[0], name: 'x' }] } }))],
    ['one with an entry that is null', bearer(jwt({ claims: { access: [null] } }))],
    ['one without access', bearer(jwt({ claims: { access: undefined } }))],
    ['one whose access is empty: its rights are elsewhere', bearer(jwt({ claims: { access: [] } }))],
    ['one whose access is an object', bearer(jwt({ claims: { access: access[0] } }))],
    ['one that lives too long by its claim', bearer(jwt({ claims: { exp: minutes(15) / 1000 + 1 } }))],
    ['one that lives too long by expires_in', bearer(jwt(), minutes(15) + 1)],
    ['one that never expires', bearer(jwt({ claims: { exp: undefined } }))],
    ['one that expires in words', bearer(jwt({ claims: { exp: `${minutes(5) / 1000}` } }))],
  ])('is not %s', (_what, grant) => {
    expect(isNarrow(grant, want, [credential], now)).toBe(false);
  });
});

describe('a JWT that holds the credential stays', () => {
  test.each<[string, string]>([
    ['in a claim', jwt({ claims: { note: password } })],
    ['in the name of a claim', jwt({ claims: { [password]: 1 } })],
    ['deep in a claim', jwt({ claims: { a: [{ b: `user ${password} there` }] } })],
    [
      'in a claim, with every character escaped',
      jwt({ payload: `{"note":"${escaped(password)}",${JSON.stringify(claims).slice(1)}` }),
    ],
    [
      'in a claim that a later one of its name hides',
      jwt({ payload: `{"exp":${JSON.stringify(password)},${JSON.stringify(claims).slice(1)}` }),
    ],
    ['in base64 in a claim', jwt({ claims: { note: base64(password) } })],
    ['in base64 behind the user', jwt({ claims: { note: base64(`robot:${password}`) } })],
    ['in base64url in a claim', jwt({ claims: { note: encode(`x${password}`) } })],
    ['percent-encoded in a claim', jwt({ claims: { note: encodeURIComponent(password) } })],
    ['in hexadecimal digits in a claim', jwt({ claims: { note: Buffer.from(password).toString('hex') } })],
    ['in the header', jwt({ header: JSON.stringify({ alg: 'none', kid: password }) })],
    ['in the header, with every character escaped', jwt({ header: `{"alg":"none","kid":"${escaped(password)}"}` })],
    ['as the signature', jwt({ signature: encode(password) })],
    ['within the signature', jwt({ signature: encode(`xx${password}yy`) })],
  ])('%s', (_where, token) => {
    expect(isNarrow(bearer(token), want, [credential], now)).toBe(false);
    expect(isNarrow(bearer(token), want, [], now)).toBe(true);
  });

  test('an identity token no less than a password', () => {
    const identity: Credential = { kind: 'identityToken', username: '', token: 'a-refresh-token' };
    const grant = bearer(jwt({ claims: { refresh: 'a-refresh-token' } }));
    expect(isNarrow(grant, want, [identity], now)).toBe(false);
    expect(isNarrow(grant, want, [credential], now)).toBe(true);
  });
});
