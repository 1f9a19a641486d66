import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { builtinClasses } from '../../connectors/builtin-class.ts';
import { requireParts } from './support/parts.ts';
import type { Workload } from './support/workload-container.ts';
import { readGuide } from './support/workload-guide.ts';
import { openWorkloadScene, type RunOptions, type WorkloadScene } from './support/workload-scene.ts';

const guide = readGuide();
const used = new Set<string>();

/** The text of a block, which is thereby tested. */
function snippet(name: string): string {
  const found = guide.get(name);
  if (found === undefined) throw new Error(`the guide has no block ${name}`);
  used.add(name);
  return found.text;
}

const annotations = {
  names: 'connectors.cpaas.io/configurations',
  params: 'connectors.cpaas.io/configuration-params',
};

/** The guide's pod, asking for the configurations that stand above a block. */
function podFor(name: string): object {
  const pod = parse(snippet('pod'));
  pod.metadata.annotations[annotations.names] = guide.get(name)?.configurations;
  return pod;
}

const project = {
  'go.mod': 'module example.com/app\n\ngo 1.21\n',
  'cmd/app/main.go': 'package main\n\nfunc main() { println("hello") }\n',
  'greeting/Chart.yaml': JSON.stringify({ apiVersion: 'v2', name: 'greeting', version: '1.2.3' }),
  'greeting/templates/map.yaml': JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'map' } }),
};

const parts = [
  ...([
    'registry',
    'crane',
    'ko',
    'go',
    'helm',
    'buildkitd',
    'buildctl',
    'runc',
    'buildah',
    'podman',
    'skopeo',
  ] as const),
  ...(['dockerd', 'docker', 'containerd', 'unshare', 'nsenter', 'mount', 'ip'] as const),
];
// As elsewhere, who is not root builds nothing here, also with CI=true.
const asRoot = process.getuid?.() === 0 ? requireParts(...parts) : describe.skip;

asRoot('the guide for workloads', () => {
  let scene: WorkloadScene;
  const timeout = 120_000;

  beforeAll(async () => {
    scene = await openWorkloadScene();
  });
  afterAll(() => scene?.close());

  function admit(pod: object): Workload {
    const { workload, warnings } = scene.admit(pod);
    expect(warnings).toEqual([]);
    return workload;
  }

  /** Runs a block, or what `edit` makes of it, beside the files that the guide, and a project, would have. */
  function follow(
    name: string,
    workload: Workload,
    { edit = (script) => script, ...options }: RunOptions & { readonly edit?: (script: string) => string } = {},
  ) {
    const files = {
      Containerfile: snippet('Containerfile'),
      'Containerfile.forward': snippet('Containerfile.forward'),
      ...project,
      ...options.files,
    };
    const chartArchive = name === 'helm' || name === 'clients-forward' ? 'helm package greeting\n' : '';
    return scene.run(`${chartArchive}${edit(snippet(name))}`, workload, { ...options, files });
  }

  test.each([
    ['buildah', ['team/app:v1']],
    ['podman', ['team/copy:v1']],
    ['skopeo', ['team/copy:v1']],
    ['buildkit', ['team/app:v1']],
    ['buildkit-daemonless', ['team/app:v1']],
    ['docker', ['team/app:v1']],
    ['crane', ['team/copy:v1']],
    ['ko', ['team/app:latest']],
    ['helm', ['charts/greeting:1.2.3']],
    ['buildah-forward', ['team/app:v1']],
    ['buildkit-forward', ['team/app:v1']],
    ['clients-forward', ['mirror/base:v1', 'mirror/base:v2', 'charts/greeting:1.2.3']],
  ])('%s pulls what is private and pushes', { timeout }, async (name, expected) => {
    const { pushed } = await follow(name, admit(podFor(name)));
    await expect.poll(pushed).toEqual(expected);
  });

  test.each([
    ['buildah', ['team/app:v1']],
    ['podman', ['team/copy:v1']],
    ['skopeo', ['team/copy:v1']],
    ['buildkit', ['team/app:v1']],
  ])('%s does the same by HTTPS alone, verified', { timeout }, async (name, expected) => {
    const workload = admit(parse(snippet('pod-https')));
    const { pushed } = await follow(name, workload, { isHttpsOnly: true });
    await expect.poll(pushed).toEqual(expected);
  });

  test.each(['skopeo', 'buildkit-daemonless'])('%s by HTTPS refuses a proxy that it cannot verify', async (name) => {
    const { env, mounts } = admit(parse(snippet('pod-https')));
    const withoutAuthority = Object.entries(mounts).map(([path, files]) => [path, { ...files, ...noAuthority }]);
    const distrusting = { env, mounts: Object.fromEntries(withoutAuthority) };
    await expect(follow(name, distrusting, { isHttpsOnly: true })).rejects.toThrow(/x509|certificate/);
  });

  test.each([
    ['buildkit', 'buildkitd'],
    ['docker', 'dockerd'],
  ])('%s lends the token to %s, which finds none itself', { timeout }, async (name, daemon) => {
    const edit = (script: string) => script.replace(daemon, `env -u DOCKER_CONFIG -u REGISTRY_AUTH_FILE ${daemon}`);
    const { pushed } = await follow(name, admit(podFor(name)), { edit });
    await expect.poll(pushed).toEqual(['team/app:v1']);
  });

  test('dockerd does without certificates by daemon.json', { timeout }, async () => {
    const { env, mounts } = admit(podFor('docker-insecure'));
    const { output } = await follow('docker-insecure', { env: { ...env, SSL_CERT_DIR: '/nowhere' }, mounts });
    expect(output).toContain('Status: Downloaded newer image for c-harbor.demo.svc.cluster.local/team/base:v1');
  });

  test('a volume by hand holds what its attributes say, and serves crane', async () => {
    const workload = admit(parse(snippet('volume')));
    const files = workload.mounts['/run/registry'] ?? {};
    expect(Object.keys(files).sort()).toEqual([
      ...['buildkitd.toml', 'ca.cert', 'ca.crt', 'config.json', 'connector.status.proxyAddress'],
      ...['context.proxy.caCert', 'context.token'],
    ]);
    expect(files['buildkitd.toml']).toContain('"/run/registry/ca.crt"');
    const { pushed } = await follow('volume-use', workload);
    await expect.poll(pushed).toEqual(['release/base:v1']);
  });

  const connector = {
    apiVersion: 'connectors.alauda.io/v1alpha1',
    kind: 'Connector',
    metadata: { name: 'harbor', namespace: 'demo' },
    spec: { connectorClassName: 'team', address: 'https://harbor.example.com' },
  };
  const render = (ownClass: string) =>
    follow(
      'render',
      { env: {}, mounts: {} },
      {
        files: { 'manifests/class.yaml': ownClass, 'manifests/connector.yaml': JSON.stringify(connector) },
      },
    );

  test('an own class is tried by render, which says where a template is wrong', async () => {
    const { output } = await render(snippet('class'));
    const [, rendered = ''] = output.split('==> regctl.json <==\n');
    expect(JSON.parse(rendered).hosts['c-harbor.demo.svc.cluster.local']).toMatchObject({
      tls: 'enabled',
      user: 'token',
    });
    const message = /^ConnectorClass "team", .*$/m.exec(await guideText())?.[0] ?? 'no message';
    await expect(render(snippet('class').replace('toJson', 'json'))).rejects.toThrow(message);
  });

  test.each(builtinClasses.flatMap(({ spec }) => spec.configurations ?? []))(
    'the table of configurations tells the files and variables of $name',
    async ({ name, data = {}, injection }) => {
      const row = (await guideText()).split('\n').find((line) => line.startsWith('|') && line.includes(`\`${name}\``));
      const variables = (injection?.env ?? []).map((variable) =>
        variable.name === 'SSL_CERT_DIR'
          ? 'trust'
          : `\`${variable.name}=${variable.value.replace('$(MOUNT_PATH)', '$DIR')}\``,
      );
      for (const part of [...Object.keys(data).map((file) => `\`${file}\``), ...variables]) expect(row).toContain(part);
    },
  );

  test('the right to push is bound to a role that is installed', async () => {
    const manifest = await readFile(join(import.meta.dirname, '../../deploy/manifests/oci-connector.yaml'), 'utf8');
    const installed = parseAllDocuments(manifest).map((document) => document.toJS());
    const { roleRef } = parse(snippet('right'));
    expect(installed).toContainEqual(
      expect.objectContaining({ kind: roleRef.kind, metadata: expect.objectContaining({ name: roleRef.name }) }),
    );
  });

  test('no volume held the registry’s credential, and no token of a pod reached the registry', () => {
    expect(scene.leaks()).toEqual([]);
  });

  test('every block of the guide was used', () => {
    expect([...guide.keys()].filter((name) => !used.has(name))).toEqual([]);
  });
});

const noAuthority = { 'ca.crt': '', 'ca.cert': '', 'context.proxy.caCert': '' };
const guideText = () => readFile(join(import.meta.dirname, '../../docs/guides/workloads.md'), 'utf8');
