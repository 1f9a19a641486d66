import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { makeImage, makeIndex, type OciContent } from '../support/image.ts';
import { makeSelfSigned } from './support/certificate.ts';
import { type ClientHome, makeClientHome } from './support/clients.ts';
import { type Containerd, startContainerd } from './support/containerd.ts';
import {
  type RealRegistry,
  type RealRegistryOptions,
  type RegistryPart,
  registryParts,
  startRegistry,
} from './support/distribution.ts';
import { readOciLayout, writeOciLayout } from './support/oci-layout.ts';
import { requireParts } from './support/parts.ts';
import { type ProgramResult, runProgram } from './support/program.ts';
import { askReferenceOracle } from './support/reference-oracle.ts';
import { pushContent } from './support/seed.ts';
import { startServer } from './support/server-process.ts';
import { startTokenIssuer, type TokenIssuer } from './support/token-issuer.ts';

const support = join(import.meta.dirname, 'support');
const credential = { username: 'robot', password: 'a:pass/word' };
const wrongCredential = { ...credential, password: 'guess' };
const image = makeImage({ layerBytes: 64 * 1024, seed: 'harness' });
const contents: Readonly<Record<string, OciContent>> = { image, index: makeIndex() };

interface Client {
  readonly name: 'crane' | 'skopeo';
  push(home: ClientHome, layout: string, reference: string): Promise<ProgramResult>;
  pull(home: ClientHome, reference: string, layout: string): Promise<ProgramResult>;
}

const clients: readonly Client[] = [
  {
    name: 'crane',
    push: (home, layout, reference) => home.run('crane', ['push', layout, reference]),
    pull: (home, reference, layout) => home.run('crane', ['pull', '--format=oci', reference, layout]),
  },
  {
    name: 'skopeo',
    push: (home, layout, reference) =>
      home.run('skopeo', ['copy', '--all', '--dest-tls-verify=false', `oci:${layout}:seed`, `docker://${reference}`]),
    pull: (home, reference, layout) =>
      home.run('skopeo', ['copy', '--all', '--src-tls-verify=false', `docker://${reference}`, `oci:${layout}:seed`]),
  },
];

describe.each(registryParts)('%s', (part) => {
  requireParts(part, 'crane', 'skopeo')('behind a token issuer', () => testClients(part));
  requireParts(
    part,
    'crane',
    'containerd',
    'ctr',
    'unshare',
  )('behind a token issuer, with containerd', () => testContainerd(part));
  requireParts(part, 'crane', 'htpasswd')('with its other settings', () => testSettings(part));
});

function testClients(part: RegistryPart): void {
  let issuer: TokenIssuer;
  let registry: RealRegistry;
  let member: ClientHome;
  let stranger: ClientHome;

  beforeAll(async () => {
    issuer = await startTokenIssuer({ credential });
    registry = await startRegistry(part, { access: { issuer } });
    member = await makeClientHome();
    stranger = await makeClientHome();
    await member.logIn({ [registry.host]: credential });
    await pushContent(member, image, `${registry.host}/team/app:v1`);
  });

  afterAll(async () => {
    await Promise.all([registry?.stop(), issuer?.close(), member?.close(), stranger?.close()]);
  });

  describe.each(clients)('$name', (client) => {
    test.each(Object.entries(contents))('pushes and pulls an %s with the credential', async (kind, content) => {
      const reference = `${registry.host}/by-${client.name}/${kind}:v1`;
      const source = await mkdtemp(join(member.folder, 'source-'));
      const target = join(await mkdtemp(join(member.folder, 'target-')), 'layout');
      await writeOciLayout(source, content, 'seed');
      expect(await client.push(member, source, reference)).toMatchObject({ code: 0 });
      expect(await client.pull(member, reference, target)).toMatchObject({ code: 0 });
      expect([...(await readOciLayout(target))]).toEqual(expect.arrayContaining(digestsOf(content)));
    });

    test('is refused without a credential', async () => {
      const before = (await registry.requests()).length;
      const result = await client.pull(stranger, `${registry.host}/team/app:v1`, join(stranger.folder, client.name));
      expect(result.code).not.toBe(0);
      expect(result.stderr).toMatch(/unauthorized|authentication required/i);
      const requests = (await registry.requests()).slice(before);
      expect(requests).not.toEqual([]);
      expect(requests.filter(({ isAuthorized, status }) => isAuthorized || status !== 401)).toEqual([]);
    });
  });

  test('a push is refused without a credential', async () => {
    await expect(pushContent(stranger, image, `${registry.host}/team/stolen:v1`)).rejects.toThrow(/unauthorized/i);
  });

  test('a wrong password gets no token', async () => {
    const home = await startHome();
    await home.logIn({ [registry.host]: wrongCredential });
    const before = issuer.requests.length;
    expect((await home.run('crane', ['manifest', `${registry.host}/team/app:v1`])).code).not.toBe(0);
    expect(issuer.requests.slice(before)).toMatchObject([{ status: 401, access: [] }]);
  });

  test('the log tells which requests carried an accepted token, and the issuer what each was for', async () => {
    const before = { requests: (await registry.requests()).length, tokens: issuer.requests.length };
    await member.mustRun('crane', ['manifest', `${registry.host}/team/app:v1`]);
    const requests = (await registry.requests()).slice(before.requests);
    expect(requests).toMatchObject([
      { method: 'GET', uri: '/v2/', status: 401, isAuthorized: false, refusal: 'authorization token required' },
      { method: 'GET', uri: '/v2/team/app/manifests/v1', status: 200, isAuthorized: true },
    ]);
    expect(requests[1]?.user).toBe(part === 'registry' ? credential.username : undefined);
    expect(issuer.requests.slice(before.tokens)).toMatchObject([
      { method: 'GET', status: 200, access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }] },
    ]);
  });

  test('a caller without a credential may pull, and not push, while the issuer lets him', async () => {
    onTestFinished(() => issuer.setAnonymous('refused'));
    issuer.setAnonymous('pull');
    await stranger.mustRun('crane', ['manifest', `${registry.host}/team/app:v1`]);
    await expect(pushContent(stranger, image, `${registry.host}/team/stolen:v1`)).rejects.toThrow(/unauthorized/i);
  });
}

function testContainerd(part: RegistryPart): void {
  let issuer: TokenIssuer;
  let registry: RealRegistry;
  let home: ClientHome;
  let containerd: Containerd;

  beforeAll(async () => {
    issuer = await startTokenIssuer({ credential });
    registry = await startRegistry(part, { access: { issuer } });
    home = await makeClientHome();
    containerd = await startContainerd();
    await home.logIn({ [registry.host]: credential });
    await pushContent(home, image, `${registry.host}/team/app:v1`);
  });

  afterAll(async () => {
    await Promise.all([containerd?.stop(), registry?.stop(), issuer?.close(), home?.close()]);
  });

  test('ctr is refused without a credential, and pulls and unpacks the image with it', async () => {
    const reference = `${registry.host}/team/app:v1`;
    expect((await containerd.pull(reference)).stderr).toMatch(/401 Unauthorized/);
    expect(await containerd.digests()).toEqual([]);
    expect(await containerd.pull(reference, { credential })).toMatchObject({ code: 0 });
    expect(await containerd.unpackedImages()).toEqual([reference]);
    expect((await containerd.digests()).sort()).toEqual(digestsOf(image).sort());
  });
}

function testSettings(part: RegistryPart): void {
  test('Basic takes the right password only', async () => {
    const registry = await start(part, { access: { basic: credential } });
    const home = await startHome();
    const reference = `${registry.host}/team/app:v1`;
    await home.logIn({ [registry.host]: credential });
    await pushContent(home, image, reference);
    await home.logIn({ [registry.host]: wrongCredential });
    expect((await home.run('crane', ['manifest', reference])).stderr).toMatch(/unauthorized/i);
  });

  test('TLS is served with the certificate that was given', async () => {
    const tls = await makeSelfSigned(['localhost', '127.0.0.1']);
    const registry = await start(part, { tls });
    const home = await startHome();
    const authority = join(home.folder, 'ca.pem');
    await writeFile(authority, tls.certificatePem);
    expect(registry.origin).toBe(`https://${registry.host}`);
    await home.mustRun('crane', ['catalog', registry.host], { env: { SSL_CERT_FILE: authority } });
    expect((await home.run('crane', ['catalog', registry.host])).code).not.toBe(0);
    expect(await registry.requests()).toMatchObject([{ uri: '/v2/' }, { uri: expect.stringMatching('/v2/_catalog') }]);
  });

  test.each([
    [false, 405],
    [true, 202],
  ])('with isDeleteEnabled %s a DELETE is answered by %i', async (isDeleteEnabled, status) => {
    const registry = await start(part, { isDeleteEnabled });
    await pushContent(await startHome(), image, `${registry.host}/team/app:v1`);
    const url = `${registry.origin}/v2/team/app/manifests/${image.digest}`;
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(status);
  });

  test('a registry that cannot start says why, and one that is stopped is gone', async () => {
    const tls = { certificatePem: 'no certificate', keyPem: 'no key' };
    await expect(startRegistry(part, { tls })).rejects.toThrow(/failed to find any PEM data/);
    const registry = await start(part);
    await registry.stop();
    expect(() => process.kill(registry.pid, 0)).toThrow(/ESRCH/);
  });
}

requireParts('reference')('the reference oracle', () => {
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
  const nginx = {
    domain: 'docker.io',
    path: 'library/nginx',
    familiar: 'nginx',
    dockerRef: 'docker.io/library/nginx:latest',
  };

  test('answers for each reference in turn, with its parts or with what is wrong', async () => {
    const answers = await askReferenceOracle(['nginx', `localhost:5000/a:v1@${digest}`, 'Nginx', '', 'a\nb\u{1f600}']);
    expect(answers).toEqual([
      { ok: true, ...nginx, tag: '', digest: '', normalized: 'docker.io/library/nginx' },
      {
        ok: true,
        domain: 'localhost:5000',
        path: 'a',
        tag: 'v1',
        digest,
        normalized: `localhost:5000/a:v1@${digest}`,
        familiar: `localhost:5000/a:v1@${digest}`,
        dockerRef: `localhost:5000/a@${digest}`,
      },
      { ok: false, error: expect.stringContaining('must be lowercase') },
      { ok: false, error: 'invalid reference format' },
      { ok: false, error: 'invalid reference format' },
    ]);
  });
});

requireParts('setpriv')('a server', () => {
  test('ends with the process that started it, even where that is killed', async () => {
    const server = `require('node:http').createServer().listen(0, '127.0.0.1', function () { console.log(this.address().port); })`;
    const env = { PATH: process.env['PATH'] ?? '' };
    const starter = `
import { startServer } from '${support}/server-process.ts';
const server = await startServer(process.execPath, ['-e', ${JSON.stringify(server)}], { env: {} });
console.log(await server.waitFor((line) => line));
`;
    const parent = await startServer(process.execPath, ['--input-type=module', '-e', starter], { env });
    const port = Number(await parent.waitFor((line) => line));
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    // `once` would reject on the reset that may come first.
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    process.kill(parent.pid, 'SIGKILL');
    await closed;
    await parent.stop();
  });
});

describe('on a machine that lacks a part', () => {
  const root = join(import.meta.dirname, '../..');
  const suite = `
import { expect, test } from 'vitest';
import { requireParts } from '${support}/parts.ts';
requireParts('crane')('suite of crane', () => test('pulls', () => expect(1).toBe(1)));
`;

  async function runSuite(ci: string): Promise<ProgramResult> {
    const folder = await mkdtemp(join(tmpdir(), 'parts-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'one.test.ts'), suite);
    const reporters = ['--reporter=default', `--reporter=${support}/missing-parts-reporter.ts`];
    const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--root', folder, ...reporters];
    const env = { PATH: process.env['PATH'] ?? '', NO_COLOR: '1', CI: ci, OCI_CONNECTOR_TOOLS: join(folder, 'none') };
    return runProgram(process.execPath, args, { env });
  }

  test('a suite is skipped, and named at the end of the run with the way to get the part', async () => {
    const { code, stdout } = await runSuite('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Tests {2}1 skipped/);
    expect(stdout.trimEnd()).toMatch(
      /NOT RUN.*\n.*one\.test\.ts > suite of crane \(lacks crane\)\n.*\n.* crane: node test\/tools\/build\.ts crane$/,
    );
  });

  test('the run fails in CI, and says which part is missing and how to get it', async () => {
    const { code, stdout, stderr } = await runSuite('true');
    expect(code).toBe(1);
    expect(stdout).toMatch(/Tests {2}1 failed/);
    expect(stderr).toContain('the real part crane is missing: node test/tools/build.ts crane');
  });
});

function digestsOf(content: OciContent): string[] {
  return [...content.manifests.keys(), ...content.blobs.keys()];
}

/** A registry for one test. */
async function start(part: RegistryPart, options?: RealRegistryOptions): Promise<RealRegistry> {
  const registry = await startRegistry(part, options);
  onTestFinished(() => registry.stop());
  return registry;
}

async function startHome(): Promise<ClientHome> {
  const home = await makeClientHome();
  onTestFinished(() => home.close());
  return home;
}
