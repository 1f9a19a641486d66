import { describe, expect, test } from 'vitest';
import { findTunnelHost, parseTunnelHosts } from '../../connectors/tunnel-hosts.ts';

const write = ({ host, port, isWildcard }: { host: string; port: number; isWildcard: boolean }) =>
  `${isWildcard ? '*.' : ''}${host}:${port}`;

describe('hosts that may be tunnelled to', () => {
  test.each([
    [undefined, []],
    ['', []],
    [' , ', []],
    ['proxy.golang.org', ['proxy.golang.org:443']],
    ['Proxy.Golang.ORG:8443', ['proxy.golang.org:8443']],
    ['*.npmjs.org, *.pypi.org:444', ['*.npmjs.org:443', '*.pypi.org:444']],
    ['10.0.0.1:80,[FD00::1]:80', ['10.0.0.1:80', 'fd00::1:80']],
    ['localhost', ['localhost:443']],
  ])('%s', (text, expected) => {
    expect(parseTunnelHosts(text)).toMatchObject({ invalid: [] });
    expect(parseTunnelHosts(text).hosts.map(write)).toEqual(expected);
  });

  test.each([
    '*',
    '*.',
    '*.com',
    '**.example.com',
    'a.*.example.com',
    '*.10.0.0.1',
    '*.[::1]',
    'https://example.com',
    'example.com/path',
    'example.com.',
    'example.com:0',
    'example.com:65536',
    'example.com:https',
    'user@example.com',
    '0x7f.1',
    '127.1',
    'bücher.example',
    'exa mple.com',
    `${'a'.repeat(64)}.com`,
  ])('%s grants nothing, and is told by its position', (entry) => {
    const { hosts, invalid } = parseTunnelHosts(`good.example, ${entry}`);
    expect(hosts.map(write)).toEqual(['good.example:443']);
    expect(invalid).toEqual([1]);
  });

  test('no more than 256 entries are read', () => {
    const text = Array.from({ length: 300 }, (_, at) => `h${at}.example`).join(',');
    expect(parseTunnelHosts(text).hosts).toHaveLength(256);
    expect(parseTunnelHosts(text).invalid).toHaveLength(44);
  });

  const { hosts } = parseTunnelHosts('exact.example,*.wild.example,inner.wild.example,other.example:8443');
  test.each([
    ['exact.example', 443, 'exact.example:443'],
    ['exact.example', 8443, undefined],
    ['sub.exact.example', 443, undefined],
    ['a.wild.example', 443, '*.wild.example:443'],
    ['b.a.wild.example', 443, '*.wild.example:443'],
    ['wild.example', 443, undefined],
    ['evilwild.example', 443, undefined],
    ['inner.wild.example', 443, 'inner.wild.example:443'],
    ['other.example', 443, undefined],
    ['other.example', 8443, 'other.example:8443'],
  ])('%s at %i is let through by %s', (host, port, expected) => {
    const found = findTunnelHost(hosts, host, port);
    expect(found && write(found)).toBe(expected);
  });
});
