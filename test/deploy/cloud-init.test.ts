import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { isOracleRegistry } from '../../credentials/oracle/hosts.ts';
import { realmDomains } from '../../credentials/oracle/realms.ts';
import { parseConfiguration } from '../../kubelet/configuration.ts';
import { runProgram } from '../real/support/program.ts';
import { executable, installScript, makeNodeFiles, type NodeFiles, sha256 } from './support/node-files.ts';

const binFlag = '--image-credential-provider-bin-dir=/opt/oci-connector/bin';
const configFlag = '--image-credential-provider-config=/etc/oci-connector/kubelet-credential-providers.yaml';
const installed = '/opt/oci-connector/bin/oci-connector-credential-provider';
const merged = '/etc/oci-connector/kubelet-credential-providers.yaml';

interface Provider {
  readonly name: string;
  readonly matchImages: readonly string[];
  readonly args?: readonly string[];
  readonly tokenAttributes?: object;
}

async function providersOf(node: NodeFiles, path = merged): Promise<readonly Provider[]> {
  const config = parse(await node.read(path));
  expect(config).toMatchObject({ apiVersion: expect.stringMatching(/^kubelet\.config\.k8s\.io\//) });
  return config.providers;
}

describe('install.sh on a node of OKE', () => {
  test('installs the executable and both configurations, and hands the flags to OKE’s init', async () => {
    await using node = await makeNodeFiles();
    const { code, stderr } = await node.install();
    expect(stderr).not.toContain('error');
    expect(code).toBe(0);
    expect(await node.okeRuns()).toEqual([['--kubelet-extra-args', `${binFlag} ${configFlag}`]]);
    expect(await node.snapshot()).toMatchObject({
      [installed.slice(1)]: `755 ${executable}`,
      'etc/oci-connector/credential-provider.yaml': expect.stringMatching(
        /^600 [\s\S]*ocirAuthMethod: INSTANCE_PRINCIPAL\n$/,
      ),
      [merged.slice(1)]: expect.stringMatching(/^600 /),
    });
    const [provider, ...others] = await providersOf(node);
    expect(others).toEqual([]);
    expect(provider).toMatchObject({
      name: 'oci-connector-credential-provider',
      args: ['--config', '/etc/oci-connector/credential-provider.yaml'],
    });
    expect(await node.services()).toEqual([]);
  });

  test('has the kubelet ask for the hosts of OCIR in every realm, and for no others', async () => {
    await using node = await makeNodeFiles();
    await node.install();
    const globs = (await providersOf(node)).flatMap(({ matchImages }) => matchImages);
    const isAsked = (host: string) => globs.some((glob) => globMatches(glob, host));
    const domains = [...new Set(Object.values(realmDomains))];
    const regional = domains.flatMap((domain) => [`ocir.eu-x-1.oci.${domain}`, `artifacts.eu-x-1.oci.${domain}`]);
    const hosts = ['ocir.io', 'phx.ocir.io', 'us-phoenix-1.ocir.io', ...regional];
    expect(hosts.filter((host) => !isOracleRegistry(host))).toEqual([]);
    const others = [
      'docker.io',
      'ocir.io.example.com',
      'objectstorage.us-phoenix-1.oci.oraclecloud.com',
      'localhost:7450',
    ];
    expect([...hosts, ...others].filter(isAsked)).toEqual(hosts);
  });

  test.each([
    ['x86_64', executable],
    ['aarch64', `${executable}# arm64\n`],
  ])('takes the executable for %s', async (machine, expected) => {
    await using node = await makeNodeFiles();
    expect(await node.install([], { MACHINE: machine })).toMatchObject({ code: 0 });
    expect(await node.read(installed)).toBe(expected);
  });

  test('takes the checksum from a file of sha256sum', async () => {
    await using node = await makeNodeFiles();
    const other = `${sha256('other')}  oci-connector-credential-provider-linux-arm64\n${sha256(executable)} *oci-connector-credential-provider-linux-amd64\n`;
    node.answers.set('/sums', other);
    const env = {
      OCI_CONNECTOR_ALLOW_HTTP: 'true',
      OCI_CONNECTOR_SHA256_AMD64: '',
      OCI_CONNECTOR_SHA256_URL: `${node.url}/sums`,
    };
    expect(await node.install([], env)).toMatchObject({ code: 0 });
    expect(await node.read(installed)).toBe(executable);
  });

  test('asks again after a 503 and after a connection that breaks off', async () => {
    await using node = await makeNodeFiles();
    const path = '/files/oci-connector-credential-provider-linux-amd64';
    let attempts = 0;
    node.answers.set(path, (_, response) => {
      attempts += 1;
      if (attempts === 1) response.writeHead(503).end();
      else if (attempts === 2)
        response.writeHead(200, { 'content-length': '1000' }).write('half', () => response.destroy());
      else response.end(executable);
    });
    expect(await node.install([], { OCI_CONNECTOR_ATTEMPTS: '3' })).toMatchObject({ code: 0 });
    expect(attempts).toBe(3);
  });

  test('says nothing of a URL but its host', async () => {
    await using node = await makeNodeFiles();
    const { stderr } = await node.install([], { OCI_CONNECTOR_URL: `${node.url}/p/capability/o/file?key=hidden` });
    expect(stderr).toContain(`${node.url}: HTTP status 404`);
    expect(stderr).not.toMatch(/capability|hidden/);
  });

  test('hands its other arguments to OKE’s init as they are', async () => {
    await using node = await makeNodeFiles();
    await node.install(['--cluster-dns', '10.96.5.5', '--label', "it's $(a) b"]);
    expect(await node.okeRuns()).toEqual([
      ['--cluster-dns', '10.96.5.5', '--label', "it's $(a) b", '--kubelet-extra-args', `${binFlag} ${configFlag}`],
    ]);
  });

  test('runs OKE’s init once per boot for the same arguments, and changes nothing the second time', async () => {
    await using node = await makeNodeFiles();
    await node.install(['--kubelet-extra-args', '--v=4']);
    await node.setActive('kubelet', true);
    const before = await node.snapshot();
    node.asked.length = 0;
    const again = await node.install(['--kubelet-extra-args', '--v=4']);
    expect(again).toMatchObject({ code: 0 });
    expect(again.stderr).toContain('all is in place');
    expect(await node.snapshot()).toEqual(before);
    expect(await node.okeRuns()).toHaveLength(1);
    expect(await node.services()).toEqual([]);
    expect(node.asked.filter((path) => path.startsWith('/files/'))).toEqual([]);
  });

  test('replaces the executable by another version without a restart, and restarts for another configuration', async () => {
    await using node = await makeNodeFiles();
    await node.install();
    await node.setActive('kubelet', true);
    const next = `${executable}# next\n`;
    node.answers.set('/files/oci-connector-credential-provider-linux-amd64', next);
    await node.install([], { OCI_CONNECTOR_SHA256_AMD64: sha256(next) });
    expect(await node.read(installed)).toBe(next);
    expect(await node.services()).toEqual([]);
    const env = {
      OCI_CONNECTOR_SHA256_AMD64: sha256(next),
      OCI_CONNECTOR_MATCH_IMAGES: 'registry.example.com, *.example.org',
    };
    await node.install([], env);
    expect((await providersOf(node))[0]?.matchImages.slice(-2)).toEqual(['registry.example.com', '*.example.org']);
    expect(await node.services()).toEqual(['restart kubelet']);
    expect(await node.okeRuns()).toHaveLength(1);
  });

  test('runs what the administrator names instead of OKE’s init script', async () => {
    await using node = await makeNodeFiles();
    node.answers.delete('/opc/v2/instance/metadata/oke_init_script');
    await node.write('/bin/oke', `#!/bin/bash\nprintf '%s\\0' "$@" >"$FAKES/oke"; echo >>"$FAKES/oke"\n`, 0o755);
    const env = { OCI_CONNECTOR_OKE_COMMAND: `'${node.root}/bin/oke' bootstrap` };
    expect(await node.install(['--apiserver-host', '10.0.0.1'], env)).toMatchObject({ code: 0 });
    expect((await node.okeRuns())[0]?.slice(0, 4)).toEqual([
      'bootstrap',
      '--apiserver-host',
      '10.0.0.1',
      '--kubelet-extra-args',
    ]);
  });

  test('passes the exit code of OKE’s init on as a failure', async () => {
    await using node = await makeNodeFiles();
    const { code, stderr } = await node.install([], { OKE_EXIT: '7' });
    expect(code).toBe(1);
    expect(stderr).toContain('exit code 7');
  });

  test('does nothing where it cannot be had', async () => {
    await using node = await makeNodeFiles();
    node.answers.delete('/opc/v2/instance/metadata/oke_init_script');
    const { code, stderr } = await node.install();
    expect(code).toBe(1);
    expect(stderr).toContain('--no-oke');
    expect(await node.snapshot()).toEqual({});
  });
});

describe('flags that the node pool has already', () => {
  const extra = (value: string) => ['--kubelet-extra-args', value];
  test.each([
    ['none', [], `${binFlag} ${configFlag}`],
    ['some', extra('--v=4 --max-pods=50'), `--v=4 --max-pods=50 ${binFlag} ${configFlag}`],
    ['with =', ['--kubelet-extra-args=--v=4'], `--v=4 ${binFlag} ${configFlag}`],
    ['given twice', [...extra('--v=4'), '--kubelet-extra-args=--a=b'], `--v=4 --a=b ${binFlag} ${configFlag}`],
    [
      'with quotes',
      extra(`--node-labels="a=b,c=d" --x='e f'`),
      `--node-labels="a=b,c=d" --x='e f' ${binFlag} ${configFlag}`,
    ],
    ['of a bin dir, =', extra('--image-credential-provider-bin-dir=/usr/local/bin/'), undefined],
    ['of a bin dir, space', extra('--image-credential-provider-bin-dir /usr/local/bin'), undefined],
    ['of a bin dir, quoted', extra('"--image-credential-provider-bin-dir=/usr/local/bin" --v=4'), undefined],
    ['of a bin dir, value quoted', extra(`--image-credential-provider-bin-dir='/usr/local/bin'`), undefined],
  ])('are kept character by character: %s', async (_, args, expected) => {
    await using node = await makeNodeFiles();
    expect(await node.install(args)).toMatchObject({ code: 0 });
    const own = args
      .map((arg) => arg.replace(/^--kubelet-extra-args=/, ''))
      .filter((arg) => arg !== '--kubelet-extra-args');
    // A bin dir that is there stays, for the kubelet knows only one, and ours goes into it.
    expect(await node.okeRuns()).toEqual([['--kubelet-extra-args', expected ?? `${own.join(' ')} ${configFlag}`]]);
    const dir = expected === undefined ? '/usr/local/bin' : '/opt/oci-connector/bin';
    expect(await node.read(`${dir}/oci-connector-credential-provider`)).toBe(executable);
  });

  test('may have a space in the bin dir', async () => {
    await using node = await makeNodeFiles();
    const flags = '--image-credential-provider-bin-dir="/opt/my plugins"';
    expect(await node.install(extra(flags))).toMatchObject({ code: 0 });
    expect(await node.okeRuns()).toEqual([['--kubelet-extra-args', `${flags} ${configFlag}`]]);
    expect(await node.read('/opt/my plugins/oci-connector-credential-provider')).toBe(executable);
    await node.install(['--uninstall']);
    expect(await node.okeRuns()).toContainEqual(['--kubelet-extra-args', flags]);
  });

  test('a bin dir of ours with a space is quoted', async () => {
    await using node = await makeNodeFiles();
    await node.install([], { OCI_CONNECTOR_BIN_DIR: '/opt/our plugins' });
    const quoted = `'--image-credential-provider-bin-dir=/opt/our plugins' ${configFlag}`;
    expect(await node.okeRuns()).toEqual([['--kubelet-extra-args', quoted]]);
  });
});

describe('providers that the kubelet has already', () => {
  const others = `# Somebody's, with a comment.
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  # the first
  - name: ecr-credential-provider
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    matchImages:
    - "*.dkr.ecr.*.amazonaws.com"
    defaultCacheDuration: 12h # long
  - name: credential-provider-oke
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    matchImages: ["*.ocir.io"]
    defaultCacheDuration: 55m
    env:
    - name: OCIR_AUTH_METHOD
      value: INSTANCE_PRINCIPAL
`;
  const json = JSON.stringify(parse(others));
  const path = '/etc/kubernetes/credential-provider-config.yaml';
  const args = [
    '--kubelet-extra-args',
    `--image-credential-provider-bin-dir=/usr/local/bin --image-credential-provider-config=${path}`,
  ];

  test.each([
    ['YAML', others],
    ['YAML whose list is not indented', others.replace(/^ {2}/gm, '')],
    ['YAML with more behind the list', others.replace(/(apiVersion: kubelet.*\nkind:.*\n)([\s\S]*)/, '$2$1')],
    ['YAML of Windows', others.replaceAll('\n', '\r\n')],
    ['YAML without an end of line', others.trimEnd()],
    ['YAML with a list of none', others.replace(/providers:[\s\S]*/, 'providers: []\n')],
    ['JSON', json],
    ['JSON in many lines', JSON.stringify(parse(others), undefined, 2)],
    ['JSON with brackets in strings', json.replace('55m', '55m","x":"]}\\"[{')],
    ['JSON with a list of none', JSON.stringify({ ...parse(others), providers: [] })],
  ])('stay, in their order, before ours: %s', async (_, content) => {
    await using node = await makeNodeFiles();
    await node.write(path, content, 0o640);
    expect(await node.install(args)).toMatchObject({ code: 0 });
    const ours = content.startsWith('{') ? merged.replace('.yaml', '.json') : merged;
    const [run] = await node.okeRuns();
    expect(run?.[1]).toBe(`${args[1]} --image-credential-provider-config=${ours}`);
    const all = await providersOf(node, ours);
    expect(all.slice(0, -1)).toEqual(parse(content).providers);
    expect(all.at(-1)?.name).toBe('oci-connector-credential-provider');
    // What was there is only read.
    expect((await node.snapshot())[path.slice(1)]).toBe(`640 ${Buffer.from(content).toString('latin1')}`);
  });

  test.each([
    [
      'YAML in flow style',
      'apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders: [{name: a}]\n',
    ],
    ['no list', 'apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n'],
    ['two documents', `${others}---\nkind: Other\n`],
    ['JSON that breaks off', json.slice(0, -5)],
    ['a file that is not there', undefined],
    ['our provider in somebody’s file', others.replace('credential-provider-oke', 'oci-connector-credential-provider')],
  ])('that are not understood leave the node as it is, and it joins: %s', async (_, content) => {
    await using node = await makeNodeFiles();
    if (content !== undefined) await node.write(path, content);
    const before = await node.snapshot();
    const { code, stderr } = await node.install(args);
    expect(code).toBe(1);
    expect(stderr).toContain(path);
    expect(stderr).toContain('NOT INSTALLED');
    expect(await node.snapshot()).toEqual(before);
    expect(await node.okeRuns()).toEqual([args]);
  });

  test('follow what changes in the file when it is run again', async () => {
    await using node = await makeNodeFiles();
    await node.write(path, others);
    await node.install(args);
    await node.write(path, others.replace('ecr-credential-provider', 'gcr-credential-provider'));
    await node.install(args);
    expect((await providersOf(node)).map(({ name }) => name)).toEqual([
      'gcr-credential-provider',
      'credential-provider-oke',
      'oci-connector-credential-provider',
    ]);
  });

  test('in a folder get a file of ours beside them', async () => {
    await using node = await makeNodeFiles();
    await node.write('/etc/kubernetes/providers/ecr.yaml', others);
    const flags =
      '--image-credential-provider-bin-dir=/b --image-credential-provider-config=/etc/kubernetes/providers/';
    await node.install(['--kubelet-extra-args', flags]);
    expect(await node.okeRuns()).toEqual([['--kubelet-extra-args', flags]]);
    expect(await providersOf(node, '/etc/kubernetes/providers/oci-connector.yaml')).toHaveLength(1);
  });
});

describe('a failure of the installation', () => {
  const path = '/files/oci-connector-credential-provider-linux-amd64';
  test.each<[string, (node: NodeFiles) => unknown, Record<string, string>, RegExp]>([
    ['another checksum', (node) => node.answers.set(path, 'other'), {}, /is not what it must be/],
    ['404', (node) => node.answers.delete(path), {}, /HTTP status 404/],
    [
      'a download that breaks off',
      (node) =>
        node.answers.set(
          path,
          (_, r) => void r.writeHead(200, { 'content-length': '1000' }).write('half', () => r.destroy()),
        ),
      {},
      /cannot be had/,
    ],
    [
      'a server that hangs',
      (node) => node.answers.set(path, () => undefined),
      { OCI_CONNECTOR_TIMEOUT_SECONDS: '1', OCI_CONNECTOR_ATTEMPTS: '1' },
      /exit code 28/,
    ],
    ['no URL', () => undefined, { OCI_CONNECTOR_URL: '' }, /OCI_CONNECTOR_URL/],
    ['no checksum', () => undefined, { OCI_CONNECTOR_SHA256_AMD64: '' }, /no checksum for amd64/],
    ['a checksum that is none', () => undefined, { OCI_CONNECTOR_SHA256_AMD64: 'latest' }, /no SHA-256/],
    ['another architecture', () => undefined, { MACHINE: 'riscv64' }, /riscv64/],
    [
      'an executable that does not run',
      (node) => node.answers.set(path, '#!/bin/sh\nexit 1\n'),
      { OCI_CONNECTOR_SHA256_AMD64: sha256('#!/bin/sh\nexit 1\n') },
      /does not run/,
    ],
    ['a kubelet that is too old', () => undefined, { OCI_CONNECTOR_KUBELET_VERSION: 'v1.25.9' }, /1\.26/],
    [
      'a folder in the way of the last file',
      (node) => node.write(`${merged}/file`, 'x'),
      {},
      /cannot overwrite directory/,
    ],
    [
      'a file in the way of the second folder',
      (node) => node.write('/etc/oci-connector', 'x'),
      {},
      /File exists|Not a dir/,
    ],
    ['a folder that cannot be made', (node) => node.write('/opt', 'a file'), {}, /mkdir|File exists|Not a directory/],
  ])('lets the node join as it was, loudly: %s', async (_, prepare, env, reason) => {
    await using node = await makeNodeFiles();
    await prepare(node);
    const before = await node.snapshot();
    const { code, stderr } = await node.install(['--kubelet-extra-args', '--v=4'], env);
    expect(stderr).toMatch(reason);
    expect(stderr).toContain('THE CREDENTIAL PROVIDER IS NOT INSTALLED');
    expect(code).toBe(1);
    expect(await node.snapshot()).toEqual(before);
    expect(await node.okeRuns()).toEqual([['--kubelet-extra-args', '--v=4']]);
  });

  test('keeps the node from joining where the administrator says so', async () => {
    await using node = await makeNodeFiles();
    node.answers.delete(path);
    expect(await node.install([], { OCI_CONNECTOR_ON_FAILURE: 'stop' })).toMatchObject({ code: 1 });
    expect(await node.okeRuns()).toEqual([]);
  });

  test('of a later run leaves what the first one made, and its flags', async () => {
    await using node = await makeNodeFiles();
    await node.install();
    const before = await node.snapshot();
    node.answers.delete(path);
    const env = { OCI_CONNECTOR_SHA256_AMD64: sha256('next') };
    expect(await node.install(['--kubelet-extra-args', '--v=2'], env)).toMatchObject({ code: 1 });
    const after = await node.snapshot();
    expect({ ...after, 'var/lib/oci-connector/install/oke': '' }).toEqual({
      ...before,
      'var/lib/oci-connector/install/oke': '',
    });
    expect((await node.okeRuns()).at(-1)).toEqual(['--kubelet-extra-args', `--v=2 ${binFlag} ${configFlag}`]);
  });
});

describe('what comes with it', () => {
  test.each([
    ['v1.34.0', true],
    ['v1.35.4', true],
    ['v1.33.5', false],
  ])('kubelet %s is told of pods’ own tokens: %s', async (version, isTold) => {
    await using node = await makeNodeFiles();
    const env = { OCI_CONNECTOR_ADDRESS: 'localhost:7450', OCI_CONNECTOR_KUBELET_VERSION: version };
    const { code, stderr } = await node.install([], env);
    expect(code).toBe(0);
    const pod = (await providersOf(node)).find(({ name }) => name === 'oci-connector-credential-provider-pod');
    expect(pod?.matchImages).toEqual(isTold ? ['localhost:7450'] : undefined);
    expect(pod?.tokenAttributes).toEqual(
      isTold
        ? { serviceAccountTokenAudience: 'oci-connector', cacheType: 'Token', requireServiceAccount: true }
        : undefined,
    );
    expect(stderr.includes('hands over no tokens')).toBe(!isTold);
  });

  test('the provider’s configuration is the administrator’s, who may also have put it there before', async () => {
    await using node = await makeNodeFiles();
    const config = '/etc/oci-connector/credential-provider.yaml';
    const text =
      'imagePullSecrets:\n- secretType: VAULT\n  registryEndpoint: registry.example.com\n  secretId: ocid1.x';
    await node.install([], { OCI_CONNECTOR_CONFIG: text });
    expect((await node.snapshot())[config.slice(1)]).toBe(`600 ${text}\n`);
    await node.write(config, 'timeout: 5s\n', 0o600);
    const { stderr } = await node.install([], { OCI_CONNECTOR_CONFIG: text });
    expect(stderr).toContain('somebody else');
    expect(await node.read(config)).toBe('timeout: 5s\n');
    await node.install(['--uninstall']);
    expect(await node.read(config)).toBe('timeout: 5s\n');
  });

  test('what is written without a configuration is one that the provider takes, and so are those of the guide', async () => {
    await using node = await makeNodeFiles();
    const guide = await readFile(join(import.meta.dirname, '../../docs/guides/oracle.md'), 'utf8');
    const [ours = ''] = guide.split('\n## Connectors\n');
    const blocks = [...ours.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text);
    expect(blocks).toHaveLength(2);
    const env = { OCI_CONNECTOR_ADDRESS: 'localhost:7450', OCI_CONNECTOR_KUBELET_VERSION: 'v1.35.0' };
    for (const settings of [{}, env]) {
      await node.install([], settings);
      blocks.push(await node.read('/etc/oci-connector/credential-provider.yaml'));
    }
    for (const text of blocks) expect(parseConfiguration(text, 'file.yaml')).toMatchObject({ ok: true });
  });

  test('the guide has the provider for pods’ own tokens as the script writes it, for who writes it by hand', async () => {
    await using node = await makeNodeFiles();
    await node.install([], { OCI_CONNECTOR_ADDRESS: 'localhost:7450' });
    const written = (await providersOf(node)).find(({ name }) => name === 'oci-connector-credential-provider-pod');
    const guide = await readFile(join(import.meta.dirname, '../../docs/guides/oracle.md'), 'utf8');
    const [, block = ''] = /\n( {4}- name: oci-connector-credential-provider-pod\n(?: {6}.*\n)+)/.exec(guide) ?? [];
    expect(parse(block)).toEqual([written]);
    expect(written?.tokenAttributes).toHaveProperty('cacheType', 'Token');
  });

  test('CRI-O is told that the agent of the node speaks plain HTTP', async () => {
    await using node = await makeNodeFiles();
    await node.write('/etc/crio/crio.conf', '');
    await node.setActive('crio', true);
    const before = await node.snapshot();
    await node.install();
    const shipped = await readFile(join(installScript, '../50-oci-connector.conf'), 'utf8');
    expect(await node.read('/etc/containers/registries.conf.d/50-oci-connector.conf')).toBe(shipped);
    expect(await node.services()).toEqual(['reload crio']);
    await node.install(['--uninstall']);
    expect(await node.snapshot()).toEqual(before);
    expect(await node.services()).toEqual(['reload crio', 'reload crio']);
  });

  test('CRI-O is told of the address that pods pull from', async () => {
    await using node = await makeNodeFiles();
    const path = '/etc/containers/registries.conf.d/50-oci-connector.conf';
    await node.install(['--crio'], { OCI_CONNECTOR_ADDRESS: 'localhost:17450' });
    const shipped = await readFile(join(installScript, '../50-oci-connector.conf'), 'utf8');
    expect(await node.read(path)).toBe(shipped.replace('localhost:7450', 'localhost:17450'));
  });

  test('the drop-in comes without CRI-O where it is asked for, and else does not', async () => {
    await using node = await makeNodeFiles();
    const dropIn = 'etc/containers/registries.conf.d/50-oci-connector.conf';
    await node.install();
    expect(await node.snapshot()).not.toHaveProperty([dropIn]);
    await node.install(['--crio']);
    expect(await node.snapshot()).toHaveProperty([dropIn]);
  });

  test('a dry run says what it would do, and does nothing', async () => {
    await using node = await makeNodeFiles();
    const { code, stderr } = await node.install(['--dry-run', '--kubelet-extra-args', '--v=4']);
    expect(code).toBe(0);
    expect(stderr).toContain(`would write ${installed}`);
    expect(stderr).toContain(`--kubelet-extra-args --v=4 ${binFlag} ${configFlag}`);
    expect(await node.snapshot()).toEqual({});
    expect(await node.okeRuns()).toEqual([]);
  });

  test('uninstalling puts everything back, and OKE’s init runs with the flags that were there', async () => {
    await using node = await makeNodeFiles();
    await node.write('/usr/local/bin/oci-connector-credential-provider', 'an older one', 0o700);
    await node.write('/etc/oci-connector/other', 'x');
    const before = await node.snapshot();
    const flags = '--image-credential-provider-bin-dir=/usr/local/bin --v=4';
    await node.install(['--kubelet-extra-args', flags, '--cluster-dns', '10.0.0.10']);
    expect(await node.read('/usr/local/bin/oci-connector-credential-provider')).toBe(executable);
    const dry = await node.install(['--uninstall', '--dry-run']);
    expect(dry.stderr).toContain('would put back /usr/local/bin/');
    expect(await node.install(['--uninstall'])).toMatchObject({ code: 0 });
    expect(await node.snapshot()).toEqual(before);
    expect((await node.okeRuns()).at(-1)).toEqual(['--cluster-dns', '10.0.0.10', '--kubelet-extra-args', flags]);
    expect(await node.install(['--uninstall'])).toMatchObject({ code: 0 });
  });

  test('uninstalling removes nothing where OKE’s init fails, for the kubelet would not start', async () => {
    await using node = await makeNodeFiles();
    await node.install();
    const before = await node.snapshot();
    expect(await node.install(['--uninstall'], { OKE_EXIT: '1' })).toMatchObject({ code: 1 });
    expect(await node.snapshot()).toEqual(before);
  });

  test('packed into user data it is small enough for an instance, and does the same', async () => {
    await using node = await makeNodeFiles();
    const make = join(installScript, '../user-data.sh');
    const env = { ...node.environment, OCI_CONNECTOR_CONFIG: "timeout: '5s'\n# two lines" };
    const { stdout } = await runProgram('/bin/bash', [make, '--kubelet-extra-args', '--v=4 --a="b c"'], { env });
    expect(Buffer.from(stdout).toString('base64').length).toBeLessThan(24_000);
    await node.write('/user-data', stdout);
    const { PATH = '', FAKES = '' } = node.environment;
    const { code } = await runProgram('/bin/bash', [join(node.root, 'user-data')], { env: { PATH, FAKES } });
    expect(code).toBe(0);
    expect(await node.okeRuns()).toEqual([['--kubelet-extra-args', `--v=4 --a="b c" ${binFlag} ${configFlag}`]]);
    expect(await node.read('/etc/oci-connector/credential-provider.yaml')).toBe("timeout: '5s'\n# two lines\n");
  });

  test('a shell that is not bash is refused before anything else', async () => {
    await using node = await makeNodeFiles();
    const { code, stderr } = await runProgram('/bin/sh', [installScript], { env: { OCI_CONNECTOR_ROOT: node.root } });
    expect(code).toBe(1);
    expect(stderr).toContain('bash');
  });
});

/** As the kubelet matches hosts: as many components, each by its glob. */
function globMatches(glob: string, host: string): boolean {
  const [globs, parts] = [glob.split('.'), host.split('.')];
  const isMatch = (pattern: string, part: string) => new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(part);
  return globs.length === parts.length && globs.every((pattern, index) => isMatch(pattern, parts[index] ?? ''));
}
