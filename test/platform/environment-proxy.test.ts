import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { proxyFor, readProxySettings } from '../../platform/environment-proxy.ts';
import { arbitraryText } from './arbitrary-text.ts';

const settings = { httpProxy: 'http://plain.proxy:3128', httpsProxy: 'http://tls.proxy:3128' };
const proxyOf = (origin: string, more: object = {}) => proxyFor(new URL(origin), { ...settings, ...more })?.host;

test('http and https have a proxy each', () => {
  expect(proxyOf('http://r.example.com')).toBe('plain.proxy:3128');
  expect(proxyOf('https://r.example.com')).toBe('tls.proxy:3128');
  expect(proxyOf('https://r.example.com', { httpsProxy: undefined })).toBeUndefined();
  expect(proxyOf('https://r.example.com', { httpsProxy: '' })).toBeUndefined();
});

test.each<[text: string, href: string]>([
  ['proxy:3128', 'http://proxy:3128/'],
  ['proxy', 'http://proxy/'],
  ['https://proxy', 'https://proxy/'],
  ['user:p%40ss@proxy:3128', 'http://user:p%40ss@proxy:3128/'],
])('the proxy %s is %s', (httpsProxy, href) => {
  expect(proxyFor(new URL('https://r.example.com'), { httpsProxy })?.href).toBe(href);
});

test.each([
  'socks5://user:s3cret@proxy',
  'http://user:s3cret@pro xy',
  'ftp://s3cret',
  'http://[s3cret',
  'http://u:s3cret%zz@proxy',
])('%s is refused without being repeated', (httpsProxy) => {
  const find = () => proxyFor(new URL('https://r.example.com'), { httpsProxy });
  expect(find).toThrow(/^HTTPS_PROXY is not the address of an HTTP proxy$/);
});

test.each([
  'localhost',
  'LOCALHOST:5000',
  'localhost.',
  'a.localhost',
  '127.0.0.1',
  '127.8.8.8',
  '127.1',
  '[::1]',
  '[::ffff:127.0.0.1]',
])('loopback is never proxied: %s', (host) => {
  expect(proxyOf(`https://${host}`)).toBeUndefined();
});

describe('the environment', () => {
  test.each([
    ['as they are documented', { HTTP_PROXY: 'a', HTTPS_PROXY: 'b', NO_PROXY: 'c' }, ['a', 'b', 'c']],
    ['in lower case first', { http_proxy: 'a', HTTP_PROXY: 'b' }, ['a', undefined, undefined]],
    ['where they are not empty', { https_proxy: '', HTTPS_PROXY: 'b', NO_PROXY: '' }, [undefined, 'b', undefined]],
  ])('is read by its names %s', (_what, environment, expected) => {
    const { httpProxy, httpsProxy, noProxy } = readProxySettings(environment);
    expect([httpProxy, httpsProxy, noProxy]).toEqual(expected);
  });
});

describe('NO_PROXY', () => {
  // Of Go's golang.org/x/net/http/httpproxy, the entries and what they match.
  test.each<[noProxy: string, direct: string, proxied: string]>([
    ['example.com', 'example.com a.example.com a.b.example.com', 'notexample.com example.com.evil.test'],
    ['.example.com', 'a.example.com', 'example.com notexample.com'],
    ['*.example.com', 'a.example.com a.b.example.com', 'example.com'],
    ['EXAMPLE.com , b.test', 'a.Example.com b.test', 'c.test'],
    ['example.com:8443', 'example.com:8443 a.example.com:8443', 'example.com example.com:443'],
    ['example.com:443', 'example.com', 'example.com:8443'],
    ['10.1.2.3', '10.1.2.3 10.1.2.3:5000', '10.1.2.4 a.10.1.2.3.test'],
    ['10.1.2.3:5000', '10.1.2.3:5000', '10.1.2.3'],
    ['10.0.0.0/8', '10.255.0.1 167772161', '11.0.0.1 10.example.com'],
    ['2001:db8::/32', '[2001:db8:1::1]', '[2001:db9::1] 10.0.0.1'],
    ['2001:DB8:0::1', '[2001:db8::1]', '[2001:db8::2]'],
    ['[2001:db8::1]:5000', '[2001:db8::1]:5000', '[2001:db8::1]'],
    ['*', 'example.com 10.0.0.1', ''],
    ['a,*', 'example.com', ''],
    ['', '', 'example.com'],
    [', ,:80,/8,10.0.0.0/33,10.0.0.0/x,x/8', '', 'example.com 10.0.0.1 x'],
    ['*example.com', '', 'example.com notexample.com'],
    ['.', '', 'example.com'],
  ])('%j', (noProxy, direct, proxied) => {
    const hosts = (text: string) => text.split(' ').filter((host) => host !== '');
    expect(hosts(direct).filter((host) => proxyOf(`https://${host}`, { noProxy }) !== undefined)).toEqual([]);
    expect(hosts(proxied).filter((host) => proxyOf(`https://${host}`, { noProxy }) === undefined)).toEqual([]);
  });

  test('may be anything, and takes no time', () => {
    fc.assert(fc.property(arbitraryText(), (noProxy) => void proxyOf('https://r.example.com', { noProxy })));
    const startedAt = performance.now();
    for (const unit of [',', ':1', '1', 'a.', '/', '[', '*', ' ']) {
      proxyOf('https://r.example.com', { noProxy: unit.repeat(100_000 / unit.length) });
    }
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});
