import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectorHost, imageAddress } from '../../connectors/address.ts';
import { taintRemoval } from '../../controller/startup-taint.ts';
import { type KubernetesClient, openKubernetesClient } from '../../platform/kubernetes/client.ts';
import { type KubernetesObject, type Resource, resources } from '../../platform/kubernetes/object.ts';
import { applyChart, dryRun, type Kubectl, kubectlFor, refusalOf } from '../deploy/support/api.ts';
import { renderChart } from '../deploy/support/chart.ts';
import { requireParts } from '../real/support/parts.ts';
import { type ControlPlane, startControlPlane } from './support/control-plane.ts';

const own = { namespace: 'demo', name: 'harbor' };
const shared = { namespace: 'kube-public', name: 'hub' };
const foreign = { namespace: 'secretive', name: 'harbor' };
const digest = `sha256:${'a'.repeat(64)}`;
const policies: Resource = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingAdmissionPolicy',
  plural: 'validatingadmissionpolicies',
};

type Policy = KubernetesObject & { readonly status?: { readonly typeChecking?: object } };

type Tainted = KubernetesObject & { readonly spec: { readonly taints: readonly { readonly key: string }[] } };

/** `change`, and these taints where it names none. */
const withTaints = (change: { spec?: object }, taints: readonly object[]) => ({
  ...change,
  spec: { taints, ...change.spec },
});

const podOf = (spec: object, namespace = 'demo', name = 'p') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace },
  spec: { automountServiceAccountToken: false, containers: [{ name: 'app', image: 'docker.io/library/app' }], ...spec },
});
const podWith = (image: string) => podOf({ containers: [{ name: 'app', image }] });

const parts = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl', 'helm'] as const;
requireParts(...parts)('the policy of images', () => {
  let plane: ControlPlane;
  let client: KubernetesClient;
  let kubectl: Kubectl;

  const create = (pod: object, namespace = 'demo') =>
    refusalOf(() => dryRun(client, `/api/v1/namespaces/${namespace}/pods`, pod));

  /** Applies the chart with `values` and waits until the API server acts by it: it compiles policies in its own time. */
  async function install(values: object, probe: () => Promise<boolean>): Promise<void> {
    await applyChart(kubectl, await renderChart(values));
    await vi.waitUntil(probe, { timeout: 30_000, interval: 100 });
  }

  beforeAll(async () => {
    plane = await startControlPlane({ controllers: true });
    client = await openKubernetesClient({ kubeconfig: plane.kubeconfig });
    kubectl = kubectlFor(plane.kubeconfig);
    for (const name of ['demo', 'other', 'secretive', 'granted']) {
      await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    }
    for (const namespace of ['demo', 'other']) {
      const found = () => client.get(resources.serviceAccounts, { namespace, name: 'default' });
      await vi.waitUntil(found, { timeout: 30_000 });
    }
    await install(
      { startupTaint: true },
      async () => (await create(podWith(imageAddress('localhost:7450', foreign)))) !== undefined,
    );
  });

  afterAll(async () => {
    await client?.close();
    await plane?.stop();
  });

  test('compiles without a warning about its types, as its sisters do', async () => {
    const { items } = await client.list<Policy>(policies);
    expect(items.map(({ metadata }) => metadata.name)).toEqual([
      'oci-connector-controller-nodes',
      'oci-connector-controller-rolebindings',
      'oci-connector-controller-secrets',
      'oci-connector-controller-services',
      'oci-connector-controller-tokens',
      'oci-connector-images',
      'oci-connector-secret-namespace',
    ]);
    for (const { metadata } of items) {
      const checked = async () => (await client.get<Policy>(policies, metadata))?.status?.typeChecking;
      await expect.poll(checked, { timeout: 30_000 }).toBeDefined();
      expect(await checked(), metadata.name).toEqual({});
    }
  });

  test.each([
    'nginx',
    'library/nginx:1.27',
    `registry.example.com/team/app@sha256:${'b'.repeat(64)}`,
    'localhost:5000/team/app',
    // Repositories with such words in them, and registries with such names, are somebody else's.
    'registry.example.com/mirror/namespaces/secretive/connectors/harbor/app',
    'registry.example.com/namespaces/secretive/app',
    'c-harbor.example.com/team/app',
    'c-harbor.secretive.example.com/team/app',
    'registry.example.com/c-harbor.secretive.svc/app',
    `${imageAddress('localhost:7450', own)}/team/app:v1`,
    `${imageAddress('localhost:7450', own)}/team/app:v1@${digest}`,
    `${imageAddress('[::1]:7450', own)}/team/app`,
    `${imageAddress('127.0.0.1:7450', shared)}/library/alpine`,
    `${connectorHost(own)}/team/app:v1`,
    `${connectorHost(shared)}:80/team/app:v1`,
  ])('admits %s', async (image) => {
    expect(await create(podWith(image))).toBeUndefined();
  });

  const path = 'namespaces/secretive/connectors/harbor';
  test.each(
    [
      `${imageAddress('localhost:7450', foreign)}/team/app`,
      `${imageAddress('localhost:7450', foreign)}/team/app:v1`,
      `${imageAddress('localhost:7450', foreign)}/team/app@${digest}`,
      `${imageAddress('localhost:7450', foreign)}/team/app:v1@${digest}`,
      imageAddress('localhost:7450', foreign),
      `${imageAddress('localhost:7450', foreign)}:v1`,
      `${imageAddress('localhost:7450', foreign)}@${digest}`,
      // Other ways to the same listener.
      ...['localhost', 'LOCALHOST:7450', 'LocalHost:7450', 'localhost:07450', 'localhost.:7450', 'foo.localhost:7450'],
      ...['127.0.0.1:7450', '127.1:7450', '127.0.0.2:7450', '2130706433:7450', '0x7f000001:7450', '0.0.0.0:7450'],
      ...['[::1]:7450', '[0:0:0:0:0:0:0:1]:7450', '[::ffff:127.0.0.1]:7450', '[::]:7450', '127.0.0.1.nip.io:7450'],
      // The centre by its Service, its address, or another connector's name; a mirror of a public registry.
      ...[
        'oci-connector.oci-connector.svc:80',
        '10.96.0.17',
        'c-harbor.demo.svc.cluster.local',
        'docker.io',
        'x.namespaces',
      ],
    ].map((host) => (host.includes('/') ? host : `${host}/${path}/team/app:v1`)),
  )('refuses %s', async (image) => {
    expect(await create(podWith(image))).toContain('names connector secretive/harbor');
  });

  test.each([
    `${connectorHost(foreign)}/team/app:v1`,
    `${connectorHost(foreign)}:80/team/app:v1`,
    `${connectorHost(foreign).toUpperCase()}/team/app:v1`,
    'c-harbor.secretive.svc/team/app',
    'c-harbor.secretive.svc:80/team/app',
    'C-Harbor.Secretive.SVC./team/app',
    // No registry: a node may mirror Docker Hub through us.
    `${path}/team/app:v1`,
  ])('refuses %s in the host form, and without a host', async (image) => {
    expect(await create(podWith(image))).toContain('names connector secretive/harbor');
  });

  test.each([
    // Which component is the registry decides where the path begins; a namespace may be called "connectors".
    ['x.namespaces/namespaces/connectors/connectors/y/app', 'connectors/y'],
    ['namespaces/namespaces/connectors/connectors/y/app', 'namespaces/connectors'],
    ['localhost:7450/namespaces/connectors/connectors/namespaces/app', 'connectors/namespaces'],
    // A name that no connector has is nobody's, and nobody has a right to it.
    ['localhost:7450/namespaces/demo_x/connectors/harbor/app', 'demo_x/harbor'],
    [`localhost:7450/namespaces/demo${'x'.repeat(80)}/connectors/harbor/app`, `demo${'x'.repeat(80)}/harbor`],
  ])('reads %s as %s', async (image, connector) => {
    expect(await create(podWith(image))).toContain(`names connector ${connector},`);
  });

  test.each([`sha256:${'c'.repeat(64)}`, 'sha256:c', `sha512:${'c'.repeat(128)}`])(
    'refuses %s: an ID runs what others have pulled',
    async (image) => {
      expect(await create(podWith(image))).toContain('named by its ID');
    },
  );

  const image = `${imageAddress('localhost:7450', foreign)}/team/app:v1`;
  const container = { name: 'second', image };
  test.each<[string, object]>([
    ['an init container', { initContainers: [container] }],
    ['a sidecar', { initContainers: [{ ...container, restartPolicy: 'Always' }] }],
    [
      'the last of many containers',
      { containers: [...Array(40).keys()].map((i) => ({ name: `c${i}`, image: 'app' })).concat(container) },
    ],
    ['an image volume', { volumes: [{ name: 'v', image: { reference: image } }] }],
  ])('sees the image of %s', async (_, spec) => {
    expect(await create(podOf(spec))).toContain(`image "${image}" names connector secretive/harbor`);
  });

  test('says who lacks what', async () => {
    const refusal = await create(podWith(image));
    expect(refusal).toContain('oci-connector-images');
    expect(refusal).toContain('service account demo/oci-connector-puller lacks the right to "get" connectors/proxy');
    expect(refusal).toContain('a RoleBinding in secretive to ClusterRole connector-puller gives it');
  });

  describe('where a pod exists', () => {
    const key = { namespace: 'other', name: 'old' };
    const own = 'localhost:7450/namespaces/other/connectors/x/app:v1';
    beforeAll(async () => {
      await client.create(resources.pods, podOf({ containers: [{ name: 'app', image: own }] }, 'other', 'old'));
    });

    const patch = (spec: object, subresource?: string) =>
      refusalOf(() => client.patch(resources.pods, key, spec, { ...(subresource && { subresource }) }));

    test('refuses another image', async () => {
      expect(await patch({ spec: { containers: [{ name: 'app', image }] } })).toContain('secretive/harbor');
      expect(await patch({ spec: { containers: [{ name: 'app', image: `${own}.1` }] } })).toBeUndefined();
    });

    test('refuses an ephemeral container', async () => {
      const debug = (image: string) => ({ spec: { ephemeralContainers: [{ name: 'debug', image }] } });
      expect(await patch(debug(image), 'ephemeralcontainers')).toContain('secretive/harbor');
      expect(await patch(debug(own), 'ephemeralcontainers')).toBeUndefined();
    });
  });

  describe('where the right is given', () => {
    const bind = (namespace: string, name: string, subject: object) =>
      client.create(resources.roleBindings, {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name, namespace },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'connector-puller' },
        subjects: [subject],
      });
    const group = (name: string) => ({ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name });
    const granted = imageAddress('localhost:7450', { namespace: 'granted', name: 'harbor' });

    test('admits what the group of the namespace may pull, until it may no longer', async () => {
      expect(await create(podWith(`${granted}/app`))).toBeDefined();
      await bind('granted', 'demo-pulls', group('system:serviceaccounts:demo'));
      await expect.poll(() => create(podWith(`${granted}/app`))).toBeUndefined();
      expect(
        await create(podOf({ containers: [{ name: 'a', image: `${granted}/app` }] }, 'other'), 'other'),
      ).toBeDefined();
      const name = 'labelled-later';
      await client.create(
        resources.pods,
        podOf({ containers: [{ name: 'a', image: `${granted}/app` }] }, 'demo', name),
      );
      await client.delete(resources.roleBindings, { namespace: 'granted', name: 'demo-pulls' });
      await expect.poll(() => create(podWith(`${granted}/app`))).toBeDefined();
      // It is there already: its labels and finalizers stay free.
      await client.patch(resources.pods, { namespace: 'demo', name }, { metadata: { labels: { a: 'b' } } });
    });

    test('counts the groups of service accounts, and not that of everybody', async () => {
      const other = imageAddress('localhost:7450', { namespace: 'other', name: 'x' });
      await bind('granted', 'everybody', group('system:authenticated'));
      await bind('other', 'all-accounts', group('system:serviceaccounts'));
      // The authorizer has seen both bindings once it has seen the later one.
      await expect.poll(() => create(podWith(`${other}/app`))).toBeUndefined();
      expect(await create(podWith(`${granted}/app`))).toContain('names connector granted/harbor');
      await client.delete(resources.roleBindings, { namespace: 'other', name: 'all-accounts' });
      await client.delete(resources.roleBindings, { namespace: 'granted', name: 'everybody' });
    });

    test('checks each of several connectors, and refuses more than it can check', async () => {
      await bind('secretive', 'demo-pulls', {
        kind: 'ServiceAccount',
        namespace: 'demo',
        name: 'oci-connector-puller',
      });
      const many = (count: number, from = 'secretive') =>
        podOf({
          containers: [...Array(count).keys()].map((i) => ({
            name: `c${i}`,
            image: `${imageAddress('localhost:7450', { namespace: i === count - 1 ? from : 'secretive', name: `n${i}` })}/app`,
          })),
        });
      await expect.poll(() => create(many(8))).toBeUndefined();
      for (const count of [1, 2, 5, 8]) {
        expect(await create(many(count, 'granted'))).toContain(`names connector granted/n${count - 1},`);
      }
      expect(await create(many(9))).toContain('more than 8 connectors of other namespaces');
      const same = [...Array(30).keys()].map((i) => ({
        name: `c${i}`,
        image: `${imageAddress('localhost:7450', foreign)}/app${i}`,
      }));
      expect(await create(podOf({ containers: same }))).toBeUndefined();
      await client.delete(resources.roleBindings, { namespace: 'secretive', name: 'demo-pulls' });
    });

    test("asks about the pod's own account where the kubelet hands over its token", async () => {
      await client.create(resources.serviceAccounts, {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'builder', namespace: 'demo' },
      });
      await bind('granted', 'builder-pulls', { kind: 'ServiceAccount', namespace: 'demo', name: 'builder' });
      const by = (serviceAccountName?: string) =>
        podOf({
          containers: [{ name: 'a', image: `${granted}/app` }],
          ...(serviceAccountName && { serviceAccountName }),
        });
      expect(await create(by('builder'))).toContain('demo/oci-connector-puller');
      await install({ pullIdentity: 'kubelet' }, async () => (await create(by('builder'))) === undefined);
      expect(await create(by())).toContain('service account demo/default lacks');
    });
  });

  describe('the policy of the controller', () => {
    const account = '--as=system:serviceaccount:oci-connector:oci-connector-controller';
    const write = (object: object) =>
      kubectl([account, 'create', '--dry-run=server', '--validate=strict', '-f', '-'], [object]).catch(
        (error) => error.message,
      );
    const objectOf = (kind: string, apiVersion: string, name: string, rest: object) => ({
      apiVersion,
      kind,
      metadata: { name, namespace: 'demo' },
      ...rest,
    });
    const service = (name: string, spec: object) => objectOf('Service', 'v1', name, { spec });

    test('lets it write the Services of connectors, and no other', async () => {
      const externalName = 'oci-connector.oci-connector.svc.cluster.local';
      expect(await write(service('c-harbor', { type: 'ExternalName', externalName }))).toContain('created');
      expect(await write(service('harbor', { type: 'ExternalName', externalName }))).toContain(
        'Services c-<connector> only',
      );
      expect(await write(service('c-harbor', { type: 'ExternalName', externalName: 'evil.example.com' }))).toContain(
        'only onto its own',
      );
      expect(await write(service('c-harbor', { ports: [{ port: 80 }], selector: { app: 'x' } }))).toContain(
        'only onto its own',
      );
    });

    const apply = (object: object) =>
      kubectl([account, 'apply', '--server-side', '--field-manager=x', '--dry-run=server', '-f', '-'], [object]).catch(
        (error) => error.message,
      );

    test('lets it write pull secrets, but none that Kubernetes would fill with a token', async () => {
      const secret = (type: string, rest: object) => objectOf('Secret', 'v1', 'oci-connector-pull', { type, ...rest });
      expect(
        await apply(secret('kubernetes.io/dockerconfigjson', { data: { '.dockerconfigjson': 'e30=' } })),
      ).toContain('serverside-applied');
      const stolen = {
        metadata: {
          name: 'oci-connector-pull',
          namespace: 'demo',
          annotations: { 'kubernetes.io/service-account.name': 'default' },
        },
      };
      expect(await apply(secret('kubernetes.io/service-account-token', stolen))).toContain(
        'the controller writes Secrets oci-connector-pull',
      );
    });

    test('lets it bind the accounts of a namespace to its own connectors, and nobody else', async () => {
      const binding = (name: string) =>
        objectOf('RoleBinding', 'rbac.authorization.k8s.io/v1', 'oci-connector-puller', {
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'connector-puller' },
          subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name }],
        });
      expect(await apply(binding('system:serviceaccounts:demo'))).toContain('serverside-applied');
      expect(await apply(binding('system:authenticated'))).toContain('binds the accounts of a namespace');
    });

    const patch = (type: 'json' | 'merge', object: string, change: object) =>
      kubectl([
        ...[account, 'patch', '--dry-run=server', '--namespace=demo', ...object.split('/')],
        ...[`--type=${type}`, `--patch=${JSON.stringify(change)}`],
      ]).catch((error) => error.message);

    test('lets it change a Service that a Connector owns, labelled or not, and no other', async () => {
      const spec = { connectorClassName: 'oci', address: 'https://registry.example.com' };
      const connector = objectOf('Connector', 'connectors.alauda.io/v1alpha1', 'hub', { spec });
      const { metadata } = await client.create<KubernetesObject>(resources.connectors, connector);
      const { apiVersion, kind } = connector;
      const owned = { ownerReferences: [{ apiVersion, kind, name: 'hub', uid: metadata.uid ?? '' }] };
      const labelled = { labels: { 'app.kubernetes.io/managed-by': 'oci-connector' } };
      const retarget = async (name: string, has: object) => {
        const present = service(name, { type: 'ExternalName', externalName: 'registry.example.com' });
        await client.create(resources.services, { ...present, metadata: { ...present.metadata, ...has } });
        const change = { spec: { externalName: 'oci-connector.oci-connector.svc.cluster.local' } };
        return patch('merge', `services/${name}`, { ...change, metadata: labelled });
      };
      expect(await retarget('c-hub', owned)).toContain('patched');
      expect(await retarget('c-billing', {})).toContain('only Services that a Connector owns');
      expect(await retarget('c-labelled', labelled)).toContain('only Services that a Connector owns');
      expect(await retarget('c-other', owned)).toContain('only Services that a Connector owns');
    });

    describe('of tokens', () => {
      const name = 'oci-connector-puller';
      const bound = (secret: string) => ['--bound-object-kind=Secret', `--bound-object-name=${secret}`];
      const request = (...flags: string[]) =>
        kubectl([account, 'create', 'token', name, '--namespace=demo', ...flags]).catch((error) => error.message);
      const isToken = /^ey[\w-]+[.]/;

      beforeAll(async () => {
        await client.create(resources.serviceAccounts, objectOf('ServiceAccount', 'v1', name, {}));
        for (const secret of ['oci-connector-pull', 'another']) {
          await client.create(resources.secrets, objectOf('Secret', 'v1', secret, {}));
        }
        // Above it was installed with another identity, which needs no such tokens.
        const own = () => request('--audience=oci-connector', ...bound('oci-connector-pull'));
        await install({ startupTaint: true }, async () => isToken.test(await own()));
      });

      test.each<[string, string[]]>([
        ['that the API server takes', bound('oci-connector-pull')],
        ['of the agents', ['--audience=oci-connector-agent', ...bound('oci-connector-pull')]],
        ['of two audiences', ['--audience=oci-connector', '--audience=vault', ...bound('oci-connector-pull')]],
        ['that outlives its Secret', ['--audience=oci-connector']],
        ['bound to another Secret', ['--audience=oci-connector', ...bound('another')]],
      ])('gives it none %s', async (_, flags) => {
        expect(await request(...flags)).toContain('tokens of audience oci-connector only');
      });
    });

    describe('of nodes', () => {
      const key = { name: 'worker' };
      const other = { key: 'dedicated', value: 'x', effect: 'NoSchedule' };
      const ours = { key: 'connectors.cpaas.io/agent-not-ready', effect: 'NoSchedule' };

      beforeAll(async () => {
        const metadata = { ...key, labels: { zone: 'a' } };
        await client.create(resources.nodes, { metadata, spec: { taints: [ours, other] } });
      });

      test('lets it take the startup taint away', async () => {
        const node = await client.get(resources.nodes, key);
        const change = taintRemoval(node as KubernetesObject);
        expect(change).not.toEqual([]);
        expect(await patch('json', 'nodes/worker', change)).toContain('patched');
      });

      test.each<[object, string]>([
        [{ spec: { taints: [] } }, 'takes no taint from a node'],
        [{ spec: { taints: [ours, other, { key: 'more', effect: 'NoExecute' }] } }, 'takes no taint from a node'],
        [{ spec: { unschedulable: true } }, 'nothing of a node but its taint'],
        [{ spec: { providerID: 'cloud://1' } }, 'nothing of a node but its taint'],
        [{ metadata: { labels: { zone: 'b' } } }, 'nothing of a node but its taint'],
        [{ metadata: { labels: null } }, 'nothing of a node but its taint'],
        [{ metadata: { annotations: { a: 'b' } } }, 'nothing of a node but its taint'],
        [{ metadata: { finalizers: ['example.com/stay'] } }, 'nothing of a node but its taint'],
      ])('refuses %j', async (change, message) => {
        const taints = (await client.get<Tainted>(resources.nodes, key))?.spec.taints ?? [];
        const rest = taints.filter((taint) => taint.key !== ours.key);
        // Together with what it may do.
        expect(await patch('merge', 'nodes/worker', withTaints(change, rest))).toContain(message);
      });
    });
  });
});
