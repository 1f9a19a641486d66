import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { render } from '../../cli/render.ts';
import { UsageError } from '../../cli/usage-error.ts';
import { type Folder, keepOutput, makeFolder, run } from '../support/command.ts';
import { manifestsOf } from '../support/manifests.ts';

const ownClass = `---
apiVersion: connectors.alauda.io/v1alpha1
kind: ConnectorClass
metadata: { name: own }
spec:
  configurations:
    - name: npm
      params: [{ name: registry }]
      data:
        .npmrc: |-
          registry={{ .connector.spec.address }}/{{ index .configurations "registry" }}/
    - name: broken
      data: { file: "{{ if }}" }
---
apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata: { name: npm, namespace: demo }
spec: { connectorClassName: own, address: https://npm.example.com }
`;

describe('render', () => {
  let folder: Folder;

  beforeAll(async () => {
    folder = await makeFolder();
    await folder.write('harbor.yaml', manifestsOf('https://harbor.example.com', 'robot', 'canary'));
    await folder.write('own.yaml', ownClass);
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  const rendered = async (options: object) => {
    const output = keepOutput();
    const defaults = { namespace: 'demo', connectors: 'harbor', configurations: '', clusterDomain: 'cluster.local' };
    await render({ manifests: folder.path, ...defaults, ...options }, output);
    return output.results;
  };

  test('prints every file under its name, without the credential', async () => {
    const text = await rendered({ configurations: 'registry-config,!.env' });
    expect(text).toMatch(/^==> ca\.cert <==\n/);
    expect(text).toContain('==> config.json <==\n{\n  "auths": {\n    "c-harbor.demo.svc.cluster.local": {');
    expect(text).not.toContain('==> .env <==');
    expect(text).not.toContain('canary');
  });

  test("renders an administrator's own class with parameters", async () => {
    const text = await rendered({ connectors: 'npm', configurations: 'npm', params: '{"npm":{"registry":"team"}}' });
    expect(text).toContain('==> .npmrc <==\nregistry=https://npm.example.com/team/\n');
  });

  test('says where a template is wrong', async () => {
    await expect(rendered({ connectors: 'npm', configurations: 'broken' })).rejects.toThrow(
      /ConnectorClass "own", configuration "broken", file "file", line 1, column \d+: /,
    );
  });

  test('refuses what no volume could say, as a usage error', async () => {
    await expect(rendered({ connectors: 'no such' })).rejects.toThrow(UsageError);
    await expect(rendered({ params: '{' })).rejects.toThrow(/configuration\.params/);
  });

  test('is a command', async () => {
    const done = await run(['render', 'helm', '--connectors', 'demo/harbor', '--manifests', folder.path]);
    expect(done).toMatchObject({ code: 0 });
    expect(done.stdout).toContain('==> helm-registry.json <==');
  });
});
