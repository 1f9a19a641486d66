import { expect, test } from 'vitest';
import { readJwt } from '../../platform/jwt.ts';

const encode = (text: string): string => Buffer.from(text).toString('base64url');
const tokenOf = (header: string, claims: string): string => `${encode(header)}.${encode(claims)}.c2ln`;

test('header and claims are read as they stand there', () => {
  const texts = ['{"alg":"RS256"}', '{ "sub": "grün" }'] as const;
  expect(readJwt(tokenOf(...texts))).toEqual({ header: { alg: 'RS256' }, claims: { sub: 'grün' }, texts });
});

test.each([
  ['nothing', ''],
  ['two parts', `${encode('{}')}.${encode('{}')}`],
  ['four parts', `${tokenOf('{}', '{}')}.x`],
  ['an empty signature', `${encode('{}')}.${encode('{}')}.`],
  ['other characters', `${tokenOf('{}', '{}')}\n`],
  ['claims that are no JSON', tokenOf('{}', '{')],
  ['claims that are a list', tokenOf('{}', '[]')],
  ['a header that is null', tokenOf('null', '{}')],
])('%s is no JWT', (_what, token) => {
  expect(readJwt(token)).toBeUndefined();
});
