import { expect, test } from 'vitest';
import { hostsOfThisMachine } from '../../cli/own-hosts.ts';

const isOwn = hostsOfThisMachine('registry.localdomain:7450');

test.each([
  'localhost',
  'LOCALHOST:7450',
  'localhost.:7450',
  '127.0.0.1:7450',
  '127.255.0.9',
  '[::1]',
  '[::1]:7450',
  'c-harbor.demo.svc',
  'c-harbor.demo.svc.cluster.local:80',
  'c-harbor.demo.localhost:7450',
  'registry.localdomain',
  'registry.localdomain:7450',
])('%s is this machine', (host) => expect(isOwn(host)).toBe(true));

test.each([
  '',
  'example.com',
  'localhost.example.com',
  'x.localhost',
  '127.0.0.1.example.com',
  '127.1',
  '0.0.0.0',
  '10.0.0.1',
  '[::]:7450',
  '[fe80::1]',
  'c-harbor.demo',
  'c-harbor.demo.svc.example.com',
  'c-harbor.demo.localhost.example.com',
  'harbor.demo.svc',
  'x.c-harbor.demo.svc',
  'localhost:7450@example.com',
  'localhost/example.com',
])('%s may be a web page', (host) => expect(isOwn(host)).toBe(false));

test('images that name no host of their own add none', () => {
  expect(hostsOfThisMachine(undefined)('registry.localdomain:7450')).toBe(false);
});
