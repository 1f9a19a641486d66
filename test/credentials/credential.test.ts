import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { basicAuthorization, type Credential, redact } from '../../credentials/credential.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';
import { robot } from './fixtures.ts';

const credential: Credential = { kind: 'password', ...robot };
const { password } = robot;
const base64 = (text: string, encoding: BufferEncoding = 'base64') => Buffer.from(text).toString(encoding);

test('Basic authentication is the user name, a colon and the secret, in UTF-8', () => {
  const basic = base64(`robot:${password}`);
  expect(basicAuthorization(credential)).toBe(`Basic ${basic}`);
  expect(basicAuthorization({ kind: 'identityToken', username: '', token: 't' })).toBe(`Basic ${base64(':t')}`);
});

describe('a text loses the credential', () => {
  test.each<[what: string, spelling: string]>([
    ['as it is', password],
    ['in JSON', JSON.stringify(password).slice(1, -1)],
    ['in JSON of Go', 'canary+7f/3a pass:\\"word\\"\\u003c\\u0026\\u003eä'],
    ['in base64', base64(password)],
    ['in base64 for URLs', base64(password, 'base64url')],
    ['as Basic authentication', base64(`robot:${password}`)],
    ['as Basic authentication with a line break after it', base64(`robot:${password}\n`).slice(0, -4)],
    ['percent-encoded', encodeURIComponent(password)],
    ['percent-encoded in lower case', encodeURIComponent(password).replace(/%../g, (code) => code.toLowerCase())],
    ['as a form writes it', new URLSearchParams({ '': password }).toString().slice(1)],
  ])('%s', (_what, spelling) => {
    expect(redact(`before ${spelling} after ${spelling}`, credential)).toMatch(
      /^before \[redacted\]=* after \[redacted\]=*$/,
    );
  });

  test('and what it was exchanged for', () => {
    expect(redact('got abc.def.ghi', undefined, 'Bearer abc.def.ghi')).toBe('got [redacted]');
  });

  test('and what looks like an authorization of any kind, but not sentences about one', () => {
    expect(redact('sent Basic cm9ib3Q6czNjcmV0, bearer eyJhbGciOi.x', undefined)).toBe(
      'sent Basic [redacted], bearer [redacted]',
    );
    const sentence = 'Basic authentication required: Bearer insufficient_scope';
    expect(redact(sentence, undefined)).toBe(sentence);
  });

  test('wherever it stands, whatever it is', () => {
    // Shorter secrets are found in any text by chance.
    const secret = arbitraryText({ minLength: 6, maxLength: 20 }).filter((text) => !'[redacted]'.includes(text));
    const spelling = fc.constantFrom<(text: string) => string>(
      (text) => text,
      (text) => base64(text),
      (text) => encodeURIComponent(text),
      (text) => base64(`user:${text}`),
    );
    fc.assert(
      fc.property(secret, spelling, fc.string(), (text, spell, around) => {
        const spelled = spell(text.toWellFormed());
        const cleaned = redact(around + spelled + around, { kind: 'password', username: 'user', password: text });
        expect(cleaned).not.toContain(spelled);
      }),
    );
  });

  test('even half a surrogate pair, and takes no time for it', () => {
    expect(redact('x', { kind: 'password', username: '\ud800', password: '\udc00' })).toBe('x');
    const startedAt = performance.now();
    for (const unit of ['Basic ', 'Bearer a', 'Basic\t\t', 'a']) redact(unit.repeat(20_000), credential);
    redact(`Basic ${' '.repeat(100_000)}`, credential);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});
