import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { requireMounts } from '../csi/support/require-mounts.ts';
import { memoryFolder } from '../kubelet/memory-folder.ts';
import { jwt, leadTo, leftBy, startCloud } from '../kubelet/oracle-node.ts';
import { group, requestText } from '../kubelet/requests.ts';
import { answerOf, makeNode, startProvider } from '../kubelet/run-provider.ts';

describe('bad input', () => {
  const canary = jwt({ sub: 'c4n4ry' });
  test.each([
    ['nothing', ''],
    ['two objects', requestText('a.io/b', { serviceAccountToken: canary }).repeat(2)],
    ['half an object', requestText('a.io/b', { serviceAccountToken: canary }).slice(0, -1)],
    ['a NUL', `${requestText('a.io/b', { serviceAccountToken: canary })}\0`],
    ['an unknown version', requestText('a.io/b', { apiVersion: `${group}/v9`, serviceAccountToken: canary })],
    ['an image that is none', requestText('A/B', { serviceAccountToken: canary })],
    ['more than there is room for', Buffer.alloc(3 * 1024 * 1024, 0x20)],
  ])('%s ends with 1, a reason, and nothing on standard output', async (_what, input) => {
    const node = await makeNode(memoryFolder());
    const ended = await node.run(input);
    expect(ended).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^oci-connector: .+\n$/) });
    expect(node.log()).toHaveLength(1);
    expect(leftBy(node, ended)).not.toContain(canary);
  });

  test.each([false, true])('an input that does not end is not waited for (a socket: %s)', async (isSocket) => {
    const node = await makeNode(memoryFolder(), { timeout: '1s' });
    const started = node.start({ isSocket });
    if (!isSocket) setTimeout(() => started.child.stdin?.end(), 8_000).unref();
    const ended = await started.ended;
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    // On a machine that is busy it has not come so far.
    expect(ended.stderr).toMatch(/no answer within 1 s: waited for the (end of standard input|configuration)/);
  });

  test('an input that comes in pieces is read to its end', async () => {
    const node = await makeNode(memoryFolder());
    const started = node.start({});
    const text = requestText('a.io/b');
    started.child.stdin?.write(text.slice(0, 10));
    await new Promise((resolve) => setTimeout(resolve, 300));
    started.child.stdin?.end(text.slice(10));
    expect(answerOf(await started.ended).auth).toEqual({});
  });

  test('an image that matches nothing is answered with nothing', async () => {
    const node = await makeNode(memoryFolder());
    const ended = await node.run(requestText('docker.io/library/nginx'));
    expect(answerOf(ended)).toMatchObject({ cacheKeyType: 'Registry', auth: {} });
    expect(ended.stderr).toBe('');
  });

  test('a wrong configuration ends with 2, file and line, and a wrong command line with how it is', async () => {
    const folder = memoryFolder();
    const file = join(folder, 'provider.yaml');
    writeFileSync(file, `cacheDir: ${folder}/cache\nlog: { file: ${folder}/log }\ntimeout: c4n4ry\nnothing: c4n4ry\n`);
    const ended = await startProvider(['-config', file], { input: requestText('a.io/b') }).ended;
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain(`${file}:3: timeout: has to be a duration`);
    expect(ended.stderr).toContain(`${file}:4: nothing: unknown field`);
    expect(readFileSync(join(folder, 'log'), 'utf8')).toContain(`${file}:3: timeout`);
    expect(ended.stderr).not.toContain('c4n4ry');
    const wrong = await startProvider(['--confg', file], { input: requestText('a.io/b') }).ended;
    expect(wrong).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--config FILE') });
    const missing = await startProvider(['--config', `${file}.none`], { input: requestText('a.io/b') }).ended;
    expect(missing).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('ENOENT') });
  });

  test("with a file, the variables of Oracle's provider have no say; without, they have", async () => {
    const env = { OCIR_AUTH_METHOD: 'PASSWORD' };
    const node = await makeNode(memoryFolder());
    expect(await node.run(requestText('a.io/b'), env)).toMatchObject({ code: 0 });
    const ended = await startProvider([], { input: requestText('a.io/b'), env }).ended;
    expect(ended).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('OCIR_AUTH_METHOD has to be') });
  });
});

test('a registry that never ends its answer costs nobody his credential', async () => {
  const trickling = createServer((_request, response) => {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' });
    const timer = setInterval(() => response.write(' '), 100);
    response.on('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => trickling.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => trickling.closeAllConnections());
  onTestFinished(() => void trickling.close());
  const host = `127.0.0.1:${(trickling.address() as AddressInfo).port}`;
  const imagePullSecrets = ['one', 'two'].map((password) => ({
    secretType: 'BASIC',
    registryEndpoint: host,
    username: Buffer.from('user').toString('base64'),
    password: Buffer.from(password).toString('base64'),
  }));
  const node = await makeNode(memoryFolder(), { registryProtocol: 'http', timeout: '10s', imagePullSecrets });
  const answer = answerOf(await node.run(requestText(`${host}/team/app`)));
  expect(answer).toMatchObject({ cacheDuration: '0s', auth: { [host]: { username: 'user', password: 'one' } } });
});

describe('where nothing can be written', () => {
  test('a cache folder that others may read is done without, and the log says so', async () => {
    const cloud = await startCloud();
    const node = await makeNode(memoryFolder(), leadTo(cloud));
    await node.run(requestText('a.io/b'));
    chmodSync(node.cacheDir, 0o755);
    const ended = await node.run(requestText(`${cloud.registryHost}/team/app`));
    expect(Object.keys(answerOf(ended).auth)).toHaveLength(1);
    expect(node.log().map(({ msg }) => msg)).toContainEqual(
      expect.stringMatching(/is open to others: .*nothing is kept/),
    );
    const kept = readdirSync(node.cacheDir).map((name) => readFileSync(join(node.cacheDir, name), 'utf8'));
    for (const canary of cloud.canaries()) expect(kept.join()).not.toContain(canary);
  });

  test('a log that cannot be written costs no answer', async () => {
    const node = await makeNode(memoryFolder(), { log: { file: '/dev/full' } });
    const ended = await node.run(requestText('a.io/b'));
    expect(answerOf(ended).auth).toEqual({});
    expect(ended.stderr).toContain('the log /dev/full cannot be written (ENOSPC)');
  });
});

requireMounts()('on a file system that takes nothing', () => {
  function mounted(options: string): string {
    const folder = memoryFolder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', `mode=0700,${options}`, 'oci-connector-test', folder]);
    onTestFinished(() => void execFileSync('umount', ['-l', folder]));
    return folder;
  }

  test('a read-only cache and log cost no answer', async () => {
    const cloud = await startCloud();
    const folder = mounted('size=64k');
    execFileSync('mount', ['-o', 'remount,ro', folder]);
    const settings = { ...leadTo(cloud), cacheDir: folder, log: { file: join(folder, 'provider.log') } };
    const node = await makeNode(memoryFolder(), settings);
    const ended = await node.run(requestText(`${cloud.registryHost}/team/app`));
    expect(Object.keys(answerOf(ended).auth)).toHaveLength(1);
    expect(ended.stderr).toMatch(/the log .* cannot be written \(EROFS\)/);
    expect(ended.stderr).toMatch(/the cache folder .* cannot be written \(EROFS\)/);
    for (const canary of cloud.canaries()) expect(ended.stderr).not.toContain(canary);
  });

  test('a full one costs no answer', async () => {
    const cloud = await startCloud();
    const folder = mounted('size=16k,nr_inodes=8');
    const settings = { ...leadTo(cloud), cacheDir: folder, log: { file: join(folder, 'provider.log') } };
    const node = await makeNode(memoryFolder(), settings);
    expect(() => writeFileSync(join(folder, 'full'), Buffer.alloc(64 * 1024))).toThrow('ENOSPC');
    const ended = await node.run(requestText(`${cloud.registryHost}/team/app`));
    expect(Object.keys(answerOf(ended).auth)).toHaveLength(1);
    expect(ended.stderr).toMatch(/cannot be written \(ENOSPC\)/);
    expect(await node.run(requestText('A/B'))).toMatchObject({ code: 1, stdout: '' });
  });
});
