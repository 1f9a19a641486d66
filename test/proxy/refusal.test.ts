import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { buildCatalogue } from '../../connectors/catalogue.ts';
import type { Grant, GrantWant } from '../../credentials/grant.ts';
import { withOrigin } from '../../credentials/grant-origin.ts';
import { isEcho, passedOn, withoutEchoes } from '../../proxy/refusal.ts';
import { connectorTo } from '../support/proxy.ts';

const password = 'correct horse+battery';

const grantOf = (secret: string): Grant =>
  withOrigin(
    { kind: 'authorization', value: 'Bearer eyJ0b2tlbiI6MX0.sig', expiresAt: 0 },
    { credential: { kind: 'password', username: 'robot', password: secret } },
  );
const grant = grantOf(password);

function wantOf(): GrantWant {
  const documents = connectorTo('https://registry.example.com', { username: 'robot', password });
  const [connector] = buildCatalogue(documents).connectors;
  if (connector === undefined) throw new Error('no connector');
  return { connector, repository: 'team/app', actions: ['pull'], caller: { name: 'ci' } };
}
const want = wantOf();

describe('an error that is passed on', () => {
  const passed = (body: Buffer | string, headers: Record<string, string> = {}, isWhole = true) =>
    passedOn({ kind: 'held', status: 404, headers, body: Buffer.from(body), isWhole }, want, grant);

  test.each<[string, Buffer | string, Record<string, string>, Buffer | string]>([
    ['as it is', '{"errors":[]}', {}, '{"errors":[]}'],
    ['as it is, empty', '', {}, ''],
    ['byte for byte, in no UTF-8', Buffer.from([0xff, 0xe9, 0x41]), {}, Buffer.from([0xff, 0xe9, 0x41])],
    ['without the password', `no ${password}!`, {}, 'no [redacted]!'],
    ['without the token', 'got eyJ0b2tlbiI6MX0.sig', {}, 'got [redacted]'],
    [
      'without the password, in no UTF-8',
      Buffer.from(`\xff${password}`, 'latin1'),
      {},
      Buffer.from('\xff[redacted]', 'latin1'),
    ],
    ['decoded', gzipSync(`no ${password}`), { 'content-encoding': 'gzip' }, 'no [redacted]'],
    ['as it is, with the coding that is none', 'plain', { 'content-encoding': 'identity' }, 'plain'],
  ])('is passed on %s', (_how, body, headers, expected) => {
    const found = passed(body, headers);
    expect(found.body).toEqual(Buffer.from(expected));
    expect(found.headers).not.toHaveProperty('content-encoding');
  });

  test.each<[string, Buffer | string, Record<string, string>, boolean]>([
    ['in another coding', brotliCompressSync(password), { 'content-encoding': 'br' }, true],
    ['in two codings', gzipSync(gzipSync(password)), { 'content-encoding': 'gzip, gzip' }, true],
    ['in a coding that it is not in', password, { 'content-encoding': 'gzip' }, true],
    ['that unfolds beyond measure', gzipSync(Buffer.alloc(10_000_000)), { 'content-encoding': 'gzip' }, true],
    ['of wide characters', Buffer.from(password, 'utf16le'), {}, true],
    ['that is cut', password.slice(0, 10), {}, false],
  ])('has words of ours in place of a body %s', (_which, body, headers, isWhole) => {
    const found = passed(body, { 'content-type': 'text/plain', ...headers }, isWhole);
    expect(JSON.parse(found.body.toString()).errors[0]).toMatchObject({
      message: 'connector demo/registry: the registry answered 404 with a body that cannot be read',
    });
    expect(found.headers).toEqual({ 'content-type': 'application/json' });
  });

  test('has no secret in its headers', () => {
    const { headers } = passed('', { 'x-debug': `got ${password}`, 'retry-after': '7', 'www-authenticate': 'Basic' });
    expect(headers).toEqual({ 'x-debug': 'got [redacted]', 'retry-after': '7' });
  });
});

describe('the head of an answer that succeeds', () => {
  test('loses the headers that repeat the token or the password, and no others', () => {
    const headers = {
      etag: '"a"',
      'x-token': 'eyJ0b2tlbiI6MX0.sig',
      'x-many': ['a', `b ${password}`],
      'content-length': 7,
    };
    withoutEchoes(headers, grant);
    expect(headers).toEqual({ etag: '"a"', 'content-length': 7 });
  });

  test('keeps what only holds a word that is also a short password', () => {
    const headers = { etag: '"latest"' };
    withoutEchoes(headers, grantOf('latest'));
    expect(headers).toEqual({ etag: '"latest"' });
  });
});

test('an echo is found as it stands and percent-encoded, for any password that there can be', () => {
  for (const secret of [password, 'b%2Fck slash\\quote"', '\ud800 half a pair']) {
    const own = grantOf(secret);
    const encoded = new URL(`https://storage.example.com/?t=${encodeURIComponent(secret.toWellFormed())}`);
    expect(isEcho(encoded.href, own)).toBe(true);
    expect(isEcho(`prefix ${secret.toWellFormed()}`, own)).toBe(true);
    expect(isEcho('https://storage.example.com/?t=1', own)).toBe(false);
  }
});
