import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Secret } from '../../connectors/schema.ts';
import { credentialIn, type SecretReason } from '../../credentials/secret.ts';
import { secretOf } from '../connectors/documents.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';
import { connectorFor } from './fixtures.ts';

const host = 'harbor.example.com';
const canary = 'canary-7f3a';
const read = (secret: Secret, address = `https://${host}`, repository = 'team/app') =>
  credentialIn(secret, connectorFor(address, secret), repository);

const dockerConfig = (config: unknown) =>
  secretOf(
    's',
    { '.dockerconfigjson': typeof config === 'string' ? config : JSON.stringify(config) },
    'kubernetes.io/dockerconfigjson',
  );
const auths = (entries: object) => dockerConfig({ auths: entries });
const entry = (password: string) => ({ auth: Buffer.from(`robot:${password}`).toString('base64') });

const passwordOf = (secret: Secret, address?: string, repository?: string) => {
  const result = read(secret, address, repository);
  return result.ok && result.credential?.kind === 'password' ? result.credential.password : undefined;
};

test.each(['cpaas.io/distribution-registry-token', 'kubernetes.io/basic-auth'])(
  '%s holds user and password',
  (type) => {
    const credential = { kind: 'password', username: 'robot', password: 'a:b\n' };
    expect(read(secretOf('s', { username: 'robot', password: 'a:b\n' }, type))).toEqual({ ok: true, credential });
  },
);

describe('a dockerconfigjson', () => {
  test.each<[key: string, address: string, isFor: boolean]>([
    [host, `https://${host}`, true],
    [`https://${host}`, `https://${host}`, true],
    [`https://${host}/v2/`, `https://${host}`, true],
    [`${host}:443`, `https://${host}`, true],
    ['HARBOR.example.com', `https://${host}`, true],
    [`${host}:8443`, `https://${host}`, false],
    [host, `https://${host}:8443`, false],
    [`sub.${host}`, `https://${host}`, false],
    ['example.com', `https://${host}`, false],
    ['*.example.com', `https://${host}`, false],
    [`${host}.evil.example`, `https://${host}`, false],
    [`https://${host}@evil.example`, `https://${host}`, false],
    [`https://evil.example/${host}`, `https://${host}`, false],
    ['https://index.docker.io/v1/', 'https://docker.io', true],
    ['docker.io', 'https://registry-1.docker.io', true],
    ['__proto__', `https://${host}`, false],
    ['', `https://${host}`, false],
    [`${host}/team`, `https://${host}`, true],
    [`${host}/tea`, `https://${host}`, false],
    [`${host}/team/app/x`, `https://${host}`, false],
  ])('entry %j for %s: %s', (key, address, isFor) => {
    expect(passwordOf(auths({ 'other.example.com': entry('other'), [key]: entry('x') }), address)).toBe(
      isFor ? 'x' : undefined,
    );
  });

  test('gives the entry with the longest path that the repository is in', () => {
    const secret = auths({
      [host]: entry('all'),
      [`${host}/team`]: entry('team'),
      [`${host}/team/app`]: entry('app'),
      [`${host}/team/other`]: entry('other'),
    });
    expect(['team/app', 'team/application', 'x'].map((name) => passwordOf(secret, undefined, name))).toEqual([
      'app',
      'team',
      'all',
    ]);
  });

  test.each<[what: string, entry: object, credential: unknown]>([
    ['auth', { auth: 'cm9ib3Q6YTpi' }, { kind: 'password', username: 'robot', password: 'a:b' }],
    ['fields', { username: 'robot', password: 'x' }, { kind: 'password', username: 'robot', password: 'x' }],
    [
      'fields beside an empty auth',
      { username: 'r', password: 'x', auth: '' },
      { kind: 'password', username: 'r', password: 'x' },
    ],
    [
      'auth before fields',
      { username: 'r', password: 'x', auth: 'YTpi' },
      { kind: 'password', username: 'a', password: 'b' },
    ],
    ['an identity token', { auth: 'cjo=', identitytoken: 't' }, { kind: 'identityToken', username: 'r', token: 't' }],
    ['nothing', {}, undefined],
    ['an empty password', { auth: 'cm9ib3Q6' }, undefined],
    ['numbers', { username: 1, password: 2 }, undefined],
    ['a user that would end too early', { username: 'a:b', password: 'c' }, undefined],
  ])('reads %s', (_what, one, credential) => {
    const result = read(auths({ [host]: one }));
    expect(result).toEqual(
      credential === undefined ? expect.objectContaining({ ok: false }) : { ok: true, credential },
    );
  });
});

test.each<[reason: SecretReason, message: string, secret: Secret]>([
  [
    'SecretWrongType',
    'is of type "Opaque"',
    { ...secretOf('s', { password: canary }), type: undefined } as unknown as Secret,
  ],
  ['SecretWrongType', 'is of type "toString"', secretOf('s', { password: canary }, 'toString')],
  ['SecretKeyMissing', 'lacks username and password', secretOf('s', { passwort: canary })],
  ['SecretKeyMissing', 'lacks username', secretOf('s', { password: canary })],
  ['SecretKeyMissing', 'lacks password', secretOf('s', { username: canary, password: '' })],
  ['SecretMalformed', 'has a username with a colon', secretOf('s', { username: `a:${canary}`, password: 'x' })],
  ['SecretKeyMissing', 'lacks .dockerconfigjson', secretOf('s', {}, 'kubernetes.io/dockerconfigjson')],
  ['SecretMalformed', 'without {"auths":{…}}', dockerConfig(`{"auths": {"${canary}`)],
  ['SecretMalformed', 'without {"auths":{…}}', dockerConfig('null')],
  ['SecretMalformed', 'without {"auths":{…}}', dockerConfig({ auths: canary })],
  ['SecretForOtherRegistry', `has no entry for ${host}`, auths({ [canary]: entry(canary) })],
  ['SecretForOtherRegistry', `has no entry for ${host}`, auths({ [host]: canary })],
  ['SecretMalformed', 'has an entry without a credential', auths({ [host]: { auth: canary } })],
])('%s: %s', (reason, message, secret) => {
  const result = read(secret);
  expect(result).toEqual({ ok: false, reason, message: expect.stringContaining(message) });
  expect(JSON.stringify(result)).not.toContain(canary);
});

test('whatever a Secret holds, it never throws, and says nothing of it', () => {
  const json = fc.oneof(
    arbitraryText(),
    fc.json(),
    fc
      .record({ auths: fc.dictionary(fc.constantFrom(host, '__proto__', 'x'), fc.object()) })
      .map((value) => JSON.stringify(value)),
  );
  fc.assert(fc.property(json, (text) => void read(dockerConfig(text))));
});
