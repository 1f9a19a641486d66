import { expect, test } from 'vitest';
import { csiDefaults, readCsiSettings } from '../../cli/csi-settings.ts';
import { UsageError } from '../../cli/usage-error.ts';

const read = (given: object = {}, environment: NodeJS.ProcessEnv = { NODE_NAME: 'n1' }) =>
  readCsiSettings({ ...csiDefaults, ...given }, environment, false);

test('a driver needs to be told the name of its node only', () => {
  expect(read()).toEqual({
    kubeletRoot: '/var/lib/kubelet',
    nodeName: 'n1',
    centre: 'https://oci-connector-agents.oci-connector.svc',
    centreCa: '/etc/oci-connector/serving-ca/ca.crt',
    token: '/var/run/secrets/oci-connector/token',
    management: '/run/oci-connector/management.sock',
    refreshMs: 300_000,
    volumesBytes: 268_435_456,
    logLevel: 'info',
    isPretty: false,
  });
  expect(Object.isFrozen(read())).toBe(true);
});

test('each of it can be told, and a flag is more than the environment', () => {
  const given = { kubeletRoot: '/data/kubelet', nodeName: 'n2', refreshSeconds: '60', volumesMib: '64' };
  expect(read(given)).toMatchObject({
    kubeletRoot: '/data/kubelet',
    nodeName: 'n2',
    refreshMs: 60_000,
    volumesBytes: 67_108_864,
  });
});

test.each<[object, string]>([
  [{ kubeletRoot: 'var/lib/kubelet' }, '--kubelet-root'],
  [{ kubeletRoot: '/var/lib/kubelet/' }, '--kubelet-root'],
  [{ kubeletRoot: '/' }, '--kubelet-root'],
  [{ kubeletRoot: '/var/../kubelet' }, '--kubelet-root'],
  [{ nodeName: '' }, '--node-name'],
  [{ nodeName: 'n'.repeat(254) }, '--node-name'],
  [{ centre: 'http://centre' }, '--centre'],
  [{ centreCa: '' }, '--centre-ca'],
  [{ token: '' }, '--token'],
  [{ management: '127.0.0.1:1' }, '--management'],
  [{ refreshSeconds: '9' }, '--refresh-seconds'],
  [{ refreshSeconds: '5m' }, '--refresh-seconds'],
  [{ volumesMib: '15' }, '--volumes-mib'],
  [{ volumesMib: '1GiB' }, '--volumes-mib'],
  [{ logLevel: 'loud' }, '--log-level'],
])('%j is refused by its name', (given, option) => {
  expect(() => read(given)).toThrow(UsageError);
  expect(() => read(given)).toThrow(option);
});

test('without a name of the node it is told what is missing', () => {
  expect(() => read({}, {})).toThrow('--node-name (or NODE_NAME) is needed');
});
