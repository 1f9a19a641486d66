import fc from 'fast-check';
import { expect, test } from 'vitest';
import { withOrigin } from '../../credentials/grant-origin.ts';
import { whatRegistrySaid, whatRegistrySaidTo } from '../../credentials/registry-errors.ts';
import { robot } from './fixtures.ts';

const error = (...messages: unknown[]) =>
  JSON.stringify({ errors: messages.map((message) => ({ code: 'DENIED', message })) });

test.each<[what: string, body: string, said: string]>([
  ['an OCI error', error('no'), 'DENIED: no'],
  ['several, each once', error('no', 'no', 'never'), 'DENIED: no; DENIED: never'],
  ['at most five', error(1, 'a', 'b', 'c', 'd', 'e'), 'DENIED; DENIED: a; DENIED: b; DENIED: c; DENIED: d'],
  ['an OAuth2 error', '{"error":"invalid_grant","error_description":"wrong"}', 'invalid_grant: wrong'],
  ["Docker Hub's details", '{"details":"incorrect username or password"}', 'incorrect username or password'],
  ['a line break', error('a\r\nb\u2028c'), 'DENIED: a b c'],
  ['HTML', '<html>no</html>', ''],
  ['nothing', '', ''],
  ['null', 'null', ''],
  ['odd errors', '{"errors":[null,7,"x",{"code":{}}]}', ''],
  ['other fields', '{"errors":{"a":1},"error":[1]}', ''],
  ['a long story', error('x'.repeat(1000)), `DENIED: ${'x'.repeat(292)}…`],
])('of %s the words for people are kept', (_what, body, said) => {
  expect(whatRegistrySaid(body, undefined)).toBe(said);
});

test('what an answer repeats of the credential or the grant is taken out, before the end is cut off', () => {
  const credential = { kind: 'password', username: 'robot', password: robot.password } as const;
  const made = { kind: 'authorization', value: 'Bearer grant-value', expiresAt: 0 } as const;
  const grant = withOrigin(made, { credential });
  const body = error(`${'x'.repeat(280)} ${robot.password} grant-value`);
  expect(whatRegistrySaidTo(grant, body)).toMatch(/x \[redacted\] ?\[?[redact]*…$/);
  expect(whatRegistrySaidTo({ kind: 'anonymous' }, error('fine'))).toBe('DENIED: fine');
});

test('arbitrary answers never throw', () => {
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (body) => void whatRegistrySaid(body, undefined)));
});
