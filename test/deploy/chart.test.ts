import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type KubernetesClient, openKubernetesClient } from '../../platform/kubernetes/client.ts';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { type ControlPlane, startControlPlane } from '../cluster/support/control-plane.ts';
import { requireParts } from '../real/support/parts.ts';
import { dryRun, type Kubectl, kubectlFor, refusalOf } from './support/api.ts';
import { chartFolder, helm, type RenderedObject, releaseNamespace, renderChart } from './support/chart.ts';

interface WebhookConfiguration extends KubernetesObject {
  readonly webhooks: readonly { readonly name: string; readonly clientConfig: { readonly caBundle?: string } }[];
}

const controller = `system:serviceaccount:${releaseNamespace}:oci-connector-controller`;
const agent = `system:serviceaccount:${releaseNamespace}:oci-connector-node`;

/** `verb resource[.group][/subresource][#name] [@namespace]`, as the tables below write it. */
function parseRight(right: string) {
  const match = /^(\w+) ([a-z]+)(?:\.([a-z0-9.]+))?(?:\/(\w+))?(?:#([\w-]+))?(?: @([\w-]+))?$/.exec(right);
  if (match === null) throw new Error(`no right: ${right}`);
  const [, verb, resource, group = '', subresource = '', name = '', namespace = ''] = match;
  return { verb, resource, group, subresource, name, namespace };
}

requireParts(
  'etcd',
  'kube-apiserver',
  'kubectl',
  'helm',
)('the chart', () => {
  let plane: ControlPlane;
  let client: KubernetesClient;
  let kubectl: Kubectl;

  const install = async (values: object) => {
    const sets = Object.entries(values).flatMap(([key, value]) => ['--set-json', `${key}=${JSON.stringify(value)}`]);
    const args = [
      'upgrade',
      '--install',
      'oci-connector',
      chartFolder,
      '-n',
      releaseNamespace,
      '--create-namespace',
      ...sets,
    ];
    const { code, stderr } = await helm(args, plane.kubeconfig);
    expect(code, stderr).toBe(0);
  };
  const may = async (user: string, right: string) => {
    const groups = ['system:authenticated', 'system:serviceaccounts', `system:serviceaccounts:${user.split(':')[2]}`];
    const review = { kind: 'SubjectAccessReview', spec: { user, groups, resourceAttributes: parseRight(right) } };
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    const { status } = await client.post<{ status: { allowed: boolean } }>(path, review);
    return status.allowed;
  };

  beforeAll(async () => {
    plane = await startControlPlane();
    client = await openKubernetesClient({ kubeconfig: plane.kubeconfig });
    kubectl = kubectlFor(plane.kubeconfig);
    for (const name of ['team-a', 'team-b', 'images', 'kube-public']) {
      const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
      await client.create(resources.namespaces, namespace).catch(() => undefined);
    }
    const release = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: releaseNamespace } };
    const crds = (await renderChart()).filter(({ kind }) => kind === 'CustomResourceDefinition');
    await kubectl(['apply', '--server-side', '-f', '-'], [release, ...crds]);
    await kubectl(['wait', '--for=condition=Established', '--all', 'crd']);
  });

  afterAll(async () => {
    await client?.close();
    await plane?.stop();
  });

  test.each<[object]>([
    [{}],
    [
      {
        pullIdentity: 'kubelet',
        startupTaint: true,
        agentless: { type: 'virtual-kubelet' },
        connectorClass: { install: true },
      },
    ],
    [{ webhook: { hostNetwork: true, port: 9443 }, node: { maxSurge: '10%' } }],
    [{ webhook: { url: 'https://127.0.0.1:9443/mutate', failurePolicy: 'Ignore' } }],
    [{ secrets: { namespaces: ['team-a', 'team-b'] }, sharedNamespace: 'images', networkPolicy: { enabled: false } }],
    [{ networkPolicy: { webhookFrom: [{ ipBlock: { cidr: '10.0.0.0/8' } }], proxyFrom: [{ podSelector: {} }] } }],
    [
      {
        controller: {
          replicas: 3,
          env: [{ name: 'HTTPS_PROXY', value: 'http://proxy.example.com' }],
          affinity: { podAntiAffinity: {} },
        },
        node: { env: [{ name: 'NODE_OPTIONS', value: '--max-semi-space-size=1' }], nodeSelector: { a: 'b' } },
        imagePullSecrets: [{ name: 'registry' }],
        image: { tag: 'dev', pullPolicy: 'Never' },
      },
    ],
  ])('makes what the API server takes without a warning: %j', async (values) => {
    const objects = await renderChart(values);
    const args = ['apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', '-'];
    expect((await kubectl(args, objects)).trim().split('\n')).toHaveLength(objects.length);
  });

  describe('under Pod Security', () => {
    const path = '/api/v1/namespaces/guarded/pods';
    const podOf = async (kind: string) => {
      const workload = (await renderChart()).find((object) => object.kind === kind) as RenderedObject;
      const spec = { ...workload['spec'].template.spec, serviceAccountName: 'default' };
      return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'guarded' }, spec };
    };

    beforeAll(async () => {
      const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
      const metadata = { name: 'guarded', labels };
      await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata });
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'guarded' } };
      await client.create(resources.serviceAccounts, account);
    });

    test('the controller is restricted', async () => {
      expect(await refusalOf(async () => dryRun(client, path, await podOf('Deployment')))).toBeUndefined();
    });

    test("the agent is restricted in all but the node's network", async () => {
      const refusal = await refusalOf(async () => dryRun(client, path, await podOf('DaemonSet')));
      expect(refusal).toMatch(/violates PodSecurity "restricted:latest": host namespaces \(hostNetwork=true\)$/);
    });
  });

  test('the agent has no right, no API token, no port and no path of the host', async () => {
    const daemonSet = (await renderChart()).find(({ kind }) => kind === 'DaemonSet') as RenderedObject;
    const { spec } = daemonSet['spec'].template;
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(spec.containers).toHaveLength(1);
    expect(spec.containers[0].ports).toBeUndefined();
    const sources = spec.volumes.map(({ name: _, ...source }: { name: string }) => Object.keys(source)[0]);
    expect(sources).toEqual(['projected', 'configMap', 'emptyDir']);
    expect(spec.volumes[0].projected.sources.map((source: object) => Object.values(source)[0].audience)).toEqual([
      'oci-connector-agent',
    ]);
    const bound = (await renderChart()).filter(({ kind }) => kind.endsWith('RoleBinding'));
    expect(JSON.stringify(bound.map((binding) => binding['subjects']))).not.toContain('oci-connector-node');
  });

  test.each<[object, number]>([
    [{}, 47_450],
    [{ node: { runAsUser: 2_147_483_647 } }, 2_147_483_647],
  ])('with %j agents are user %i, and the controller never is', async (values, user) => {
    const objects = await renderChart(values);
    const podOf = (kind: string) => objects.find((object) => object.kind === kind)?.['spec'].template.spec;
    const [agents, centre] = [podOf('DaemonSet'), podOf('Deployment')];
    expect(agents.securityContext).toMatchObject({ runAsUser: user, runAsGroup: user });
    expect(centre.securityContext).toMatchObject({ runAsUser: 65_532, runAsGroup: 65_532 });
    for (const { securityContext } of [...agents.containers, ...centre.containers]) {
      expect(securityContext).not.toHaveProperty('runAsUser');
    }
  });

  test('clients in the cluster reach the proxy by HTTP and by HTTPS', async () => {
    const objects = await renderChart({ controller: { ports: { proxy: 9080, proxyHttps: 9443 } } });
    const find = (kind: string, name: string) =>
      objects.find((object) => object.kind === kind && object.metadata.name === name)?.['spec'];
    const ports = find('Service', 'oci-connector').ports;
    expect(ports).toEqual([
      { name: 'http', port: 80, targetPort: 9080, protocol: 'TCP' },
      { name: 'https', port: 443, targetPort: 9443, protocol: 'TCP' },
    ]);
    const ingress = find('NetworkPolicy', 'oci-connector-controller').ingress;
    expect(ingress).toContainEqual({ ports: [{ protocol: 'TCP', port: 9443 }] });
    expect(find('Deployment', 'oci-connector-controller').template.spec.containers[0].args).toEqual(
      expect.arrayContaining(['--proxy=0.0.0.0:9080', '--proxy-https=0.0.0.0:9443']),
    );
  });

  test('a replica that ends has the time of its drain, and some more', async () => {
    const spec = (await renderChart()).find(({ kind }) => kind === 'Deployment')?.['spec'].template.spec;
    const drain = /--drain-seconds=(\d+)/.exec(spec.containers[0].args.join(' '))?.[1];
    const { seconds } = spec.containers[0].lifecycle.preStop.sleep;
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(Number(drain) + seconds + 10);
  });

  test('the roles for users: pulling is no part of reading, and nobody deletes', async () => {
    const rules = Object.fromEntries(
      (await renderChart())
        .filter(({ kind, metadata }) => kind === 'ClusterRole' && metadata.name.startsWith('connector-'))
        .map((role) => [
          role.metadata.name,
          [role['rules'], role.metadata.labels?.['rbac.authorization.k8s.io/aggregate-to-view']],
        ]),
    );
    const connectors = (resource: string, verbs: string[]) => [
      { apiGroups: ['connectors.alauda.io'], resources: [resource], verbs },
    ];
    expect(rules).toEqual({
      'connector-puller': [connectors('connectors/proxy', ['get']), undefined],
      'connector-pusher': [connectors('connectors/proxy', ['get', 'create', 'update']), undefined],
      'connector-viewer': [connectors('connectors', ['get', 'list', 'watch']), 'true'],
      'connector-editor': [
        connectors('connectors', ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete']),
        undefined,
      ],
    });
  });

  const always = [
    'list connectors.connectors.alauda.io',
    'watch connectorclasses.connectors.alauda.io',
    'patch connectors.connectors.alauda.io/status @team-b',
    'create services @team-b',
    'create secrets#oci-connector-pull @team-b',
    'update secrets#oci-connector-pull @team-b',
    'watch secrets#oci-connector-pull',
    'watch serviceaccounts#oci-connector-puller',
    'create serviceaccounts#oci-connector-puller @team-b',
    'create serviceaccounts/token#oci-connector-puller @team-b',
    'create rolebindings.rbac.authorization.k8s.io#oci-connector-puller @team-b',
    'bind clusterroles.rbac.authorization.k8s.io#connector-puller',
    'create tokenreviews.authentication.k8s.io',
    'create subjectaccessreviews.authorization.k8s.io',
    'create events.events.k8s.io @team-b',
    'patch mutatingwebhookconfigurations.admissionregistration.k8s.io#oci-connector',
    'create leases.coordination.k8s.io @oci-connector',
    'update leases.coordination.k8s.io#oci-connector-controller @oci-connector',
    'create secrets#oci-connector-serving @oci-connector',
    'update secrets#oci-connector-interception @oci-connector',
    'create secrets#oci-connector-sealing @oci-connector',
    'patch configmaps#oci-connector-serving-ca @oci-connector',
  ];
  const never = [
    'create secrets @team-b',
    'update secrets#other @team-a',
    'delete secrets#other @team-a',
    'create serviceaccounts @team-b',
    'create serviceaccounts/token#default @team-b',
    'create serviceaccounts/token @team-b',
    'create serviceaccounts/token#oci-connector-node @oci-connector',
    'create rolebindings.rbac.authorization.k8s.io#admin @team-b',
    'bind clusterroles.rbac.authorization.k8s.io#cluster-admin',
    'bind clusterroles.rbac.authorization.k8s.io#connector-pusher',
    'escalate clusterroles.rbac.authorization.k8s.io#connector-puller',
    'create clusterrolebindings.rbac.authorization.k8s.io',
    'impersonate users',
    'get pods @team-b',
    'create pods @team-b',
    'get pods/log @team-b',
    'create pods/exec @team-b',
    'get configmaps @team-b',
    'get configmaps#other @oci-connector',
    'delete services @team-b',
    'get connectors.connectors.alauda.io/proxy @team-b',
    'create connectors.connectors.alauda.io @team-b',
    'update connectors.connectors.alauda.io @team-b',
    'patch namespaces#team-b',
    'patch mutatingwebhookconfigurations.admissionregistration.k8s.io#other',
    'create mutatingwebhookconfigurations.admissionregistration.k8s.io',
    'update validatingadmissionpolicies.admissionregistration.k8s.io#oci-connector-controller-secrets',
    'patch deployments.apps @oci-connector',
  ];

  describe('installed by helm', () => {
    beforeAll(() => install({ secrets: { namespaces: ['team-a'] } }));

    test('the controller may do what it has to', async () => {
      for (const right of always) expect(await may(controller, right), right).toBe(true);
    });

    test('the controller may do nothing else', async () => {
      const taint = ['patch nodes#n', 'list nodes', 'list pods @oci-connector'];
      const elsewhere = [
        'get secrets#x @team-b',
        'get secrets#oci-connector-serving @team-b',
        'get secrets#oci-connector-interception @team-b',
        'get secrets#other @oci-connector',
        'list secrets @oci-connector',
        'list secrets @team-b',
        'list secrets',
        'watch secrets',
      ];
      for (const right of [...never, ...taint, ...elsewhere]) expect(await may(controller, right), right).toBe(false);
      for (const right of ['get secrets#x @team-a', 'watch secrets#x @team-a']) {
        expect(await may(controller, right), right).toBe(true);
      }
    });

    test('the agent may do nothing at all', async () => {
      for (const right of [...always, ...never]) {
        // The shared namespace is open to every account.
        expect(await may(agent, right), right).toBe(false);
      }
    });

    test("nobody but the controller reads the authorities and the keys of the product's namespace", async () => {
      const names = ['oci-connector-serving', 'oci-connector-interception', 'oci-connector-sealing'];
      for (const user of [
        agent,
        'system:serviceaccount:team-b:default',
        'system:serviceaccount:oci-connector:default',
      ]) {
        for (const name of names) expect(await may(user, `get secrets#${name} @oci-connector`), name).toBe(false);
      }
    });

    test('every account pulls through the connectors of the shared namespace, and does no more', async () => {
      const proxy = 'connectors.connectors.alauda.io/proxy#hub';
      const user = 'system:serviceaccount:team-b:default';
      expect(await may(user, `get ${proxy} @kube-public`)).toBe(true);
      for (const right of [`create ${proxy} @kube-public`, `update ${proxy} @kube-public`, `get ${proxy} @team-b`]) {
        expect(await may(user, right), right).toBe(false);
      }
    });

    test('an upgrade keeps the authority that the controller has written, and gives what its settings need', async () => {
      const key = { name: 'oci-connector' };
      const found = () => client.get<WebhookConfiguration>(resources.mutatingWebhookConfigurations, key);
      const bundle = Buffer.from(rootCertificates[0] ?? '').toString('base64');
      const patch = [0, 1].map((i) => ({ op: 'add', path: `/webhooks/${i}/clientConfig/caBundle`, value: bundle }));
      await client.patch(resources.mutatingWebhookConfigurations, key, patch, { type: 'json' });

      await install({ startupTaint: true, webhook: { timeoutSeconds: 7 } });
      const webhooks = (await found())?.webhooks ?? [];
      expect(webhooks.map(({ name }) => name)).toEqual(['namespaces.connectors.cpaas.io', 'pods.connectors.cpaas.io']);
      expect(webhooks.map(({ clientConfig }) => clientConfig.caBundle)).toEqual([bundle, bundle]);
      expect(webhooks).toMatchObject([{ timeoutSeconds: 7 }, { timeoutSeconds: 7 }]);

      const now = ['patch nodes#n', 'list pods @oci-connector', 'get secrets#x @team-b', 'watch secrets#x @team-b'];
      for (const right of [...always, ...now]) expect(await may(controller, right), right).toBe(true);
      for (const right of [...never, 'list pods @team-b', 'delete nodes#n']) {
        expect(await may(controller, right), right).toBe(false);
      }
    });
  });
});
