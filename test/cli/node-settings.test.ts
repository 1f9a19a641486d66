import { expect, test } from 'vitest';
import { nodeDefaults, readNodeSettings } from '../../cli/node-settings.ts';
import { UsageError } from '../../cli/usage-error.ts';

const read = (given: object = {}, environment = {}) =>
  readNodeSettings({ ...nodeDefaults, ...given }, environment, false);

test('an agent needs to be told nothing', () => {
  expect(read()).toEqual({
    port: 7450,
    centre: 'https://oci-connector-agents.oci-connector.svc',
    centreCa: '/etc/oci-connector/serving-ca/ca.crt',
    token: '/var/run/secrets/oci-connector/token',
    management: '/run/oci-connector/management.sock',
    drainMs: 300_000,
    allowLoopback: false,
    logLevel: 'info',
    isPretty: false,
    proxies: expect.any(Object),
  });
  expect(Object.isFrozen(read())).toBe(true);
});

test('each of it can be told', () => {
  const environment = { HTTPS_PROXY: 'http://proxy:3128' };
  const settings = read(
    { port: '1', centre: 'https://Centre:8444/', management: '[::1]:9', drainSeconds: '1.5' },
    environment,
  );
  expect(settings).toMatchObject({
    port: 1,
    centre: 'https://centre:8444',
    management: { host: '::1', port: 9 },
    drainMs: 1_500,
    proxies: { httpsProxy: 'http://proxy:3128' },
  });
});

test.each<[object, string]>([
  [{ port: '0' }, '--port'],
  [{ port: '65536' }, '--port'],
  [{ port: '7450x' }, '--port'],
  [{ port: '-1' }, '--port'],
  [{ centre: 'http://centre' }, '--centre'],
  [{ centre: 'centre:8444' }, '--centre'],
  [{ centre: 'https://centre/path' }, '--centre'],
  [{ centre: 'https://user:password@centre' }, '--centre'],
  [{ centre: 'https://centre/?x' }, '--centre'],
  [{ centreCa: '' }, '--centre-ca'],
  [{ token: '' }, '--token'],
  [{ management: '' }, '--management'],
  [{ management: 'run/x.sock' }, '--management'],
  [{ drainSeconds: '-1' }, '--drain-seconds'],
  [{ drainSeconds: '3601' }, '--drain-seconds'],
  [{ logLevel: 'loud' }, '--log-level'],
])('%j is refused with the name of the option', (given, option) => {
  expect(() => read(given)).toThrow(UsageError);
  expect(() => read(given)).toThrow(option);
});
