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
const csiDriver = `system:serviceaccount:${releaseNamespace}:oci-connector-csi`;

/** `verb resource[.group][/subresource][#name] [@namespace]`, as the tables below write it. */
function parseRight(right: string) {
  const match = /^(\w+) ([a-z]+)(?:\.([a-z0-9.]+))?(?:\/(\w+))?(?:#([\w-]+))?(?: @([\w-]+))?$/.exec(right);
  if (match === null) throw new Error(`no right: ${right}`);
  const [, verb, resource, group = '', subresource = '', name = '', namespace = ''] = match;
  return { verb, resource, group, subresource, name, namespace };
}

// biome-ignore lint/suspicious/noExplicitAny: a PodSpec of the API
const podSpecOf = (objects: readonly RenderedObject[], name: string): any =>
  objects.find((object) => object.metadata.name === name && object['spec']?.template !== undefined)?.['spec'].template
    .spec;

const boundSubjects = async (): Promise<unknown[]> =>
  (await renderChart()).filter(({ kind }) => kind.endsWith('RoleBinding')).map((binding) => binding['subjects']);

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
    [
      {
        csi: { kubeletRoot: '/data/kubelet', tokenSeconds: 600, maxUnavailable: 3, podAnnotations: { a: 'b' } },
        agentless: { type: 'virtual-kubelet' },
        networkPolicy: { agentsFrom: [{ ipBlock: { cidr: '10.0.0.0/8' } }] },
      },
    ],
    [{ csi: { enabled: false } }],
  ])('makes what the API server takes without a warning: %j', async (values) => {
    const objects = await renderChart(values);
    const args = ['apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', '-'];
    expect((await kubectl(args, objects)).trim().split('\n')).toHaveLength(objects.length);
  });

  describe('under Pod Security', () => {
    const path = '/api/v1/namespaces/guarded/pods';
    const podOf = async (name: string) => {
      const spec = { ...podSpecOf(await renderChart(), name), serviceAccountName: 'default' };
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
      expect(
        await refusalOf(async () => dryRun(client, path, await podOf('oci-connector-controller'))),
      ).toBeUndefined();
    });

    test("the agent is restricted in all but the node's network", async () => {
      const refusal = await refusalOf(async () => dryRun(client, path, await podOf('oci-connector-node')));
      expect(refusal).toMatch(/violates PodSecurity "restricted:latest": host namespaces \(hostNetwork=true\)$/);
    });

    test('a pod that mounts a volume of the CSI driver is restricted as before', async () => {
      const volumes = [{ name: 'files', csi: { driver: 'connectors-csi', readOnly: true } }];
      const controllerPod = await podOf('oci-connector-controller');
      const pod = { ...controllerPod, spec: { ...controllerPod.spec, volumes } };
      expect(await refusalOf(() => dryRun(client, path, pod))).toBeUndefined();
    });
  });

  test('the agent has no right, no API token, no port and no path of the host', async () => {
    const spec = podSpecOf(await renderChart(), 'oci-connector-node');
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(spec.containers).toHaveLength(1);
    expect(spec.containers[0].ports).toBeUndefined();
    const sources = spec.volumes.map(({ name: _, ...source }: { name: string }) => Object.keys(source)[0]);
    expect(sources).toEqual(['projected', 'configMap', 'emptyDir']);
    expect(spec.volumes[0].projected.sources.map((source: object) => Object.values(source)[0].audience)).toEqual([
      'oci-connector-agent',
    ]);
    expect(JSON.stringify(await boundSubjects())).not.toContain('oci-connector-node');
  });

  test('the CSI driver has no right, no API token, no port, and of the host what the kubelet shares with drivers', async () => {
    const spec = podSpecOf(await renderChart({ csi: { kubeletRoot: '/data/kubelet' } }), 'oci-connector-csi');
    expect(spec).toMatchObject({ serviceAccountName: 'oci-connector-csi', automountServiceAccountToken: false });
    for (const shared of ['hostNetwork', 'hostPID', 'hostIPC']) expect(spec).not.toHaveProperty(shared);
    const [container, ...others] = spec.containers;
    expect(others).toEqual([]);
    expect(container.ports).toBeUndefined();
    expect(container.securityContext).toEqual({ privileged: true, readOnlyRootFilesystem: true });
    const audiences = spec.volumes.flatMap((volume: { projected?: { sources: readonly object[] } }) =>
      (volume.projected?.sources ?? []).map((source) => Object.values(source)[0].audience),
    );
    expect(audiences).toEqual(['oci-connector-agent']);
    const paths = spec.volumes.flatMap(({ hostPath }: { hostPath?: { path: string } }) => hostPath?.path ?? []);
    expect(paths).toEqual([
      '/data/kubelet/pods',
      '/data/kubelet/plugins/connectors-csi',
      '/data/kubelet/plugins_registry',
    ]);
    const mounts: readonly { mountPath: string; mountPropagation?: string }[] = container.volumeMounts;
    expect(mounts.map(({ mountPath }) => mountPath)).toEqual(expect.arrayContaining(paths));
    expect(mounts.filter(({ mountPropagation }) => mountPropagation !== undefined)).toMatchObject([
      { mountPath: '/data/kubelet/pods', mountPropagation: 'Bidirectional' },
    ]);
    expect(container.args).toContain('--kubelet-root=/data/kubelet');
    expect(JSON.stringify(await boundSubjects())).not.toContain('oci-connector-csi');
  });

  test('nothing but the CSI driver is privileged, root, or sees a folder of the host', async () => {
    const workloads = (await renderChart()).filter((object) => object['spec']?.template?.spec !== undefined);
    expect(workloads.map(({ metadata }) => metadata.name).sort()).toEqual([
      'oci-connector-controller',
      'oci-connector-csi',
      'oci-connector-node',
    ]);
    for (const workload of workloads.filter(({ metadata }) => metadata.name !== 'oci-connector-csi')) {
      const { spec } = workload['spec'].template;
      expect(JSON.stringify(spec)).not.toMatch(/"privileged"|"hostPath"|"runAsUser":0|"mountPropagation"/);
      expect(spec.securityContext.runAsNonRoot).toBe(true);
    }
  });

  const csiDriverOf = async (values: object, kubeVersion?: string) =>
    (await renderChart(values, kubeVersion)).find(({ kind }) => kind === 'CSIDriver')?.['spec'];

  test('the kubelet hands the driver a token of the pod, for us alone, and calls again before it ends', async () => {
    expect(await csiDriverOf({ csi: { tokenSeconds: 900 } })).toEqual({
      attachRequired: false,
      podInfoOnMount: true,
      volumeLifecycleModes: ['Ephemeral'],
      fsGroupPolicy: 'None',
      storageCapacity: false,
      seLinuxMount: false,
      tokenRequests: [{ audience: 'oci-connector', expirationSeconds: 900 }],
      requiresRepublish: true,
      serviceAccountTokenInSecrets: true,
    });
    expect(await csiDriverOf({}, '1.34.9')).not.toHaveProperty('serviceAccountTokenInSecrets');
  });

  test('without the driver nothing of it is there', async () => {
    const objects = await renderChart({ csi: { enabled: false } });
    expect(objects.filter(({ kind, metadata }) => kind === 'CSIDriver' || /-csi$/.test(metadata.name))).toEqual([]);
    const { args } = podSpecOf(objects, 'oci-connector-controller').containers[0];
    // A pod with a volume of a driver that is not there would never start.
    expect(args.filter((arg: string) => arg.includes('csi'))).toEqual(['--no-csi']);
  });

  test('CSI drivers, which are pods, come where agents may, and nobody comes to them', async () => {
    const node = { ipBlock: { cidr: '10.0.0.0/8' } };
    const policies = (await renderChart({ networkPolicy: { agentsFrom: [node] } })).filter(
      ({ kind }) => kind === 'NetworkPolicy',
    );
    const policyOf = (name: string) => policies.find(({ metadata }) => metadata.name === name)?.['spec'];
    const labels = { 'app.kubernetes.io/name': 'oci-connector', 'app.kubernetes.io/component': 'csi' };
    expect(policyOf('oci-connector-controller').ingress).toContainEqual({
      ports: [{ protocol: 'TCP', port: 8444 }],
      from: [node, { podSelector: { matchLabels: labels } }],
    });
    expect(policyOf('oci-connector-csi')).toEqual({
      podSelector: { matchLabels: labels },
      policyTypes: ['Ingress'],
    });
  });

  test.each<[object, number]>([
    [{}, 47_450],
    [{ node: { runAsUser: 2_147_483_647 } }, 2_147_483_647],
  ])('with %j agents are user %i, and the controller never is', async (values, user) => {
    const objects = await renderChart(values);
    const agents = podSpecOf(objects, 'oci-connector-node');
    const centre = podSpecOf(objects, 'oci-connector-controller');
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
    'create serviceaccounts/token#oci-connector-csi @oci-connector',
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

    test.each([agent, csiDriver])('%s may do nothing at all', async (user) => {
      for (const right of [...always, ...never]) {
        // The shared namespace is open to every account.
        expect(await may(user, right), right).toBe(false);
      }
    });

    test("nobody but the controller reads the authorities and the keys of the product's namespace", async () => {
      const names = ['oci-connector-serving', 'oci-connector-interception', 'oci-connector-sealing'];
      for (const user of [
        agent,
        csiDriver,
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
