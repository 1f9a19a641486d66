import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { verifySignature } from './http-signature.ts';

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
const now = Date.UTC(2026, 0, 1);
const minuteMs = 60_000;

interface Signing {
  readonly key?: KeyObject;
  readonly keyId?: string;
  readonly names?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Changed after it was signed. */
  readonly sent?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly url?: string;
  readonly body?: string;
}

function verdictOf(signing: Signing): string {
  const { method = 'GET', url = '/token', body = '', key = privateKey, keyId = 'known' } = signing;
  const names = signing.names ?? ['x-date', '(request-target)', 'host'];
  const headers: Record<string, string> = {
    host: 'registry:443',
    'x-date': new Date(now).toUTCString(),
    'content-type': 'application/json',
    'content-length': String(body.length),
    'x-content-sha256': createHash('sha256').update(body).digest('base64'),
    ...signing.headers,
  };
  const target = `${method.toLowerCase()} /token`;
  const text = names.map((name) => `${name}: ${name === '(request-target)' ? target : headers[name]}`).join('\n');
  const signature = sign('sha256', Buffer.from(text), key).toString('base64');
  const authorization = `Signature version="1",keyId="${keyId}",algorithm="rsa-sha256",headers="${names.join(' ')}",signature="${signature}"`;
  const request = {
    method,
    url,
    headers: { ...headers, authorization, ...signing.sent },
  } as unknown as IncomingMessage;
  const keyOf = (id: string) => (id === 'known' ? publicKey : undefined);
  const verdict = verifySignature({ request, body, authority: 'registry:443', now, keyOf });
  return verdict.ok ? 'accepted' : verdict.reason;
}

const ofBody = ['date', '(request-target)', 'host', 'content-type', 'content-length', 'x-content-sha256'];
const dated = { date: new Date(now).toUTCString() };

describe('the servers of the tests verify signatures', () => {
  test.each<[string, Signing, string]>([
    ['all is right', {}, 'accepted'],
    ['a body is signed too', { method: 'POST', body: '{}', names: ofBody, headers: dated }, 'accepted'],
    ['four minutes apart', { headers: { 'x-date': new Date(now - 4 * minuteMs).toUTCString() } }, 'accepted'],
    ['six minutes late', { headers: { 'x-date': new Date(now - 6 * minuteMs).toUTCString() } }, 'date'],
    ['six minutes early', { headers: { 'x-date': new Date(now + 6 * minuteMs).toUTCString() } }, 'date'],
    ['no date', { names: ['(request-target)', 'host'] }, 'no date is signed'],
    ['no host', { names: ['x-date', '(request-target)'] }, 'host is not signed'],
    ['no target', { names: ['x-date', 'host'] }, '(request-target) is not signed'],
    ['body not signed', { method: 'POST', body: '{}' }, 'content-type is not signed'],
    ['another key', { key: other.privateKey }, 'signature'],
    ['another keyId', { keyId: 'unknown' }, 'unknown key'],
    ['another host', { headers: { host: 'evil' } }, 'host'],
    ['another path', { url: '/other' }, 'signature'],
    ['a date that was changed', { sent: { 'x-date': new Date(now + 1000).toUTCString() } }, 'signature'],
    [
      'another body',
      { method: 'POST', body: '{}', names: ofBody, headers: { ...dated, 'x-content-sha256': 'AAAA' } },
      'digest of the body',
    ],
    ['no signature', { sent: { authorization: 'Bearer x' } }, 'no signature'],
  ])('%s', (_, signing, expected) => {
    expect(verdictOf(signing)).toBe(expected);
  });
});
