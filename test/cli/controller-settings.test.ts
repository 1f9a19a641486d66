import { hostname } from 'node:os';
import { describe, expect, test } from 'vitest';
import { controllerDefaults, readControllerSettings } from '../../cli/controller-settings.ts';
import { UsageError } from '../../cli/usage-error.ts';

const read = (
  given: object = {},
  environment: NodeJS.ProcessEnv = { POD_NAMESPACE: 'oci-connector', POD_NAME: 'c-0' },
) => readControllerSettings({ ...controllerDefaults, ...given }, environment, false);

test('in a pod, the environment says all that there are no defaults for', () => {
  expect(read()).toMatchObject({
    namespace: 'oci-connector',
    identity: 'c-0',
    proxy: { host: '0.0.0.0', port: 8080 },
    proxyHttps: { host: '0.0.0.0', port: 8445 },
    webhook: { host: '0.0.0.0', port: 8443 },
    agents: { host: '0.0.0.0', port: 8444 },
    management: { host: '0.0.0.0', port: 9450 },
    imageHost: 'localhost:7450',
    pullIdentity: 'secret',
    sharedNamespace: 'kube-public',
    agentsAccount: 'oci-connector-node',
    webhookNames: [],
    secretsNamespaces: undefined,
    startupTaint: false,
    agentless: [],
    probeMs: 300_000,
    drainMs: 30_000,
    kubeconfig: undefined,
  });
  expect(Object.isFrozen(read())).toBe(true);
});

test('flags win over the environment', () => {
  expect(read({ namespace: 'other', identity: 'me' })).toMatchObject({ namespace: 'other', identity: 'me' });
  expect(read({}, { POD_NAMESPACE: 'x' }).identity).toBe(hostname());
});

test('lists are read as lists', () => {
  const settings = read({
    webhookName: ['webhook.example.com', '::1'],
    secretsNamespace: ['a', 'b'],
    agentlessNodes: 'type=virtual-kubelet,kubernetes.io/role=',
  });
  expect(settings.webhookNames).toEqual(['webhook.example.com', '::1']);
  expect(settings.secretsNamespaces).toEqual(new Set(['a', 'b']));
  expect(settings.agentless).toEqual([
    { label: 'type', value: 'virtual-kubelet' },
    { label: 'kubernetes.io/role', value: '' },
  ]);
});

test('listeners whose ports the system chooses are as many as are wanted', () => {
  const any = '127.0.0.1:0';
  expect(read({ proxy: any, proxyHttps: any, webhook: any, agents: any, management: any })).toMatchObject({
    agents: { port: 0 },
  });
});

describe('what is refused', () => {
  test.each<[object, string]>([
    [{ namespace: 'No_Name' }, '--namespace'],
    [{ identity: '' }, '--identity'],
    [{ proxy: '8080' }, '--proxy'],
    [{ proxy: '0.0.0.0:8444' }, '--proxy and --agents'],
    [{ proxyHttps: '8445' }, '--proxy-https'],
    [{ proxyHttps: '0.0.0.0:8080' }, '--proxy and --proxy-https'],
    [{ webhook: '0.0.0.0:8444' }, '--webhook and --agents'],
    [{ management: '0.0.0.0:8080' }, '--proxy and --management'],
    [{ imageHost: 'proxy' }, '--image-host'],
    [{ pullIdentity: 'both' }, '--pull-identity'],
    [{ sharedNamespace: '' }, '--shared-namespace'],
    [{ clusterDomain: 'cluster local' }, '--cluster-domain'],
    [{ service: 'A' }, '--service'],
    [{ agentsAccount: 'a:b' }, '--agents-account'],
    [{ webhookName: ['a b'] }, '--webhook-name'],
    [{ secretsNamespace: ['a/b'] }, '--secrets-namespace'],
    [{ agentlessNodes: 'virtual' }, '--agentless-nodes'],
    [{ agentlessNodes: 'a=b,' }, '--agentless-nodes'],
    [{ probeSeconds: '9' }, '--probe-seconds'],
    [{ probeSeconds: '1e3' }, '--probe-seconds'],
    [{ drainSeconds: 'x' }, '--drain-seconds'],
    [{ kubeconfig: '' }, '--kubeconfig'],
    [{ logLevel: 'LOUD' }, '--log-level'],
  ])('%j, by the name of the option', (given, option) => {
    expect(() => read(given)).toThrow(UsageError);
    expect(() => read(given)).toThrow(option);
  });

  test('to run without a namespace', () => {
    expect(() => read({}, {})).toThrow('--namespace (or POD_NAMESPACE)');
  });
});
