import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explain } from '../../cli/explain.ts';
import { type Folder, keepOutput, makeFolder, manifestsOf, run } from '../support/command.ts';
import { makeImage } from '../support/image.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const password = 'canary-of-the-registry';

describe('explain', () => {
  let registry: Registry;
  let folder: Folder;
  const image = makeImage();

  beforeAll(async () => {
    registry = await startRegistry({ auth: { kind: 'token', username: 'robot', password } });
    registry.seed('team/app', image, ['v1']);
    folder = await makeFolder();
    await folder.write('harbor.yaml', manifestsOf(registry.origin, 'robot', password));
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
    expect(said).toMatch(/^credential +accepted, Bearer$/m);
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
    expect(said).toMatch(/^connector +none: the image stays as it is \(there are: demo\/harbor\)$/m);
  });

  test('says why a pod of another namespace gets nothing', async () => {
    const { isServed, said } = await explained(`${registry.authority}/team/app:v1`, 'elsewhere');
    expect(isServed).toBe(false);
    expect(said).toMatch(/^namespace +elsewhere, which has no manifest, so it has not opted in$/m);
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
  });
});
