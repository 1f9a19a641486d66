import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { injectLabel } from '../../connectors/labels.ts';
import { statusOf } from '../../connectors/status.ts';
import { type KubernetesClient, openKubernetesClient } from '../../platform/kubernetes/client.ts';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { type ControlPlane, startControlPlane } from '../cluster/support/control-plane.ts';
import { requireParts } from '../real/support/parts.ts';
import { type ServerProcess, startServer } from '../real/support/server-process.ts';
import { applyChart, kubectlFor } from './support/api.ts';
import { chartFolder, type RenderedObject, releaseNamespace, renderChart } from './support/chart.ts';

type Conditions = KubernetesObject & {
  readonly status?: { readonly conditions?: readonly { type: string; status: string; reason: string }[] };
};

type Secret = KubernetesObject & { readonly data?: Readonly<Record<string, string>> };

const account = { namespace: releaseNamespace, name: 'oci-connector-controller' };
const main = join(chartFolder, '../../cli/main.ts');
const loopback = ['proxy', 'proxy-https', 'webhook', 'agents', 'management'].map((name) => `--${name}=127.0.0.1:0`);

/** A kubeconfig like `admin` that shows this token instead. */
async function withToken(admin: string, token: string): Promise<string> {
  const config = JSON.parse(await readFile(admin, 'utf8'));
  const path = join(dirname(admin), 'controller.kubeconfig');
  const users = config.users.map(({ name }: { name: string }) => ({ name, user: { token } }));
  await writeFile(path, JSON.stringify({ ...config, users }), { mode: 0o600 });
  return path;
}

const manifests = (namespace: string) => [
  {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'robot', namespace },
    type: 'cpaas.io/distribution-registry-token',
    stringData: { username: 'robot', password: 'secret' },
  },
  {
    apiVersion: 'connectors.alauda.io/v1alpha1',
    kind: 'Connector',
    metadata: { name: 'harbor', namespace },
    spec: {
      connectorClassName: 'oci',
      address: 'http://registry.invalid',
      auth: { name: 'tokenAuth', secretRef: { name: 'robot' } },
    },
  },
];

const wait = { timeout: 15_000, interval: 100 };

requireParts(
  'etcd',
  'kube-apiserver',
  'kubectl',
  'helm',
)('the controller, with the rights that the chart gives it', () => {
  let plane: ControlPlane;
  let client: KubernetesClient;
  let controller: ServerProcess;
  let ownKubeconfig: string;
  let addresses: { readonly proxyHttps: string };

  /** Applies the chart and starts the controller as its own account, with the flags that the chart gives it. */
  async function start(values: object): Promise<void> {
    const objects = await renderChart(values);
    const kubectl = kubectlFor(plane.kubeconfig);
    await applyChart(kubectl, objects);
    const token = await kubectl(['create', 'token', account.name, '-n', account.namespace]);
    const deployment = objects.find(({ kind }) => kind === 'Deployment') as RenderedObject;
    const [command, ...flags] = deployment['spec'].template.spec.containers[0].args;
    const kubeconfig = await withToken(plane.kubeconfig, token.trim());
    ownKubeconfig = kubeconfig;
    const own = [`--namespace=${releaseNamespace}`, '--identity=one', `--kubeconfig=${kubeconfig}`];
    const args = [main, command, ...flags, ...loopback, ...own];
    controller = await startServer(process.execPath, args, { env: {} });
    addresses = await controller.waitFor((line) => (line.includes('"ready"') ? JSON.parse(line) : undefined));
  }

  const conditionOf = async (namespace: string, type: string) => {
    const connector = await client.get<Conditions>(resources.connectors, { namespace, name: 'harbor' });
    return connector?.status?.conditions?.find((condition) => condition.type === type)?.status;
  };
  /** How many webhooks of the configuration have a caBundle. */
  const authorities = async () => {
    const found = await client.get(resources.mutatingWebhookConfigurations, { name: 'oci-connector' });
    return JSON.stringify(found).match(/"caBundle":"/g)?.length;
  };
  const forbidden = () => controller.lines.filter((line) => /forbidden|\b403\b/i.test(line));

  beforeAll(async () => {
    plane = await startControlPlane();
    client = await openKubernetesClient({ kubeconfig: plane.kubeconfig });
    for (const name of ['demo', 'other']) {
      await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    }
  });

  afterAll(async () => {
    await client?.close();
    await plane?.stop();
  });

  describe('with all Secrets', () => {
    beforeAll(async () => {
      await start({ startupTaint: true });
      await kubectlFor(plane.kubeconfig)(
        ['apply', '--server-side', '-f', '-'],
        [...manifests('demo'), ...manifests('other')],
      );
    });
    afterAll(() => controller.stop());

    test('leads, publishes its authority, and reads credentials', async () => {
      const lease = () => client.get(resources.leases, account);
      await expect
        .poll(async () => ((await lease())?.['spec'] as { holderIdentity?: string })?.holderIdentity, wait)
        .toBe('one');
      const bundle = () => client.get(resources.configMaps, { ...account, name: 'oci-connector-serving-ca' });
      await expect.poll(async () => JSON.stringify(await bundle()), wait).toContain('BEGIN CERTIFICATE');
      await expect.poll(authorities, wait).toBe(2);
      for (const namespace of ['demo', 'other']) {
        await expect.poll(() => conditionOf(namespace, 'SecretReady'), wait).toBe('True');
        await expect.poll(() => conditionOf(namespace, 'ProxyServiceReady'), wait).toBe('True');
      }
    });

    test('shares its authority for clients and its keys for uploads, and says in each status what to trust', async () => {
      const secretOf = (name: string) => client.get<Secret>(resources.secrets, { ...account, name });
      const authority = await secretOf('oci-connector-interception');
      expect(Object.keys(authority?.data ?? {}).sort()).toEqual(['ca.crt', 'ca.pem']);
      expect(Object.keys((await secretOf('oci-connector-sealing'))?.data ?? {})).toEqual(['keys.json']);
      const trusted = async () => {
        const connector = await client.get(resources.connectors, { namespace: 'demo', name: 'harbor' });
        return statusOf({ status: connector?.['status'] }).proxy?.httpAddress?.CACerts;
      };
      await expect.poll(trusted, wait).toBe(atob(authority?.data?.['ca.crt'] ?? ''));
    });

    test.each(['c-harbor.demo.svc', 'oci-connector.oci-connector.svc.cluster.local'])(
      'serves HTTPS as %s to whoever trusts what the status shows',
      async (servername) => {
        const connector = await client.get(resources.connectors, { namespace: 'demo', name: 'harbor' });
        const ca = statusOf({ status: connector?.['status'] }).proxy?.httpAddress?.CACerts ?? '';
        const { hostname: host, port } = new URL(`https://${addresses.proxyHttps}`);
        const socket = connectTls({ host, port: Number(port), servername, ca });
        await once(socket, 'secureConnect');
        expect(socket.getPeerX509Certificate()?.subjectAltName).toBe(`DNS:${servername}`);
        socket.destroy();
      },
    );

    test('makes these Secrets of no other type, and nowhere else', async () => {
      await using parts = new AsyncDisposableStack();
      const asController = await openKubernetesClient({ kubeconfig: ownKubeconfig });
      parts.defer(() => asController.close());
      const key = { namespace: releaseNamespace, name: 'oci-connector-sealing' };
      const apply = (metadata: typeof key, type: string) => {
        const options = { type: 'apply', fieldManager: 'oci-connector', force: true } as const;
        return asController.patch(
          resources.secrets,
          metadata,
          { apiVersion: 'v1', kind: 'Secret', metadata, type },
          options,
        );
      };
      await client.delete(resources.secrets, key);
      const message = expect.stringContaining('the controller writes Secrets oci-connector-pull');
      await expect(apply(key, 'example.com/other')).rejects.toMatchObject({ status: 403, message });
      await expect(apply({ ...key, namespace: 'demo' }, 'Opaque')).rejects.toMatchObject({ status: 403 });
      await apply(key, 'Opaque');
    });

    test('makes what a namespace needs that opts in, repairs its Services, and takes it away again', async () => {
      const label = (value: string | null) =>
        client.patch(resources.namespaces, { name: 'demo' }, { metadata: { labels: { [injectLabel]: value } } });
      await label('true');
      const pullSecret = () => client.get(resources.secrets, { namespace: 'demo', name: 'oci-connector-pull' });
      await expect.poll(async () => (await pullSecret())?.metadata.annotations, wait).toBeDefined();
      const binding = () => client.get(resources.roleBindings, { namespace: 'demo', name: 'oci-connector-puller' });
      await expect.poll(binding, wait).toBeDefined();

      const key = { namespace: 'demo', name: 'c-harbor' };
      await client.patch(resources.services, key, { spec: { externalName: 'elsewhere.example.com' } });
      const target = async () => JSON.stringify((await client.get(resources.services, key))?.['spec']);
      await expect.poll(target, wait).toContain('oci-connector.oci-connector.svc.cluster.local');

      await label(null);
      await expect.poll(pullSecret, wait).toBeUndefined();
      await expect.poll(binding, wait).toBeUndefined();
    });

    test('is refused nothing', () => {
      expect(forbidden()).toEqual([]);
    });
  });

  describe('with the Secrets of one namespace', () => {
    beforeAll(() => start({ secrets: { namespaces: ['demo'] }, pullIdentity: 'kubelet' }));
    afterAll(() => controller.stop());

    test('reads those, and says of the others that it may not', async () => {
      // Applied again, and still what the controller has written.
      expect(await authorities()).toBe(2);
      await expect.poll(() => conditionOf('demo', 'SecretReady'), wait).toBe('True');
      await expect.poll(() => conditionOf('other', 'SecretReady'), wait).not.toBe('True');
      expect(forbidden()).toEqual([]);
    });
  });
});
