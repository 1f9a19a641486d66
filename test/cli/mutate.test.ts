import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mutate } from '../../cli/mutate.ts';
import { type Folder, keepOutput, makeFolder, manifestsOf, run } from '../support/command.ts';

const podManifest = `apiVersion: v1
kind: Pod
metadata:
  name: app
spec:
  containers:
    - name: app
      image: harbor.example.com/team/app:v1
      futureField: { kept: true }
`;
const rewritten = 'localhost:7450/namespaces/demo/connectors/harbor/team/app:v1';

describe('mutate', () => {
  let folder: Folder;

  beforeAll(async () => {
    folder = await makeFolder();
    await folder.write('harbor.yaml', manifestsOf('https://harbor.example.com', 'robot', 'canary'));
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  const mutated = async (manifest: string, options: object) => {
    const filename = await folder.write('pods', manifest);
    const output = keepOutput();
    const settings = { manifests: folder.path, output: 'yaml', imageHost: 'localhost:7450', ...options };
    await mutate({ filename, ...settings }, output);
    return output;
  };

  test('prints the pod as YAML, with fields that nobody knows', async () => {
    const { results } = await mutated(podManifest, { namespace: 'demo' });
    expect(results).toContain(`image: ${rewritten}\n`);
    expect(results).toContain('futureField:\n        kept: true\n');
  });

  test('prints the pod as JSON', async () => {
    const { results } = await mutated(podManifest, { namespace: 'demo', output: 'json' });
    expect(JSON.parse(results).spec.containers[0].image).toBe(rewritten);
  });

  test('prints the patch', async () => {
    const { results } = await mutated(podManifest, { namespace: 'demo', output: 'patch' });
    expect(JSON.parse(results)).toContainEqual({ op: 'replace', path: '/spec/containers/0/image', value: rewritten });
  });

  test('prints a diff, and why each image was rewritten or not', async () => {
    const { results, notes } = await mutated(podManifest, { namespace: 'demo', output: 'diff' });
    expect(results).toContain(`-      image: harbor.example.com/team/app:v1\n+      image: ${rewritten}\n`);
    expect(notes).toContain('Pod/app: container "app": harbor.example.com/team/app:v1: Rewritten, demo/harbor');
  });

  test('leaves other objects as they are, and several documents apart', async () => {
    const { results, notes } = await mutated(
      `${podManifest}---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n`,
      {
        namespace: 'demo',
      },
    );
    expect(results.split('---\n')).toHaveLength(2);
    expect(results).toContain('kind: Service\nmetadata:\n  name: web\n');
    expect(notes).toContain('Service/web: only pods are mutated');
  });

  test('says so when the namespace has not opted in', async () => {
    const { results, notes } = await mutated(podManifest, { namespace: 'elsewhere' });
    expect(results).toContain('image: harbor.example.com/team/app:v1');
    expect(notes).toContain('neither the pod nor its namespace has the label connectors.cpaas.io/proxy-inject');
  });

  test.each([
    ['what is no YAML', 'a: [', /pods: /],
    ['what is no object', '- 1\n', /does not hold Kubernetes objects/],
    ['nothing', '', /does not hold Kubernetes objects/],
  ])('refuses %s', async (_name, manifest, message) => {
    await expect(mutated(manifest, { namespace: 'demo' })).rejects.toThrow(message);
  });

  test('reads standard input and exits with 0', async () => {
    const { code, stdout } = await run(['mutate', '-f', '-', '-n', 'demo', '--manifests', folder.path], podManifest);
    expect(code).toBe(0);
    expect(stdout).toContain(rewritten);
  });

  test('exits with 1 for a file that is not there, and names it', async () => {
    const { code, stderr } = await run(['mutate', '-f', '/nowhere.yaml', '--manifests', folder.path]);
    expect([code, stderr]).toEqual([1, 'oci-connector: /nowhere.yaml cannot be read: ENOENT\n']);
  });
});
