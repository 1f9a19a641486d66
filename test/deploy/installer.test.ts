import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { startControlPlane } from '../cluster/support/control-plane.ts';
import { requireParts } from '../real/support/parts.ts';
import { runProgram } from '../real/support/program.ts';
import { kubectlFor } from './support/api.ts';
import { installScript, makeNodeFiles } from './support/node-files.ts';

const folder = join(import.meta.dirname, '../../deploy/installer');
const guide = join(import.meta.dirname, '../../docs/guides/oracle.md');
const files = ['install.yaml', 'uninstall.yaml'] as const;
const read = async (file: string) => parse(await readFile(join(folder, file), 'utf8'));

/** What the init container of a manifest runs, with the node's files and the script where they are in this test. */
async function runInitContainer(file: string, root: string, environment: Record<string, string>) {
  const [container] = (await read(file)).spec.template.spec.initContainers;
  const [shell, option, script, ...rest] = container.command;
  const env = Object.fromEntries(
    container.env.map(({ name, value }: { name: string; value: string }) => [name, value]),
  );
  const here = script
    .replace('/installer/install.sh', `'${installScript}'`)
    .replace('chroot /host', `chroot '${root}'`);
  return runProgram(shell, [option, here, ...rest, ...container.args], { env: { ...env, ...environment } });
}

describe('the DaemonSet that installs on nodes', () => {
  test('runs the script in the node, and the other one takes everything back', async () => {
    await using node = await makeNodeFiles();
    await node.write(
      '/etc/systemd/system/kubelet.service',
      'EnvironmentFile=-/etc/default/kubelet\nExecStart=/kubelet $KUBELET_EXTRA_ARGS\n',
    );
    await node.write('/etc/default/kubelet', 'KUBELET_EXTRA_ARGS=--v=2\n');
    await node.setActive('kubelet', true);
    const before = await node.snapshot();
    // Stands for the real one, which needs a whole system in the folder.
    await node.fake('chroot', '#!/bin/sh\n[ "$1" = "$OCI_CONNECTOR_ROOT" ] || exit 99\nshift\nexec "$@"\n');
    const env = { ...node.environment, OCI_CONNECTOR_JITTER_SECONDS: '0' };
    const installed = await runInitContainer('install.yaml', node.root, env);
    expect(installed.stderr).not.toContain('error');
    expect(installed.code).toBe(0);
    expect(await node.read('/etc/default/kubelet')).toContain('--v=2 --image-credential-provider-bin-dir=');
    expect(await node.services()).toEqual(['restart kubelet']);
    // A pod that is restarted runs it again.
    expect(await runInitContainer('install.yaml', node.root, env)).toMatchObject({ code: 0 });
    expect(await node.services()).toEqual(['restart kubelet']);
    expect(await runInitContainer('uninstall.yaml', node.root, env)).toMatchObject({ code: 0 });
    expect(await node.snapshot()).toEqual(before);
  });

  test.each(files)(
    'is root in no image that a tag names, and the guide has the command that sets one: %s',
    async (file) => {
      const [container] = (await read(file)).spec.template.spec.initContainers;
      expect(container.image).toBe('');
      const command = `kubectl set image --local -f deploy/installer/${file} ${container.name}=`;
      for (const text of [await readFile(join(folder, file), 'utf8'), await readFile(guide, 'utf8')]) {
        expect(text).toContain(command);
        expect(text).not.toContain(`apply -f deploy/installer/${file}`);
      }
    },
  );

  test('is root on the node while it installs, and nothing afterwards', async () => {
    for (const file of files) {
      const { spec } = (await read(file)).spec.template;
      expect(spec.initContainers[0].securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'], add: ['SYS_CHROOT', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER'] },
      });
      expect(spec.containers).toHaveLength(1);
      expect(spec.containers[0].volumeMounts).toBeUndefined();
      expect(spec.containers[0].securityContext).toMatchObject({ runAsNonRoot: true, capabilities: { drop: ['ALL'] } });
      expect(spec.automountServiceAccountToken).toBe(false);
      expect(spec.hostPID).toBeUndefined();
    }
  });
});

requireParts(
  'etcd',
  'kube-apiserver',
  'kubectl',
)('the manifests of the installer', () => {
  test('are what the API server takes, strictly, once their image is set, and refuses before', async () => {
    const plane = await startControlPlane();
    try {
      const kubectl = kubectlFor(plane.kubeconfig);
      await kubectl(['create', 'namespace', 'oci-connector']);
      for (const file of files) {
        const path = join(folder, file);
        const apply = ['apply', '--server-side', '--dry-run=server', '--validate=strict', '-f'];
        await expect(kubectl([...apply, path])).rejects.toThrow('initContainers[0].image: Required value');
        const image = `${file.replace('.yaml', '')}=registry.example.com/busybox@sha256:${'0'.repeat(64)}`;
        const set = await kubectl(['set', 'image', '--local', '-f', path, image, '-o', 'json']);
        expect(set).toContain('"image": "registry.example.com/busybox@sha256:');
        expect(await kubectl([...apply, '-'], [JSON.parse(set)])).toContain('serverside-applied (server dry run)');
      }
    } finally {
      await plane.stop();
    }
  });
});
