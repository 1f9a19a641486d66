import { describe, expect, test } from 'vitest';
import { parseRegistryAddress } from '../../connectors/registry-address.ts';
import { authoritiesOf, formatAuthority, parseAuthority } from '../../proxy/forward-proxy-authority.ts';

describe('host:port', () => {
  test.each([
    ['registry.test:443', 'registry.test:443'],
    ['REGISTRY.Test:5000', 'registry.test:5000'],
    ['registry.test.:443', 'registry.test:443'],
    ['xn--bcher-kva.test:443', 'xn--bcher-kva.test:443'],
    ['127.0.0.1:443', '127.0.0.1:443'],
    ['127.0.0.1.:443', '127.0.0.1:443'],
    ['[::1]:443', '[::1]:443'],
    ['[0:0:0:0:0:0:0:1]:443', '[::1]:443'],
    ['[::FFFF:127.0.0.1]:443', '[::ffff:7f00:1]:443'],
    ['localhost:00443', 'localhost:443'],
  ])('%s is %s', (text, expected) => {
    const parsed = parseAuthority(text);
    expect(parsed && formatAuthority(parsed)).toBe(expected);
  });

  test.each([
    '',
    '/',
    '*',
    ':443',
    'registry.test',
    'registry.test:',
    'registry.test:0',
    'registry.test:65536',
    'registry.test:443443',
    'registry.test:-1',
    'registry.test:+443',
    'registry.test:0x1bb',
    'registry.test:443/',
    'registry.test..:443',
    '.registry.test:443',
    'registry..test:443',
    'user@registry.test:443',
    'registry.test:443@other.test:443',
    'registry.test%2eother:443',
    'registry.test\\other:443',
    'bücher.test:443',
    'registry.test other:443',
    '127.1:443',
    '0x7f000001:443',
    '2130706433:443',
    '017700000001:443',
    '::1:443',
    '[::1:443',
    '[fe80::1%25eth0]:443',
    '[registry.test]:443',
    '[127.0.0.1]:443',
    `${'a'.repeat(64)}.test:443`,
    `${'a.'.repeat(200)}test:443`,
  ])('%s is none', (text) => {
    expect(parseAuthority(text)).toBeUndefined();
  });

  test('a default port is for a host that stands alone', () => {
    expect(parseAuthority('registry.test', 80)).toEqual({ host: 'registry.test', port: 80 });
    expect(parseAuthority('[::1]', 80)).toEqual({ host: '::1', port: 80 });
    expect(parseAuthority('registry.test:5000', 80)).toEqual({ host: 'registry.test', port: 5000 });
  });
});

test.each([
  ['registry.test', ['registry.test:443']],
  ['https://Registry.test:5000/team', ['registry.test:5000']],
  ['http://registry.test', ['registry.test:80']],
  ['docker.io', ['registry-1.docker.io:443', 'docker.io:443', 'index.docker.io:443']],
  ['https://index.docker.io/v1/', ['registry-1.docker.io:443', 'docker.io:443', 'index.docker.io:443']],
  ['https://[::1]:5000', ['[::1]:5000']],
])('a connector to %s is at %j', (text, expected) => {
  const parsed = parseRegistryAddress(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  expect(authoritiesOf(parsed.address).map(formatAuthority)).toEqual(expected);
});
