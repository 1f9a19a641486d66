import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { executable, makeNodeFiles, type NodeFiles } from './support/node-files.ts';

const binFlag = '--image-credential-provider-bin-dir=/opt/oci-connector/bin';
const configFlag = '--image-credential-provider-config=/etc/oci-connector/kubelet-credential-providers.yaml';
const flags = `${binFlag} ${configFlag}`;
const unit = '/usr/lib/systemd/system/kubelet.service';
const dropIn = '/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf';
const defaults = '/etc/default/kubelet';

/** A node that kubeadm has made. `extra` is the content of its file for further flags; there is none by default. */
async function makeKubeadmNode(extra?: string, file = defaults): Promise<NodeFiles> {
  const node = await makeNodeFiles();
  await node.write(unit, '[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\n');
  const kubeadm = [
    '[Service]',
    'Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"',
    'EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env',
    `EnvironmentFile=-${file}`,
    'ExecStart=',
    'ExecStart=/usr/bin/kubelet $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS',
    '',
  ];
  await node.write(dropIn, kubeadm.join('\n'));
  if (extra !== undefined) await node.write(file, extra, 0o640);
  await node.setActive('kubelet', true);
  return node;
}

describe('install.sh --no-oke', () => {
  test.each([
    ['no file', undefined, `KUBELET_EXTRA_ARGS="${flags}"\n`],
    ['an empty one', '', `KUBELET_EXTRA_ARGS="${flags}"\n`],
    ['no flags', 'KUBELET_EXTRA_ARGS=\n', `KUBELET_EXTRA_ARGS="${flags}"\n`],
    ['no flags, quoted', 'KUBELET_EXTRA_ARGS=""\n', `KUBELET_EXTRA_ARGS="${flags}"\n`],
    ['flags', 'KUBELET_EXTRA_ARGS=--v=4 --a=b\n', `KUBELET_EXTRA_ARGS=--v=4 --a=b ${flags}\n`],
    ['double quotes', 'KUBELET_EXTRA_ARGS="--v=4 --a=b" \n', `KUBELET_EXTRA_ARGS="--v=4 --a=b ${flags}"\n`],
    ['single quotes', `KUBELET_EXTRA_ARGS='--v=4'\n`, `KUBELET_EXTRA_ARGS='--v=4 ${flags}'\n`],
    ['a value in quotes', 'KUBELET_EXTRA_ARGS=--a="b c"\n', `KUBELET_EXTRA_ARGS=--a="b c" ${flags}\n`],
    [
      'other lines',
      '# KUBELET_EXTRA_ARGS=--v=9\nA=b\nKUBELET_EXTRA_ARGS="--v=4"\nC=d',
      `# KUBELET_EXTRA_ARGS=--v=9\nA=b\nKUBELET_EXTRA_ARGS="--v=4 ${flags}"\nC=d\n`,
    ],
  ])('adds its flags behind what is there, restarts the kubelet, and takes all back: %s', async (_, before, after) => {
    await using node = await makeKubeadmNode(before);
    const original = await node.snapshot();
    const { code, stderr } = await node.install(['--no-oke']);
    expect(stderr).not.toContain('error');
    expect(code).toBe(0);
    expect(await node.read(defaults)).toBe(after);
    expect(await node.services()).toEqual(['restart kubelet']);
    const installed = await node.snapshot();
    expect(await node.install(['--no-oke'])).toMatchObject({ code: 0 });
    expect(await node.snapshot()).toEqual(installed);
    expect(await node.services()).toEqual(['restart kubelet']);
    expect(await node.install(['--uninstall'])).toMatchObject({ code: 0 });
    expect(await node.snapshot()).toEqual(original);
    expect(await node.services()).toEqual(['restart kubelet', 'daemon-reload', 'restart kubelet']);
    expect(await node.okeRuns()).toEqual([]);
  });

  test('finds the file of Red Hat’s family', async () => {
    await using node = await makeKubeadmNode('KUBELET_EXTRA_ARGS=\n', '/etc/sysconfig/kubelet');
    await node.install(['--no-oke']);
    expect(await node.read('/etc/sysconfig/kubelet')).toBe(`KUBELET_EXTRA_ARGS="${flags}"\n`);
  });

  test('finds the flags in a drop-in of the unit', async () => {
    await using node = await makeNodeFiles();
    const file = '/etc/systemd/system/kubelet.service.d/kubelet-extra-args.conf';
    await node.write(
      '/etc/systemd/system/kubelet.service',
      '[Service]\nExecStart=/usr/bin/kubelet $KUBELET_EXTRA_ARGS\n',
    );
    await node.write(
      file,
      '[Service]\nEnvironment="KUBELET_EXTRA_ARGS=--v=4 --image-credential-provider-bin-dir=/b"\n',
    );
    await node.setActive('kubelet', true);
    const original = await node.snapshot();
    expect(await node.install(['--no-oke'])).toMatchObject({ code: 0 });
    expect(await node.read(file)).toContain(`=--v=4 --image-credential-provider-bin-dir=/b ${configFlag}"\n`);
    expect(await node.read('/b/oci-connector-credential-provider')).toBe(executable);
    expect(await node.services()).toEqual(['daemon-reload', 'restart kubelet']);
    await node.install(['--uninstall']);
    expect(await node.snapshot()).toEqual(original);
  });

  test.each([
    [
      'of the running kubelet',
      '/proc/4711/cmdline',
      '/usr/bin/kubelet\0--image-credential-provider-bin-dir\0/my bin\0--image-credential-provider-config=/etc/providers.yaml\0',
    ],
    [
      'of kubeadm',
      '/var/lib/kubelet/kubeadm-flags.env',
      'KUBELET_KUBEADM_ARGS="--x=y --image-credential-provider-bin-dir=\'/my bin\' --image-credential-provider-config=/etc/providers.yaml"\n',
    ],
    [
      'in the command of the unit',
      unit,
      '[Service]\nExecStart=/usr/bin/kubelet --image-credential-provider-bin-dir "/my bin" \\\n  --image-credential-provider-config=/etc/providers.yaml $KUBELET_EXTRA_ARGS\n',
    ],
  ])('takes over the provider that the flags name: %s', async (_, path, content) => {
    await using node = await makeKubeadmNode('KUBELET_EXTRA_ARGS=--v=4\n');
    const provider = { name: 'other', matchImages: ['example.com'], defaultCacheDuration: '1h' };
    await node.write(
      '/etc/providers.yaml',
      JSON.stringify({ apiVersion: 'kubelet.config.k8s.io/v1', providers: [provider] }),
    );
    await node.write(path, content);
    expect(await node.install(['--no-oke'])).toMatchObject({ code: 0 });
    const ours = '/etc/oci-connector/kubelet-credential-providers.json';
    expect(await node.read(defaults)).toBe(`KUBELET_EXTRA_ARGS=--v=4 --image-credential-provider-config=${ours}\n`);
    expect(parse(await node.read(ours)).providers).toEqual([
      provider,
      expect.objectContaining({ name: 'oci-connector-credential-provider' }),
    ]);
    expect(await node.read('/my bin/oci-connector-credential-provider')).toBe(executable);
  });

  test('is the same the second time, with our own flags in the running kubelet', async () => {
    await using node = await makeKubeadmNode();
    await node.install(['--no-oke']);
    await node.write('/proc/4711/cmdline', `/usr/bin/kubelet\0${flags.replace(' ', '\0')}\0`);
    const before = await node.snapshot();
    expect(await node.install(['--no-oke'])).toMatchObject({ code: 0 });
    expect(await node.snapshot()).toEqual(before);
    expect(await node.services()).toEqual(['restart kubelet']);
  });

  test('takes everything back where the kubelet does not come back with the flags', async () => {
    await using node = await makeKubeadmNode('KUBELET_EXTRA_ARGS=--v=4\n');
    await node.refuseOurFlags();
    const before = await node.snapshot();
    const { code, stderr } = await node.install(['--no-oke']);
    expect(code).toBe(1);
    expect(stderr).toContain('all is as it was');
    expect(await node.snapshot()).toEqual(before);
    expect(await node.services()).toEqual(['restart kubelet', 'restart kubelet']);
  });

  test.each([
    ['lacks them', '', '', binFlag],
    ['has another behind them', '', `${flags} ${configFlag.replace('/etc', '/other')}`, configFlag],
    ['has lost a word', '--max-pods=60', flags, '--max-pods=60'],
  ])('takes everything back where the kubelet comes back, but %s', async (_, before, after, named) => {
    await using node = await makeKubeadmNode('KUBELET_EXTRA_ARGS="--v=4"\n');
    const command = (words: string) => ['/usr/bin/kubelet', ...words.split(' '), ''].join('\0');
    await node.write('/proc/4711/cmdline', command(before));
    await node.write('/run/after', command(after));
    const original = { ...(await node.snapshot()), 'proc/4711/cmdline': '' };
    const { code, stderr } = await node.install(['--no-oke'], { COMMAND: '/run/after', FLAGS_FILE: '/none' });
    expect(stderr).toMatch(new RegExp(`with(out)? ${named} .*all is as it was`));
    expect(code).toBe(1);
    expect({ ...(await node.snapshot()), 'proc/4711/cmdline': '' }).toEqual(original);
    expect(await node.services()).toEqual(['restart kubelet', 'restart kubelet']);
  });

  test('compares with the flags before an interrupted run', async () => {
    await using node = await makeKubeadmNode('KUBELET_EXTRA_ARGS="--v=4"\n');
    await node.write('/proc/4711/cmdline', '/usr/bin/kubelet\0--max-pods=60\0');
    await node.write('/run/after', `/usr/bin/kubelet\0${flags.replace(' ', '\0')}\0`);
    const env = { COMMAND: '/run/after', FLAGS_FILE: '/none', OCI_CONNECTOR_SETTLE_SECONDS: '1' };
    await node.fake('sleep', '#!/bin/bash\n[[ $1 == 0 ]] || kill -KILL 0\n');
    await expect(node.interrupted(['--no-oke'], env)).rejects.toThrow('SIGKILL');
    const { code, stderr } = await node.install(['--no-oke'], { ...env, OCI_CONNECTOR_SETTLE_SECONDS: '0' });
    expect(stderr).toContain('no longer with --max-pods=60');
    expect(code).toBe(1);
  });

  test.each([
    ['by name, whatever their folder', '/usr/lib', '90-vendor', '/etc', '10-site'],
    ['of one name by folder', '/etc', '10-site', '/usr/lib', '10-site'],
  ])('adds its flags to the drop-in that systemd reads last: %s', async (_, last, lastName, first, firstName) => {
    await using node = await makeNodeFiles();
    await node.write(unit, '[Service]\nExecStart=/usr/bin/kubelet $KUBELET_EXTRA_ARGS\n');
    const path = (folder: string, name: string) => `${folder}/systemd/system/kubelet.service.d/${name}.conf`;
    const text = '[Service]\nEnvironment="KUBELET_EXTRA_ARGS=--v=1"\n';
    await node.write(path(first, firstName), text);
    await node.write(path(last, lastName), text);
    expect(await node.install(['--no-oke'])).toMatchObject({ code: 0 });
    expect(await node.read(path(last, lastName))).toContain(flags);
    expect(await node.read(path(first, firstName))).toBe(text);
  });

  test.each([
    ['unit', unit, '[Service]\nEnvironment="A=b" "KUBELET_EXTRA_ARGS=--max-pods=60"\n'],
    ['continued line of the unit', unit, '[Service]\nEnvironment=A=b \\\n  "KUBELET_EXTRA_ARGS=--max-pods=60"\n'],
    ['file', defaults, 'export KUBELET_EXTRA_ARGS="--max-pods=60"\n'],
  ])('changes nothing where a %s assigns the flags behind something else', async (_, path, text) => {
    await using node = await makeKubeadmNode();
    await node.write(path, text);
    const before = await node.snapshot();
    const { code, stderr } = await node.install(['--no-oke']);
    expect(stderr).toContain(`KUBELET_EXTRA_ARGS in ${path} is not the first of its line`);
    expect(code).toBe(1);
    expect(await node.snapshot()).toEqual(before);
  });

  test('changes nothing where a unit has the flags in a comment alone', async () => {
    await using node = await makeNodeFiles();
    await node.write(
      unit,
      `[Service]\n # $KUBELET_EXTRA_ARGS\nEnvironmentFile=-${defaults}\nExecStart=/usr/bin/kubelet\n`,
    );
    await node.setActive('kubelet', true);
    const before = await node.snapshot();
    const { code, stderr } = await node.install(['--no-oke']);
    expect(stderr).toContain('by hand');
    expect(code).toBe(1);
    expect(await node.snapshot()).toEqual(before);
  });

  test('starts no kubelet that was not running', async () => {
    await using node = await makeKubeadmNode();
    await node.setActive('kubelet', false);
    expect(await node.install(['--no-oke'])).toMatchObject({ code: 0 });
    expect(await node.services()).toEqual([]);
  });

  test('takes out its own flags alone where somebody has changed the file since', async () => {
    await using node = await makeKubeadmNode('KUBELET_EXTRA_ARGS="--v=4"\n');
    await node.install(['--no-oke']);
    await node.write(defaults, `# changed\nKUBELET_EXTRA_ARGS="--v=5 ${flags} --a=b"\n`, 0o640);
    await node.install(['--uninstall']);
    expect(await node.read(defaults)).toBe('# changed\nKUBELET_EXTRA_ARGS="--v=5 --a=b"\n');
  });

  test('removes nothing while flags of ours are left in a way that it does not know', async () => {
    await using node = await makeKubeadmNode('KUBELET_EXTRA_ARGS="--v=4"\n');
    await node.install(['--no-oke']);
    await node.write(defaults, `KUBELET_EXTRA_ARGS="${configFlag} ${binFlag}"\n`, 0o640);
    const before = await node.snapshot();
    expect(await node.install(['--uninstall'])).toMatchObject({ code: 1 });
    expect(await node.snapshot()).toEqual(before);
  });

  test.each([
    ['the flags are in an unusual form', 'KUBELET_EXTRA_ARGS="--v=4" --a=b\n', 'by hand'],
    ['the line goes on in the next one', 'KUBELET_EXTRA_ARGS=--v=4 \\\n  --a=b\n', 'by hand'],
  ])('changes nothing where %s', async (_, extra, reason) => {
    await using node = await makeKubeadmNode(extra);
    const before = await node.snapshot();
    const { code, stderr } = await node.install(['--no-oke']);
    expect(code).toBe(1);
    expect(stderr).toContain(reason);
    expect(await node.snapshot()).toEqual(before);
    expect(await node.services()).toEqual([]);
  });

  test('changes nothing where no unit takes further flags', async () => {
    await using node = await makeNodeFiles();
    const { code, stderr } = await node.install(['--no-oke']);
    expect(code).toBe(1);
    expect(stderr).toContain(flags);
    expect(await node.snapshot()).toEqual({});
  });

  test.each([
    [['--no-oke', '--frobnicate'], '--frobnicate'],
    [['--no-oke', '--kubelet-extra-args', '--v=4'], '--no-oke'],
    [['--kubelet-extra-args'], 'no value'],
  ])('refuses %j', async (args, reason) => {
    await using node = await makeNodeFiles();
    const { code, stderr } = await node.install(args);
    expect(code).toBe(1);
    expect(stderr).toContain(reason);
  });

  test('two at a time come one after the other', async () => {
    await using node = await makeKubeadmNode();
    const runs = await Promise.all([
      node.install(['--no-oke']),
      node.install(['--no-oke']),
      node.install(['--no-oke']),
    ]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(await node.services()).toEqual(['restart kubelet']);
    expect(await node.read(defaults)).toBe(`KUBELET_EXTRA_ARGS="${flags}"\n`);
  });
});
