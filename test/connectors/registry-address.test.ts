import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isWithinPath, parseRegistryAddress } from '../../connectors/registry-address.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';

describe('the address of a registry', () => {
  test.each<[text: string, origin: string, registries: string[], pathPrefix: string]>([
    ['https://r.example.com', 'https://r.example.com', ['r.example.com', 'r.example.com:443'], ''],
    ['R.Example.com/Team/../team/', 'https://r.example.com', ['r.example.com', 'r.example.com:443'], 'team'],
    ['http://r.example.com/a/b', 'http://r.example.com', ['r.example.com', 'r.example.com:80'], 'a/b'],
    ['r.example.com:5000', 'https://r.example.com:5000', ['r.example.com:5000'], ''],
    ['https://r.example.com:0443', 'https://r.example.com', ['r.example.com', 'r.example.com:443'], ''],
    ['localhost:5000', 'https://localhost:5000', ['localhost:5000'], ''],
    ['https://[2001:DB8:0::1]:5000', 'https://[2001:db8::1]:5000', ['[2001:db8::1]:5000'], ''],
    ['https://0x7f.1', 'https://127.0.0.1', ['127.0.0.1', '127.0.0.1:443'], ''],
    [
      'https://bücher.example',
      'https://xn--bcher-kva.example',
      ['xn--bcher-kva.example', 'xn--bcher-kva.example:443'],
      '',
    ],
    ['https://docker.io', 'https://registry-1.docker.io', ['docker.io'], ''],
    ['https://index.docker.io/v1/', 'https://registry-1.docker.io', ['docker.io'], ''],
    ['docker.io/library', 'https://registry-1.docker.io', ['docker.io'], 'library'],
    ['https://r.example.com/v2/', 'https://r.example.com', ['r.example.com', 'r.example.com:443'], ''],
    ['  r.example.com\n', 'https://r.example.com', ['r.example.com', 'r.example.com:443'], ''],
  ])('%j is read', (text, origin, registries, pathPrefix) => {
    expect(parseRegistryAddress(text)).toEqual({ ok: true, address: { origin, registries, pathPrefix } });
  });

  test.each<[text: string, reason: RegExp]>([
    ['', /not an address/],
    ['r.example.com:99999', /not an address/],
    ['ftp://r.example.com', /scheme "ftp:"/],
    ['constructor://r.example.com', /scheme "constructor:"/],
    ['https://r.example.com?x', /no query/],
    ['https://r.example.com#x', /no query and no fragment/],
    ['https://r.example.com.', /not a registry host/],
    ['https://my_registry', /not a registry host/],
    ['https://r.example.com/Team', /path "Team"/],
    ['https://r.example.com/a%2Fb', /path/],
    ['r.exam\nple.com', /not an address/],
    ['https:\\\\r.example.com', /not an address/],
  ])('%j is refused', (text, reason) => {
    expect(parseRegistryAddress(text)).toEqual({ ok: false, reason: expect.stringMatching(reason) });
  });

  test.each([
    'https://robot:s3cret@r.example.com',
    'robot:s3cret@r.example.com',
    'https://s3cret@r.example.com',
    'https://robot:s3cret@r.example.com:99999',
    'robot:s3cret/x@r.example.com',
    'https://robot:s3cret@r exa',
  ])('%s is refused without repeating the credential', (text) => {
    expect(parseRegistryAddress(text)).toEqual({ ok: false, reason: expect.not.stringContaining('s3cret') });
  });

  test('is its own origin again', () => {
    fc.assert(
      fc.property(fc.oneof(fc.webUrl(), arbitraryText()), (text) => {
        const parsed = parseRegistryAddress(text);
        if (!parsed.ok) return;
        const { origin, pathPrefix } = parsed.address;
        expect(parseRegistryAddress(`${origin}/${pathPrefix}`)).toEqual(parsed);
      }),
    );
  });
});

test.each<[repository: string, prefix: string, isWithin: boolean]>([
  ['team/app', '', true],
  ['team/app', 'team', true],
  ['team', 'team', true],
  ['teamwork/app', 'team', false],
  ['team', 'team/app', false],
])('%s lies within %j: %s', (repository, prefix, isWithin) => {
  expect(isWithinPath(repository, prefix)).toBe(isWithin);
});
