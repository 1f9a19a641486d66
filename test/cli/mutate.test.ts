import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { mutate } from '../../cli/mutate.ts';
import { type Folder, keepOutput, makeFolder, run } from '../support/command.ts';
import { manifestsOf } from '../support/manifests.ts';

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

  test('reads values as Kubernetes does, and texts stay texts', async () => {
    const texts = ['yes', 'on', 'y', '12:30', '1_000', '2001-01-01', '0644', '1e3'];
    const env = texts.map((text, at) => `        - { name: E${at}, value: "${text}" }\n`).join('');
    const volumes = '  volumes: [{ name: keys, secret: { secretName: keys, defaultMode: 0644 } }]\n';
    const manifest = `${podManifest}      env:\n${env}${volumes}`;
    for (const output of ['yaml', 'json']) {
      const { results } = await mutated(manifest, { namespace: 'demo', output });
      const { spec } = parse(results, { version: '1.1' });
      expect(spec.volumes[0].secret.defaultMode).toBe(0o644);
      expect(spec.containers[0].env.map(({ value }: { value: unknown }) => value)).toEqual(texts);
    }
  });

  test.each([
    ['a separator at the end', `${podManifest}---\n`],
    ['a separator at the beginning', `---\n${podManifest}`],
    ['documents of comments', `# Source: a.yaml\n---\n# Source: b.yaml\n---\n${podManifest}---\n# Source: c.yaml\n`],
    ['a document of null', `null\n---\n${podManifest}`],
  ])('passes over %s', async (_name, manifest) => {
    const { results, notes } = await mutated(manifest, { namespace: 'demo', output: 'json' });
    expect(JSON.parse(results).spec.containers[0].image).toBe(rewritten);
    expect(notes).toBe('');
  });

  test('mutates the items of a List, its own among them', async () => {
    const other = podManifest.replace('name: app', 'name: other');
    const options = { namespace: 'demo', output: 'json' };
    const { results } = await mutated(`${podManifest}---\n${other}`, options);
    const list = JSON.parse(results);
    expect(list).toMatchObject({ apiVersion: 'v1', kind: 'List', items: [{ kind: 'Pod' }, { kind: 'Pod' }] });
    expect((await mutated(results, options)).results).toBe(results);
    const fresh = JSON.stringify({ ...list, items: [parse(podManifest), parse(other)] });
    expect((await mutated(fresh, options)).results).toBe(results);
  });

  test('has nothing to say about an empty List', async () => {
    const { results } = await mutated('apiVersion: v1\nkind: List\nitems: []\n', { namespace: 'demo' });
    expect(results).toBe('');
  });

  test.each([
    ['what is no YAML', 'a: [', /pods:1: /],
    ['an error in a later document', `${podManifest}---\na: "canary\n`, /pods:12: (?!.*canary)/],
    ['a key that stands twice', `${podManifest}  nodeName: a\n  nodeName: b\n`, /pods:11: the key stands twice/],
    ['what is no object', `${podManifest}---\n- 1\n`, /pods:11: this does not hold Kubernetes objects/],
    ['a List of texts', 'apiVersion: v1\nkind: List\nitems: [a]\n', /pods:1: this does not hold Kubernetes objects/],
    ['nothing', '', /does not hold Kubernetes objects/],
    ['nothing but comments', '# Source: a.yaml\n---\n', /does not hold Kubernetes objects/],
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
