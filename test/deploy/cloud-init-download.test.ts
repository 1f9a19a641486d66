import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeSelfSigned } from '../support/certificate.ts';
import { executable, makeNodeFiles, type NodeFiles, sha256 } from './support/node-files.ts';

const installed = '/opt/oci-connector/bin/oci-connector-credential-provider';
const binary = '/files/oci-connector-credential-provider-linux-amd64';

/** A server whose certificate curl trusts with `env`: `/plain/…` leads to the node's server, `/tls/…` to itself. */
async function startTlsServer(node: NodeFiles) {
  const { key, cert } = makeSelfSigned();
  const server = createServer({ key, cert }, (request, response) => {
    const { port } = server.address() as AddressInfo;
    const [, kind, ...path] = (request.url ?? '').split('/');
    const targets: Record<string, string> = { plain: node.url, tls: `https://127.0.0.1:${port}` };
    const target = targets[kind ?? ''];
    if (target !== undefined) response.writeHead(302, { location: `${target}/${path.join('/')}` }).end();
    else response.end(kind === 'sums' ? sha256(executable) : executable);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await node.write('/ca.pem', cert);
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    env: { CURL_CA_BUNDLE: join(node.root, 'ca.pem'), OCI_CONNECTOR_ATTEMPTS: '1' },
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const isFile = (path: string) => path.startsWith('/files/') || path.startsWith('/sums');

describe('what install.sh fetches', () => {
  test.each([
    ['plain HTTP', (url: string) => `${url}/sums`],
    ['plain HTTP in capitals', (url: string) => `${url.toUpperCase()}/sums`],
    ['a URL without a scheme', (url: string) => `${url.replace('http://', '')}/sums`],
  ])('is no checksum by %s, for whoever is on the way would write it', async (_, urlOf) => {
    await using node = await makeNodeFiles();
    node.answers.set('/sums', sha256(executable));
    const env = { OCI_CONNECTOR_SHA256_AMD64: '', OCI_CONNECTOR_SHA256_URL: urlOf(node.url) };
    const { code, stderr } = await node.install([], env);
    expect(code).toBe(1);
    expect(stderr).toMatch(/OCI_CONNECTOR_SHA256_URL.*https:.*OCI_CONNECTOR_SHA256_AMD64/);
    expect(node.asked.filter(isFile)).toEqual([]);
  });

  test('may be a checksum in a file of the node', async () => {
    await using node = await makeNodeFiles();
    await node.write('/run/sums', sha256(executable));
    const url = `file://${encodeURI(join(node.root, 'run/sums'))}`;
    const env = { OCI_CONNECTOR_SHA256_AMD64: '', OCI_CONNECTOR_SHA256_URL: url };
    expect(await node.install([], env)).toMatchObject({ code: 0 });
    expect(await node.read(installed)).toBe(executable);
  });

  test('follows redirects from HTTPS to HTTPS', async () => {
    await using node = await makeNodeFiles();
    await using tls = await startTlsServer(node);
    const env = {
      ...tls.env,
      OCI_CONNECTOR_URL: `${tls.url}/tls/executable`,
      OCI_CONNECTOR_SHA256_AMD64: '',
      OCI_CONNECTOR_SHA256_URL: `${tls.url}/tls/sums`,
    };
    expect(await node.install([], env)).toMatchObject({ code: 0 });
    expect(await node.read(installed)).toBe(executable);
  });

  test.each([
    ['executable', (url: string) => ({ OCI_CONNECTOR_URL: `${url}/plain${binary}` })],
    ['checksum', (url: string) => ({ OCI_CONNECTOR_SHA256_AMD64: '', OCI_CONNECTOR_SHA256_URL: `${url}/plain/sums` })],
    [
      'checksum, in a test too',
      (url: string) => ({
        OCI_CONNECTOR_ALLOW_HTTP: 'true',
        OCI_CONNECTOR_SHA256_AMD64: '',
        OCI_CONNECTOR_SHA256_URL: `${url}/plain/sums`,
      }),
    ],
  ])('follows no redirect from HTTPS to HTTP: %s', async (_, envOf) => {
    await using node = await makeNodeFiles();
    await using tls = await startTlsServer(node);
    node.answers.set('/sums', sha256(executable));
    const { code, stderr } = await node.install([], { ...tls.env, ...envOf(tls.url) });
    expect(code).toBe(1);
    expect(stderr).toContain('exit code 1 of curl');
    expect(node.asked.filter(isFile)).toEqual([]);
  });

  test('is in no program’s arguments, which everybody on the node reads', async () => {
    await using node = await makeNodeFiles();
    await node.fake('curl', '#!/bin/sh\nprintf "%s\\n" "$@" >>"$FAKES/arguments"\nexec /usr/bin/curl "$@"\n');
    const env = {
      OCI_CONNECTOR_ALLOW_HTTP: 'true',
      OCI_CONNECTOR_SHA256_AMD64: '',
      OCI_CONNECTOR_SHA256_URL: `${node.url}/sums`,
    };
    node.answers.set('/sums', sha256(executable));
    expect(await node.install([], env)).toMatchObject({ code: 0 });
    expect(node.asked.filter(isFile)).toHaveLength(2);
    const given = await readFile(join(node.environment['FAKES'] ?? '', 'arguments'), 'utf8');
    expect(given).toContain('--max-time');
    expect(given).not.toContain(node.url);
  });

  test('may have any printable character in its URL', async () => {
    await using node = await makeNodeFiles();
    const path = String.raw`/p/a"b\n\\c'$(d)#"`;
    node.answers.set(path.replace(/#.*/, ''), executable);
    expect(await node.install([], { OCI_CONNECTOR_URL: `${node.url}${path}` })).toMatchObject({ code: 0 });
    expect(await node.read(installed)).toBe(executable);
  });

  test.each(['\n', '\r', '\t', '\u007f'])('has no control character in its URL: %j', async (character) => {
    await using node = await makeNodeFiles();
    const url = `${node.url}${binary}${character}output = "${join(node.root, 'written')}"`;
    const { code, stderr } = await node.install([], { OCI_CONNECTOR_URL: url });
    expect(code).toBe(1);
    expect(stderr).toContain('control character');
    expect(node.asked.filter(isFile)).toEqual([]);
    expect(await node.snapshot()).toEqual({});
  });

  test('says nothing of a user and a password in a URL', async () => {
    await using node = await makeNodeFiles();
    const url = node.url.replace('http://', 'http://robot:hidden@');
    const { stderr } = await node.install([], { OCI_CONNECTOR_URL: `${url}/nothing` });
    expect(stderr).toContain(`${node.url}: HTTP status 404`);
    expect(stderr).not.toMatch(/robot|hidden/);
  });
});

test('no file stands with more rights than it is to have, not for a moment', async () => {
  await using node = await makeNodeFiles();
  const record = `#!/bin/sh\n[ -d "$2" ] || printf '%s %s\\n' "$(stat -c %a "$2")" "\${2##*/}" >>"$FAKES/modes"\n`;
  await node.fake('chmod', `${record}exec /bin/chmod "$@"\n`);
  const secret = 'imagePullSecrets:\n- secretType: BASIC\n  registryEndpoint: r.example.com\n  password: c2VjcmV0';
  expect(await node.install([], { OCI_CONNECTOR_CONFIG: secret })).toMatchObject({ code: 0 });
  const modes = (await readFile(join(node.environment['FAKES'] ?? '', 'modes'), 'utf8')).trimEnd().split('\n');
  expect(modes).toContain('600 .credential-provider.yaml.oci-connector');
  expect(modes.filter((line) => !/^[67]00 /.test(line))).toEqual([]);
});

test.each([
  [
    'a library that Node needs and small systems have not',
    'error while loading shared libraries: libatomic.so.1: cannot open shared object file',
    /dnf install libatomic\b.*apt-get install libatomic1\b/,
  ],
  ['anything else', "/lib64/libc.so.6: version 'GLIBC_2.28' not found", /does not run.*GLIBC_2\.28/],
])('an executable that does not run says what is missing: %s', async (_, reason, expected) => {
  await using node = await makeNodeFiles();
  const broken = `#!/bin/sh\necho "${reason}" >&2\nexit 127\n`;
  node.answers.set(binary, broken);
  const { code, stderr } = await node.install([], { OCI_CONNECTOR_SHA256_AMD64: sha256(broken) });
  expect(code).toBe(1);
  expect(stderr).toMatch(expected);
  expect(stderr.includes('dnf install')).toBe(reason.includes('libatomic'));
  expect(await node.snapshot()).toEqual({});
});
