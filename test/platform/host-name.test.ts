import { expect, test } from 'vitest';
import { canonicalHost } from '../../platform/host-name.ts';

test.each([
  ['harbor.example.com', 'harbor.example.com'],
  ['Harbor.EXAMPLE.com', 'harbor.example.com'],
  ['localhost', 'localhost'],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
  ['c-harbor.demo.svc.cluster.local', 'c-harbor.demo.svc.cluster.local'],
  ['1.example', '1.example'],
  [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ['192.0.2.1', '192.0.2.1'],
  ['2001:DB8:0:0::1', '2001:db8::1'],
  ['::ffff:192.0.2.1', '::ffff:c000:201'],
])('%s is a host, and its name is %s', (text, host) => {
  expect(canonicalHost(text)).toBe(host);
});

test.each([
  '',
  '.',
  'harbor.example.com.',
  '*.example.com',
  '*',
  'harbor..example.com',
  '-harbor.example.com',
  'harbor-.example.com',
  'harbor_1.example.com',
  'harbor.example.com:443',
  'https://harbor.example.com',
  'harbor.example.com/x',
  'user@harbor.example.com',
  'harbor example.com',
  'harbor.example.com\0',
  'harbor.example.com\n',
  'bücher.example',
  `${'a'.repeat(64)}.example`,
  `${'a.'.repeat(126)}example`,
  '[::1]',
  'fe80::1%eth0',
  '127.1',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '127.0.0.0x1',
  '1.2.3.4.5',
  '192.0.2.256',
])('%j is none', (text) => {
  expect(canonicalHost(text)).toBeUndefined();
});
