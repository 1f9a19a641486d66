import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explain } from '../../cli/explain.ts';
import { type Folder, keepOutput, makeFolder, run } from '../support/command.ts';
import { makeImage } from '../support/image.ts';
import { manifestsOf } from '../support/manifests.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const password = 'canary-of-the-registry';

/** Namespaces and connectors beside those of `manifestsOf`. */
const others = (address: string): string => `apiVersion: v1
kind: Namespace
metadata:
  name: annotated
  labels: { connectors.cpaas.io/proxy-inject: "true" }
  annotations: { connectors.cpaas.io/connector: demo/harbor }
---
apiVersion: v1
kind: Namespace
metadata:
  name: misled
  labels: { connectors.cpaas.io/proxy-inject: "true" }
  annotations: { connectors.cpaas.io/connector: demo/gone }
---
apiVersion: v1
kind: Namespace
metadata: { name: idle }
---
${['annotated', 'misled', 'idle'].map((namespace) => connector(namespace, 'mirror', address)).join('---\n')}---
${connector('other', 'team', `${address}/team`)}---
apiVersion: v1
kind: Secret
metadata: { name: robot, namespace: idle }
type: cpaas.io/distribution-registry-token
stringData: { username: robot, password: ${password} }
`;

const connector = (
  namespace: string,
  name: string,
  address: string,
): string => `apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  connectorClassName: oci
  address: ${address}
  auth: { name: tokenAuth, secretRef: { name: robot } }
`;

describe('explain', () => {
  let registry: Registry;
  let folder: Folder;
  const image = makeImage();

  beforeAll(async () => {
    registry = await startRegistry({ auth: { kind: 'token', username: 'robot', password } });
    registry.seed('team/app', image, ['v1']);
    folder = await makeFolder();
    await folder.write('harbor.yaml', manifestsOf(registry.origin, 'robot', password));
    await folder.write('others.yaml', others(registry.origin));
  });
  afterAll(async () => {
    await registry.close();
    await folder[Symbol.asyncDispose]();
  });

  const explained = async (reference: string, namespace = 'demo') => {
    const output = keepOutput();
    const options = { manifests: folder.path, namespace, imageHost: 'localhost:7450' };
    return { isServed: await explain(reference, options, output), said: output.results };
  };

  test('names connector, reason, what the pod gets and what the registry answers', async () => {
    const { isServed, said } = await explained(`${registry.authority}/team/app:v1`);
    expect(isServed).toBe(true);
    expect(said).toMatch(/^namespace +demo, which has opted in$/m);
    expect(said).toMatch(new RegExp(`^connector +demo/harbor, ${registry.origin}$`, 'm'));
    expect(said).toMatch(/^why +of its own namespace, serves the whole registry$/m);
    expect(said).toMatch(/^pod gets +localhost:7450\/namespaces\/demo\/connectors\/harbor\/team\/app:v1$/m);
    expect(said).toMatch(/^credential +accepted, Bearer \(spec\.auth\)$/m);
    expect(said).toMatch(new RegExp(`^registry +answers 200 for v1: ${image.digest} `, 'm'));
  });

  test('says what the registry says to an image that it does not have', async () => {
    const { isServed, said } = await explained(`${registry.authority}/team/app:none`);
    expect(isServed).toBe(false);
    expect(said).toMatch(/^registry +answers 404 for none: MANIFEST_UNKNOWN/m);
  });

  test('says which connectors there are when none matches', async () => {
    const { isServed, said } = await explained('quay.io/prometheus/prometheus');
    expect(isServed).toBe(false);
    expect(said).toMatch(/^connector +none: the image stays as it is \(there are: demo\/harbor, /m);
  });

  test('says which connector would serve a namespace that has not opted in, and that its pods get nothing', async () => {
    const { isServed, said } = await explained(`${registry.authority}/team/app:v1`, 'idle');
    expect(isServed).toBe(false);
    expect(said).toMatch(/^namespace +idle, which has not opted in: label it /m);
    expect(said).toMatch(/^connector +idle\/mirror, /m);
    expect(said).toMatch(/^pod gets +\S+\/team\/app:v1, nothing else: neither it nor its namespace has the label /m);
    expect(said).toMatch(/^with label +localhost:7450\/namespaces\/idle\/connectors\/mirror\/team\/app:v1$/m);
    expect(said).toMatch(/^registry +answers 200 for v1/m);
  });

  test('says that a namespace without manifest has not opted in', async () => {
    const { isServed, said } = await explained(`${registry.authority}/team/app:v1`, 'elsewhere');
    expect(isServed).toBe(false);
    expect(said).toMatch(/^namespace +elsewhere, which has no manifest, so it has not opted in$/m);
    expect(said).toMatch(/^connector +none: /m);
  });

  test('follows the annotation of the namespace, as the webhook does', async () => {
    const { isServed, said } = await explained(`${registry.authority}/team/app:v1`, 'annotated');
    expect(isServed).toBe(true);
    expect(said).toMatch(/^connector +demo\/harbor, /m);
    expect(said).toMatch(/^why +the namespace's annotation connectors.cpaas.io\/connector names it$/m);
    expect(said).toMatch(/^pod gets +localhost:7450\/namespaces\/demo\/connectors\/harbor\/team\/app:v1$/m);
  });

  test('says that the connector of the annotation does not cover the image', async () => {
    const { isServed, said } = await explained('quay.io/prometheus/prometheus', 'annotated');
    expect(isServed).toBe(false);
    expect(said).toMatch(/^connector +demo\/harbor, /m);
    expect(said).toMatch(/^why .*names it, but its address does not cover this image$/m);
    expect(said).toMatch(/^pod gets +quay.io\/prometheus\/prometheus \(ConnectorNotMatching\)$/m);
    expect(said).not.toMatch(/^registry +answers/m);
  });

  test('says that the connector of the annotation does not exist', async () => {
    const { isServed, said } = await explained(`${registry.authority}/team/app:v1`, 'misled');
    expect(isServed).toBe(false);
    expect(said).toMatch(
      /^connector +none: the namespace's annotation \S+ names one that does not exist \(there are: /m,
    );
    expect(said).toMatch(/^warning .*there is no connector demo\/gone/m);
    expect(said).toMatch(/^pod gets .*\(ConnectorUnknown\)$/m);
  });

  test.each([
    'localhost:7450/namespaces/demo/connectors/harbor/team/app:v1',
    'c-harbor.demo.svc.cluster.local/team/app:v1',
  ])('asks the registry of the connector that an image names already: %s', async (reference) => {
    const { isServed, said } = await explained(reference, 'annotated');
    expect(isServed).toBe(true);
    expect(said).toMatch(/^connector +demo\/harbor, /m);
    expect(said).toMatch(/^why +the image names it already$/m);
    expect(said).toMatch(/^pod gets .*\(AlreadyProxied\)$/m);
    expect(said).toMatch(new RegExp(`^registry +answers 200 for v1: ${image.digest} `, 'm'));
  });

  test.each([
    [
      'names a connector that does not exist',
      'demo/connectors/gone/team/app',
      /^connector +demo\/gone, which the image names, and which does not exist/m,
    ],
    ['names no repository', 'demo/connectors/harbor', /^registry +is not asked: the image names no repository$/m],
    [
      'leaves the path of its connector',
      'other/connectors/team/else/app',
      /^registry +is not asked: the image is not below team$/m,
    ],
  ])('says that an image of ours %s', async (_name, path, line) => {
    const { isServed, said } = await explained(`localhost:7450/namespaces/${path}`);
    expect(isServed).toBe(false);
    expect(said).toMatch(line);
  });

  test('says that the name would be too long', async () => {
    const { isServed, said } = await explained(`${registry.authority}/${'a'.repeat(230)}`);
    expect(isServed).toBe(false);
    expect(said).toMatch(/^connector +demo\/harbor, /m);
    expect(said).toMatch(/^pod gets .*\(NameTooLong: .*255 is the limit\)$/m);
  });

  test('says that the credential was refused, without showing it', async () => {
    registry.setCredential('robot', 'another');
    const { isServed, said } = await explained(`${registry.authority}/team/app:v1`);
    registry.setCredential('robot', password);
    expect(isServed).toBe(false);
    expect(said).toMatch(/^registry +the token server .* refused the credential with 401/m);
    expect(said).not.toContain('canary');
  });

  test('exits with 0 when the image is served, and with 1 when it is not', async () => {
    const options = ['-n', 'demo', '--manifests', folder.path];
    expect((await run(['explain', `${registry.authority}/team/app:v1`, ...options])).code).toBe(0);
    expect((await run(['explain', `${registry.authority}/team/app:none`, ...options])).code).toBe(1);
    const idle = ['-n', 'idle', '--manifests', folder.path];
    expect((await run(['explain', `${registry.authority}/team/app:v1`, ...idle])).code).toBe(1);
  });
});
