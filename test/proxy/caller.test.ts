import { describe, expect, test } from 'vitest';
import { everyone, tokenOf } from '../../proxy/caller.ts';

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('the token of an Authorization header', () => {
  test.each<[string, string | undefined, string | undefined]>([
    ['Bearer', 'Bearer t0ken', 't0ken'],
    ['Bearer in any case', 'bEARER   t0ken ', 't0ken'],
    ['the password of Basic', basic('anybody:t0ken'), 't0ken'],
    ['the password of Basic without a user', basic(':t0ken'), 't0ken'],
    ['all behind the first colon', basic('user:to:ken'), 'to:ken'],
    ['none without a header', undefined, undefined],
    ['none in an empty header', '', undefined],
    ['none without a scheme', 't0ken', undefined],
    ['none in another scheme', 'Digest username="t0ken"', undefined],
    ['none in two words', 'Bearer t0ken more', undefined],
    ['none in Bearer alone', 'Bearer ', undefined],
    ['none in Basic without a colon', basic('t0ken'), undefined],
    ['none in Basic with an empty password', basic('user:'), undefined],
    ['none in Basic that is not base64', 'Basic !!!!', undefined],
  ])('is %s', (_what, header, expected) => {
    expect(tokenOf(header)).toBe(expected);
  });

  test('is looked for in no time, however long the header is', () => {
    expect(tokenOf(`Bearer${' '.repeat(30_000)}`)).toBe(undefined);
    expect(tokenOf(`Bearer ${'a '.repeat(15_000)}`)).toBe(undefined);
    expect(tokenOf(`${' '.repeat(30_000)}Basic`)).toBe(undefined);
  });
});

test('everyone is a caller that may pull through any connector, with a token or without', () => {
  for (const token of [undefined, 'any']) {
    const caller = everyone.identify(token);
    expect(caller?.name).toBe('local');
    expect(caller?.may('pull', { namespace: 'demo', name: 'harbor' })).toBe(true);
  }
});
