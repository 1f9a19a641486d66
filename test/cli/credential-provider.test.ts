import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { build } from 'esbuild';
import { describe, expect, onTestFinished, test } from 'vitest';
import { memoryFolder } from '../kubelet/memory-folder.ts';
import { jwt, leadTo, leftBy, startCloud, tokenCalls } from '../kubelet/oracle-node.ts';
import { group, requestText } from '../kubelet/requests.ts';
import { answerOf, makeNode } from '../kubelet/run-provider.ts';
import { makeImage } from '../support/image.ts';
import { startRegistry } from '../support/registry.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
/** In one file for each chunk: two processors have no room for 50 that strip types from each of theirs first. */
async function bundle(): Promise<string> {
  const caches = join(import.meta.dirname, '../../node_modules/.cache');
  mkdirSync(caches, { recursive: true });
  // Where the packages are found.
  const outdir = mkdtempSync(join(caches, 'credential-provider-'));
  onTestFinished(() => rmSync(outdir, { recursive: true }));
  await build({
    entryPoints: [join(import.meta.dirname, '../../cli/credential-provider.ts')],
    outdir,
    bundle: true,
    splitting: true,
    external: ['oci-common', 'oci-secrets'],
    platform: 'node',
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  });
  return join(outdir, 'credential-provider.mjs');
}

describe('for OCIR', () => {
  test('the principal’s token is answered once, and by others from the cache, which loads nothing', async () => {
    const cloud = await startCloud();
    const node = await makeNode(memoryFolder(), leadTo(cloud));
    const image = `${cloud.registryHost}/team/app`;
    const first = await node.run(requestText(image));
    const answer = answerOf(first);
    expect(answer).toMatchObject({
      apiVersion: `${group}/v1`,
      kind: 'CredentialProviderResponse',
      cacheKeyType: 'Registry',
      cacheDuration: expect.stringMatching(/^5[89]m\d+s$/),
      auth: { [cloud.registryHost]: { username: 'BEARER_TOKEN' } },
    });
    expect(cloud.isValidToken(answer.auth[cloud.registryHost]?.password ?? '')).toBe(true);
    const loaded = join(node.cacheDir, '..', 'loaded');
    const spy = `import { registerHooks } from 'node:module'; import { appendFileSync } from 'node:fs';
      registerHooks({ load: (url, context, next) => { appendFileSync(${JSON.stringify(loaded)}, url + '\\n'); return next(url, context); } });`;
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(spy)}` };
    const second = await node.run(requestText(`${cloud.registryHost}/another/app`), env);
    expect(answerOf(second).auth).toEqual(answer.auth);
    expect(tokenCalls(cloud)).toBe(1);
    expect(node.log().at(-1)).toMatchObject({ msg: 'answered', cached: true, keys: [cloud.registryHost] });
    const files = readFileSync(loaded, 'utf8');
    expect(files).toContain('/kubelet/cache.ts');
    expect(files).not.toMatch(/node_modules|credential-provider-parts|configuration\.ts/);
    for (const canary of cloud.canaries()) expect(leftBy(node, first, second)).not.toContain(canary);
    expect(statSync(node.cacheDir).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(node.cacheDir)) {
      expect(statSync(join(node.cacheDir, name)).mode & 0o777).toBe(0o600);
    }
  });

  test('50 at once make one token call', { timeout: 180_000 }, async () => {
    const cloud = await startCloud();
    const node = await makeNode(memoryFolder(), { ...leadTo(cloud), timeout: '55s' }, await bundle());
    // As on a node that has pulled before: configuration and compiled code are there.
    const env = { NODE_COMPILE_CACHE: join(node.cacheDir, '..', 'compiled') };
    await node.run(requestText('a.io/b'), env);
    const images = Array.from({ length: 50 }, (_, at) => `${cloud.registryHost}/team/app-${at}`);
    const runs = images.map((image) => node.run(requestText(image), env));
    const answers = (await Promise.all(runs)).map(answerOf);
    expect(new Set(answers.map(({ auth }) => JSON.stringify(auth))).size).toBe(1);
    expect(tokenCalls(cloud)).toBe(1);
  });

  test.each(['v1beta1', 'v1alpha1'])('a request of %s is answered in kind', async (version) => {
    const node = await makeNode(memoryFolder());
    const apiVersion = `${group}/${version}`;
    expect(answerOf(await node.run(requestText('a.io/b', { apiVersion })))).toMatchObject({ apiVersion, auth: {} });
  });

  test('with validation, a token that policy does not let pull is no answer, and the log names the policy', async () => {
    const cloud = await startCloud();
    cloud.registry.deny('team/secret');
    const node = await makeNode(memoryFolder(), { ...leadTo(cloud), tokenValidation: 'enabled' });
    const denied = await node.run(requestText(`${cloud.registryHost}/team/secret`));
    expect(denied).toMatchObject({ code: 1, stdout: '' });
    const policy = 'Allow dynamic-group <domain>/<group> to read repos in compartment';
    expect(denied.stderr).toContain(policy);
    expect(node.log().at(-1)).toMatchObject({ level: 'error', reason: expect.stringContaining(policy) });
    const allowed = await node.run(requestText(`${cloud.registryHost}/team/app`));
    expect(answerOf(allowed).cacheKeyType).toBe('Image');
    for (const canary of cloud.canaries()) expect(leftBy(node, denied, allowed)).not.toContain(canary);
  });

  test('a step that does not answer is named, in time', { timeout: 60_000 }, async () => {
    const cloud = await startCloud();
    cloud.federation.misbehave({ kind: 'hang' });
    const node = await makeNode(memoryFolder(), { ...leadTo(cloud), timeout: '30s' });
    const ended = await node.run(requestText(`${cloud.registryHost}/team/app`));
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(/federation/);
  });

  test('what libraries print never reaches standard output, nor the log with a secret', async () => {
    const cloud = await startCloud();
    cloud.federation.misbehave({ kind: 'answer', status: 500 }, { times: 1 });
    const node = await makeNode(memoryFolder(), { ...leadTo(cloud) });
    const noisy = `process.stdin.on('end', () => {
      console.log('{"noise":1}'); console.info('noise'); console.error('noise'); console.table([1]);
      process.stdout.write('noise c4n4ry-l0ng-t0k3n-of-somebody-else');
      setInterval(() => console.log('noise'), 1);
    });`;
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(noisy)}` };
    const input = requestText(`${cloud.registryHost}/team/app`);
    const ended = await node.start({ input, env, isSocket: true }).ended;
    expect(answerOf(ended).auth).toHaveProperty([cloud.registryHost]);
    expect(leftBy(node)).toContain('noise');
    expect(leftBy(node, ended)).not.toContain('c4n4ry');
  });
});

describe('of another invocation that asks the same', () => {
  /** One that has its turn, and asks for a token that does not come. */
  async function startHolder(timeout: string) {
    const cloud = await startCloud();
    cloud.registryService.misbehave({ kind: 'hang' }, { path: /token/, times: 1 });
    const node = await makeNode(memoryFolder(), { ...leadTo(cloud), timeout });
    const input = requestText(`${cloud.registryHost}/team/app`);
    const holder = node.start({ input, isSocket: true });
    await cloud.registryService.arrivals(1);
    return { cloud, node, input, holder };
  }

  test('which is stopped, nobody waits longer than a part of his time', { timeout: 60_000 }, async () => {
    const { node, input, holder } = await startHolder('30s');
    holder.child.kill('SIGSTOP');
    expect(Object.keys(answerOf(await node.run(input)).auth)).toHaveLength(1);
    holder.child.kill('SIGKILL');
    await holder.ended;
  });

  test('which is killed, nothing is left behind', async () => {
    const { node, input, holder } = await startHolder('55s');
    const next = node.start({ input });
    holder.child.kill('SIGKILL');
    expect(Object.keys(answerOf(await next.ended).auth)).toHaveLength(1);
    expect(await holder.ended).toMatchObject({ code: null, stdout: '' });
  });
});

describe('for entries of the configuration', () => {
  test.each([
    ['abc/one', ['abc', 'one']],
    ['abc/two', ['abc', 'two']],
  ])('%s of the documented example gets the secrets %j of the vault', async (repository, names) => {
    const cloud = await startCloud();
    for (const name of ['abc', 'one', 'two']) {
      cloud.putLogin(`ocid1.vaultsecret.${name}`, { username: name, password: `c4n4ry-${name}`, more: 'ignored' });
    }
    const imagePullSecrets = ['abc', 'abc/one', 'abc/two'].map((path) => ({
      secretType: 'VAULT',
      registryEndpoint: `example.registry.io/${path}`,
      secretId: `ocid1.vaultsecret.${path.split('/').at(-1)}`,
    }));
    const node = await makeNode(memoryFolder(), { ...leadTo(cloud), imagePullSecrets });
    const ended = await node.run(requestText(`example.registry.io/${repository}`));
    expect(Object.values(answerOf(ended).auth)).toEqual(
      names.map((username) => ({ username, password: `c4n4ry-${username}` })),
    );
    for (const canary of cloud.canaries()) expect(leftBy(node, ended)).not.toContain(canary);
  });

  test('of three that share a key, the one that the registry takes is answered', async () => {
    const auth = { kind: 'token', username: 'user', password: 'c4n4ry-three' } as const;
    const registry = await startRegistry({ auth });
    onTestFinished(() => registry.close());
    registry.seed('team/app', makeImage(), ['v1']);
    const imagePullSecrets = ['one', 'two', 'three'].map((name) => ({
      secretType: 'BASIC',
      registryEndpoint: registry.authority,
      username: base64('user'),
      password: base64(`c4n4ry-${name}`),
    }));
    const node = await makeNode(memoryFolder(), { imagePullSecrets, registryProtocol: 'http' });
    const ended = await node.run(requestText(`${registry.authority}/team/app`));
    expect(answerOf(ended)).toMatchObject({
      cacheKeyType: 'Image',
      auth: { [registry.authority]: { username: 'user', password: 'c4n4ry-three' } },
    });
    expect(leftBy(node, ended)).not.toContain('c4n4ry');
    expect(node.log()).toContainEqual(expect.objectContaining({ level: 'warn', msg: expect.stringContaining('0600') }));
  });

  test('of a vault that hangs, the one that needs no vault is answered all the same', { timeout: 60_000 }, async () => {
    const cloud = await startCloud();
    cloud.vaultService.misbehave({ kind: 'hang' });
    const registry = await startRegistry({ auth: { kind: 'token', username: 'user', password: 'c4n4ry' } });
    onTestFinished(() => registry.close());
    registry.seed('team/app', makeImage(), ['v1']);
    const vault = (path: string, name: string, region = 'phx') => ({
      secretType: 'VAULT',
      registryEndpoint: `${registry.authority}${path}`,
      secretId: `ocid1.vaultsecret.oc1.${region}.${name}`,
    });
    const basic = {
      secretType: 'BASIC',
      registryEndpoint: registry.authority,
      username: base64('user'),
      password: base64('c4n4ry'),
    };
    const lists = [
      [vault('', 'a'), vault('', 'b'), basic],
      [vault('/team', 'a'), vault('/team', 'b'), basic],
      [vault('', 'a'), basic],
      // One after the other they take all the time that there is.
      [vault('', 'a'), vault('', 'b', 'fra'), basic],
    ];
    const runs = lists.map(async (imagePullSecrets) => {
      const node = await makeNode(memoryFolder(), { ...leadTo(cloud), imagePullSecrets, timeout: '20s' });
      const input = requestText(`${registry.authority}/team/app`);
      return Promise.all([node.run(input), node.run(input)]);
    });
    const expected = { [registry.authority]: { username: 'user', password: 'c4n4ry' } };
    for (const ended of (await Promise.all(runs)).flat()) expect(answerOf(ended).auth).toEqual(expected);
  });

  test('what a registry repeats of a password is neither in the log nor in the reason', async () => {
    const said: string[] = [];
    const echo = createServer(({ headers: { authorization = '' } }, response) => {
      // Of those who asked before as well, whom nobody has in mind any more.
      said.push(Buffer.from(authorization.slice('Basic '.length), 'base64').toString());
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' });
      response.end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: `not ${said.join(' nor ')}` }] }));
    });
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void echo.close());
    const host = `127.0.0.1:${(echo.address() as AddressInfo).port}`;
    const imagePullSecrets = ['one', 'two'].map((name) => ({
      secretType: 'BASIC',
      registryEndpoint: host,
      username: base64('user'),
      password: base64(`c4n4ry-${name}`),
    }));
    const node = await makeNode(memoryFolder(), { imagePullSecrets, registryProtocol: 'http' });
    const ended = await node.run(requestText(`${host}/team/app`));
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(said).toContain('user:c4n4ry-two');
    expect(leftBy(node, ended)).toContain(' nor ');
    expect(leftBy(node, ended)).not.toContain('c4n4ry');
  });

  test('an image that matches nothing is asked for again, and finds the entry that was added', async () => {
    const folder = memoryFolder();
    const input = requestText('a.io/b');
    const before = await makeNode(folder);
    for (const _ of [1, 2]) {
      expect(answerOf(await before.run(input))).toMatchObject({ cacheDuration: '0s', auth: {} });
      expect(before.log().at(-1)).toMatchObject({ msg: 'answered', cached: false });
    }
    const entry = { secretType: 'BASIC', registryEndpoint: 'a.io', username: base64('u'), password: base64('c4n4ry') };
    const after = await makeNode(folder, { imagePullSecrets: [entry] });
    expect(answerOf(await after.run(input)).auth).toEqual({ 'a.io': { username: 'u', password: 'c4n4ry' } });
  });

  test.each([
    ['is no JSON', 'c4n4ry'],
    ['lacks a field', '{"username":"c4n4ry"}'],
    ['is binary', Buffer.of(0xff, 0xfe, 0x00)],
  ])('a secret that %s is no answer, and its content is not told', async (_what, content) => {
    const cloud = await startCloud();
    cloud.vault.put('ocid1.vaultsecret.x', { content });
    const imagePullSecrets = [{ secretType: 'VAULT', registryEndpoint: 'a.io', secretId: 'ocid1.vaultsecret.x' }];
    const node = await makeNode(memoryFolder(), { ...leadTo(cloud), imagePullSecrets });
    const ended = await node.run(requestText('a.io/b'));
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(node.log().at(-1)?.['reason']).toMatch(/imagePullSecrets\[0\]: /);
    expect(leftBy(node, ended)).not.toContain('c4n4ry');
  });
});

describe('for the agent of the node', () => {
  const image = 'localhost:7450/namespaces/demo/connectors/harbor/team/app';

  test('the service account token is the password, and is nowhere else', async () => {
    const node = await makeNode(memoryFolder(), { connector: {} });
    const token = jwt({ exp: Math.floor(Date.now() / 1000) + 3600, sub: 'c4n4ry-subject' });
    const input = requestText(image, { serviceAccountToken: token });
    const runs = [await node.run(input), await node.run(input)];
    for (const ended of runs) {
      expect(answerOf(ended)).toMatchObject({
        cacheKeyType: 'Registry',
        cacheDuration: expect.stringMatching(/^5[89]m\d+s$/),
        auth: { 'localhost:7450': { username: 'token', password: token } },
      });
    }
    const kept = readdirSync(node.cacheDir).map((name) => readFileSync(join(node.cacheDir, name), 'utf8'));
    for (const text of [leftBy(node, ...runs), ...kept]) expect(text).not.toContain(token.split('.')[2]);
  });

  test('the token is in no line, wherever that has it from', async () => {
    const node = await makeNode(memoryFolder(), { connector: {} });
    const runs = [
      await node.run(requestText('a.io/team/c4n4ry', { serviceAccountToken: 'c4n4ry' })),
      await node.run(requestText('localhost:7450/c4n4ry', { serviceAccountToken: 'c4n4ry' })),
    ];
    expect(leftBy(node, ...runs)).toContain('a.io/team/[redacted]');
    expect(leftBy(node, ...runs)).not.toContain('c4n4ry');
  });

  test('without a token it says what to configure', async () => {
    const node = await makeNode(memoryFolder(), { connector: {} });
    const ended = await node.run(requestText(image));
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(/tokenAttributes.*request-serviceaccounts-token-audience/);
    expect(node.log().at(-1)?.['reason']).toMatch(/tokenAttributes/);
  });
});
