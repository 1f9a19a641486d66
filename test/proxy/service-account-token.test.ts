import { describe, expect, test } from 'vitest';
import { readClaims } from '../../proxy/service-account-token.ts';
import { makeToken } from './support/reviews.ts';

const encode = (text: string) => Buffer.from(text).toString('base64url');
const tokenOf = (payload: string) => `${encode('{}')}.${encode(payload)}.c2ln`;

test('the claims of a token are read, whoever made it', () => {
  const expiresAt = 1_900_000_000_000;
  expect(readClaims(makeToken({ audiences: ['a', 'b'], expiresAt }))).toEqual({ audiences: ['a', 'b'], expiresAt });
  expect(readClaims(tokenOf('{"aud":"a","exp":1.5}'))).toEqual({ audiences: ['a'], expiresAt: 1_500 });
  expect(readClaims(tokenOf('{"aud":["a",1,null],"exp":1}'))?.audiences).toEqual(['a']);
});

describe('no token of a cluster is', () => {
  test.each<[string, string]>([
    ['nothing', ''],
    ['a word', 'password'],
    ['two parts', 'a.b'],
    ['four parts', 'a.b.c.d'],
    ['what has other characters', `${tokenOf('{"aud":"a","exp":1}')}\n`],
    ['what is padded', `${encode('{}')}.${Buffer.from('{"aud":"a","exp":1} ').toString('base64')}=.c`],
    ['what is no JSON', tokenOf('nothing')],
    ['null', tokenOf('null')],
    ['a number', tokenOf('1')],
    ['a list', tokenOf('[]')],
    ['one without an audience', tokenOf('{"exp":1}')],
    ['one that never expires', tokenOf('{"aud":"a"}')],
    ['one that expires in words', tokenOf('{"aud":"a","exp":"1"}')],
    ['one that is too long', tokenOf(`{"aud":"a","exp":1,"x":"${'x'.repeat(20_000)}"}`)],
  ])('%s', (_what, token) => {
    expect(readClaims(token)).toBeUndefined();
  });

  test('what takes long to look at', () => {
    const startedAt = performance.now();
    for (let round = 0; round < 100; round += 1) readClaims(`${'a'.repeat(8_000)}.${'b'.repeat(8_000)}`);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});
