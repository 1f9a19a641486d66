import { mkdtemp } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requestToken } from '../../platform/kubernetes/token-request.ts';
import { type ClientHome, makeClientHome } from '../real/support/clients.ts';
import { writeOciLayout } from '../real/support/oci-layout.ts';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import { makeBusyboxImage } from './support/image-archive.ts';
import { productIsReady, productNamespace, productParts } from './support/product.ts';
import { requireCluster } from './support/require-cluster.ts';
import {
  connectorName,
  credential,
  namespace,
  openScene,
  podOf,
  readConnector,
  runs,
  type Scene,
} from './support/scene.ts';

const connectorHost = `c-${connectorName}.${namespace}.svc.cluster.local`;
const inPath = `namespaces/${namespace}/connectors/${connectorName}`;

requireCluster(
  '2',
  'registry',
  'crane',
  'skopeo',
  ...productParts,
)('a push in a cluster', () => {
  let scene: Scene;
  let home: ClientHome;
  /** The address of the centre's Service. */
  let service: string;
  let pushed = 0;

  beforeAll(async () => {
    scene = await openScene('2');
    home = await makeClientHome();
    const address = ['get', 'service', '-n', productNamespace, 'oci-connector', '--output=jsonpath={.spec.clusterIP}'];
    service = await scene.cluster.kubectl(address);
    await scene.apply(
      ...['builder', 'half', 'reader'].map((name) => account(name)),
      bindingOf('builder', 'ClusterRole', 'connector-pusher'),
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'half', namespace },
        rules: [{ apiGroups: ['connectors.alauda.io'], resources: ['connectors/proxy'], verbs: ['get', 'create'] }],
      },
      bindingOf('half', 'Role', 'half'),
    );
  }, 300_000);

  afterAll(async () => {
    await home?.close();
    await scene?.close();
  });

  const tokenOf = async (name: string) => {
    const want = { audiences: ['oci-connector'], expirationSeconds: 3600 };
    return (await requestToken(scene.client, { namespace, name }, want)).token;
  };

  /** An image in a folder that nobody has seen. */
  const freshLayout = async () => {
    pushed += 1;
    const layout = await mkdtemp(join(home.folder, 'layout-'));
    await writeOciLayout(layout, await makeBusyboxImage({ seed: `pushed ${pushed}` }), 'v1');
    return { layout, name: `private/built:v${pushed}` };
  };

  const push = async (to: string, layout: string, options: readonly string[], env: Record<string, string> = {}) =>
    home.run('skopeo', ['copy', '--retry-times=0', ...options, `oci:${layout}:v1`, `docker://${to}`], { env });

  const through = (token: string) => ['--dest-tls-verify=false', `--dest-creds=any:${token}`];

  test('by a service account that may is what a pod of the namespace runs', async () => {
    const { layout, name } = await freshLayout();
    const done = await push(`${service}:80/${inPath}/${name}`, layout, through(await tokenOf('builder')));
    expect(done.stderr).toBe('');
    await scene.apply(podOf('built', `${scene.registry.host}/${name}`));
    await runs(scene, 'built');
    expect(JSON.stringify(done)).not.toContain(credential.password);
  });

  test.each(['half', 'reader'])('by account %s, which lacks a right, is refused with a reason', async (name) => {
    const { layout, name: image } = await freshLayout();
    const refused = await push(`${service}:80/${inPath}/${image}`, layout, through(await tokenOf(name)));
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(new RegExp(`${namespace}:${name} may not push through it|denied`));
  });

  test('goes on at another replica with each request', async () => {
    const ips = ['get', 'pods', '-n', productNamespace, '--selector=app.kubernetes.io/component=controller'];
    const [first = '', second = ''] = (
      await scene.cluster.kubectl([...ips, '--output=jsonpath={.items[*].status.podIP}'])
    ).split(' ');
    expect(second).not.toBe('');
    const headers = { authorization: `Bearer ${await tokenOf('builder')}`, 'content-type': 'application/octet-stream' };
    const blob = Buffer.alloc(300_000, 'of two replicas ');
    const at = (ip: string, path: string | undefined) => `http://${ip}:8080${path}`;
    const begun = await call(at(first, `/v2/${inPath}/private/built/blobs/uploads/`), { method: 'POST', headers });
    expect(begun.status).toBe(202);
    const patch = { method: 'PATCH', headers, body: blob };
    const patched = await call(at(second, begun.headers.location), patch);
    expect(patched.status).toBe(202);
    const location = `${patched.headers.location}?digest=${digestOf(blob)}`;
    expect(await call(at(first, location), { method: 'PUT', headers })).toMatchObject({
      status: 201,
      headers: { location: `/v2/${inPath}/private/built/blobs/${digestOf(blob)}` },
    });
  });

  test('is served by HTTPS too, by the authority that the connector’s status names', async () => {
    const { status } = await readConnector(scene, connectorName);
    const ca = status?.proxy?.httpAddress?.CACerts ?? '';
    const headers = { authorization: `Bearer ${await tokenOf('builder')}`, host: connectorHost };
    const answered = await new Promise<number | undefined>((resolve, reject) => {
      const options = {
        host: service,
        port: 443,
        servername: connectorHost,
        ca,
        headers,
        path: '/v2/private/built/tags/list',
      };
      httpsRequest(options, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end();
    });
    expect(answered).toBe(200);
  });

  test('through the forward proxy leaves the image its name', async () => {
    const { layout, name } = await freshLayout();
    const proxy = `http://${namespace}%2F${connectorName}:${await tokenOf('builder')}@${service}:80`;
    const done = await push(`${scene.registry.host}/${name}`, layout, ['--dest-tls-verify=false'], {
      HTTP_PROXY: proxy,
      HTTPS_PROXY: proxy,
    });
    expect(done.stderr).toBe('');
    const inspect = ['inspect', '--tls-verify=false', '--format={{.Digest}}'];
    const byName = [...inspect, `docker://${scene.registry.host}/${name}`];
    const byPath = [...inspect, `--creds=any:${await tokenOf('builder')}`, `docker://${service}:80/${inPath}/${name}`];
    const digest = await home.mustRun('skopeo', byName, { env: { HTTP_PROXY: proxy } });
    expect(digest).toMatch(/^sha256:/);
    expect(digest).toBe(await home.mustRun('skopeo', byPath));
  });

  test('is not cut by a rolling update of the centre', async () => {
    const token = await tokenOf('builder');
    const restart = ['rollout', 'restart', '-n', productNamespace, 'deployment/oci-connector-controller'];
    await scene.cluster.kubectl(restart);
    let isUpdated = false;
    const updated = productIsReady(scene.cluster).finally(() => {
      isUpdated = true;
    });
    const failures: string[] = [];
    let count = 0;
    for (; !isUpdated || count < 5; count += 1) {
      const { layout, name } = await freshLayout();
      const done = await push(`${service}:80/${inPath}/${name}`, layout, through(token));
      if (done.code !== 0) failures.push(done.stderr);
    }
    await updated;
    expect(failures).toEqual([]);
  }, 180_000);
});

const account = (name: string): object => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } });

const bindingOf = (name: string, kind: 'Role' | 'ClusterRole', role: string): object => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name, namespace },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: role },
  subjects: [{ kind: 'ServiceAccount', name, namespace }],
});
