import { join } from 'node:path';
import { expect, test } from 'vitest';
import { requireParts } from '../real/support/parts.ts';
import { runProgram } from '../real/support/program.ts';
import { chartFolder, helm, renderChart, templateChart } from './support/chart.ts';

requireParts('helm')('settings of the chart', () => {
  test('the chart has no fault that helm knows', async () => {
    const { code, stdout, stderr } = await helm(['lint', '--strict', chartFolder]);
    expect(code, stdout + stderr).toBe(0);
  });

  test.each<[object, RegExp]>([
    [{ node: { port: 80 } }, /\/node\/port.*minimum/],
    [{ node: { prot: 7450 } }, /\/node'.*additional properties 'prot'/],
    [{ nodes: {} }, /additional properties 'nodes'/],
    [{ pullIdentity: 'token' }, /\/pullIdentity'.*'secret', 'kubelet'/],
    [{ webhook: { url: 'http://10.0.0.1/mutate' } }, /\/webhook\/url/],
    [{ webhook: { url: 'https://10.0.0.1:8443' } }, /\/webhook\/url/],
    [{ webhook: { failurePolicy: 'fail' } }, /\/webhook\/failurePolicy'.*'Fail', 'Ignore'/],
    [{ webhook: { timeoutSeconds: 60 } }, /\/webhook\/timeoutSeconds.*maximum/],
    [{ webhook: { port: 8080 } }, /webhook.port and the controller.ports have to differ/],
    [{ controller: { ports: { proxyHttps: 8443 } } }, /webhook.port and the controller.ports have to differ/],
    [{ controller: { ports: { proxyHttps: null } } }, /\/controller\/ports'.*missing property 'proxyHttps'/],
    [{ imageHost: 'localhost' }, /\/imageHost/],
    [{ oracle: { auth: 'me' } }, /\/oracle\/auth/],
    [{ oracle: { allow: { ociVault: [{ namespaces: ['a'] }] } } }, /missing property 'secretIds'/],
    [{ oracle: { registryDomains: ['*.ocir.io'] } }, /\/oracle\/registryDomains/],
    [{ imageHost: 'localhost:7451' }, /imageHost is localhost:7451, but the agents listen on port 7450/],
    [{ imageHost: '[::1]:7451' }, /agents listen on port 7450/],
    [{ sharedNamespace: 'Kube' }, /\/sharedNamespace/],
    [{ secrets: { namespaces: ['*'] } }, /\/secrets\/namespaces\/0/],
    [{ secrets: { namespaces: 'demo' } }, /\/secrets\/namespaces'.*want array/],
    [{ controller: { replicas: 0 } }, /\/controller\/replicas/],
    [{ controller: { logLevel: 'verbose' } }, /\/controller\/logLevel/],
    [{ node: { maxSurge: 0 } }, /\/node\/maxSurge/],
    [{ node: { runAsUser: 0 } }, /\/node\/runAsUser/],
    [{ csi: { tokenSeconds: 599 } }, /\/csi\/tokenSeconds.*minimum/],
    [{ csi: { kubeletRoot: 'var/lib/kubelet' } }, /\/csi\/kubeletRoot/],
    [{ csi: { kubeletRoot: '/var/lib/kubelet/' } }, /\/csi\/kubeletRoot/],
    [{ csi: { refreshSeconds: 0 } }, /\/csi\/refreshSeconds/],
    [{ csi: { volumesMiB: 8 } }, /\/csi\/volumesMiB/],
    [{ csi: { maxUnavailable: 0 } }, /\/csi\/maxUnavailable/],
  ])('refuses %j', async (values, message) => {
    const { code, stderr } = await templateChart(values);
    expect(stderr).toMatch(message);
    expect(code).not.toBe(0);
  });

  const argsOf = async (values: object, name: string): Promise<string[]> => {
    const workload = (await renderChart(values)).find(
      (object) => object.metadata.name === name && 'template' in (object['spec'] ?? {}),
    );
    return workload?.['spec'].template.spec.containers[0].args;
  };

  test.each([
    ['oci-connector-controller', 'controller'],
    ['oci-connector-node', 'node'],
    ['oci-connector-csi', 'csi'],
  ])('%s is given flags that the command knows', async (name, command) => {
    const everything = {
      startupTaint: true,
      agentless: { a: 'b' },
      secrets: { namespaces: ['a'] },
      oracle: { auth: 'auto', registryDomains: ['a.example'], metadataUrl: 'http://10.0.0.1/opc/v2/' },
    };
    const [first, ...flags] = await argsOf(
      { ...everything, webhook: { url: 'https://hook.example.com/mutate' } },
      name,
    );
    const main = join(chartFolder, '../../cli/main.ts');
    const { stdout } = await runProgram(process.execPath, [main, command, '--help'], { env: {} });
    expect(first).toBe(command);
    expect(flags.filter((flag) => !stdout.includes(`${flag.split('=')[0]} `))).toEqual([]);
  });

  test.each<[object, string[]]>([
    [{ node: { port: 7999 } }, ['--image-host=localhost:7999']],
    [{ imageHost: '127.0.0.1:7450' }, ['--image-host=127.0.0.1:7450']],
    [{ pullIdentity: 'kubelet' }, ['--pull-identity=kubelet']],
    [
      { sharedNamespace: 'images', clusterDomain: 'k8s.example.com' },
      ['--shared-namespace=images', '--cluster-domain=k8s.example.com'],
    ],
    [{ webhook: { url: 'https://hook.example.com:9443/mutate' } }, ['--webhook-name=hook.example.com']],
    [{ webhook: { url: 'https://[fd00::1]:9443/mutate' } }, ['--webhook-name=fd00::1']],
    [{ secrets: { namespaces: ['a', 'b'] } }, ['--secrets-namespace=a', '--secrets-namespace=b']],
    [{ startupTaint: true }, ['--startup-taint']],
    [{ oracle: { auth: 'workload' } }, ['--oci-auth=workload']],
    [
      { oracle: { auth: 'instance', registryDomains: ['a.example', 'b.example'], vaultUrl: 'https://v.example' } },
      ['--oci-auth=instance', '--oci-vault-url=https://v.example', '--oci-registry-domains=a.example,b.example'],
    ],
    [
      { agentless: { type: 'virtual-kubelet', 'example.com/fargate': 'yes' } },
      ['--agentless-nodes=example.com/fargate=yes,type=virtual-kubelet'],
    ],
  ])('tells the controller of %j', async (values, args) => {
    const [told, usual] = [
      await argsOf(values, 'oci-connector-controller'),
      await argsOf({}, 'oci-connector-controller'),
    ];
    expect(told.filter((arg) => !usual.includes(arg))).toEqual(args);
  });

  test('the class lists whom the values name, and nobody by default', async () => {
    const typesOf = async (values: object) => {
      const found = (await renderChart({ ...values, connectorClass: { install: true } })).find(
        ({ kind }) => kind === 'ConnectorClass',
      );
      return Object.fromEntries(
        found?.['spec'].auth.types.map((type: { name: string; allow?: unknown }) => [type.name, type.allow]) ?? [],
      );
    };
    const ociRegistry = [{ namespaces: ['demo'], addresses: ['https://fra.ocir.io/tenancy/demo'] }];
    const ociVault = [{ namespaces: ['demo'], secretIds: ['ocid1.vaultsecret.oc1.fra.a'] }];
    expect(await typesOf({})).toEqual({ tokenAuth: undefined, ociRegistry: [], ociVault: [] });
    expect(await typesOf({ oracle: { allow: { ociVault } } })).toMatchObject({ ociRegistry: [], ociVault });
    expect(await typesOf({ oracle: { allow: { ociRegistry, ociVault } } })).toMatchObject({ ociRegistry, ociVault });
  });
});
