import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startNode } from '../../cli/node.ts';
import { nodeDefaults, readNodeSettings } from '../../cli/node-settings.ts';
import { probe } from '../../cli/probe.ts';
import { basicOnly, openScene, type Scene, serving } from '../proxy/support/agent-scene.ts';
import { host, startCentre } from '../proxy/support/centre.ts';
import { exchangeRaw } from '../proxy/support/raw-exchange.ts';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';

const main = join(import.meta.dirname, '../../cli/main.ts');
const silent = pino({ level: 'silent' });

/** A port that nobody has at present; an agent's is the same on both addresses. */
async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function openFolder(scene: Scene) {
  const path = await mkdtemp(join(tmpdir(), 'node-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  const write = (name: string, text: string) => writeFile(join(path, name), text);
  await write('token', scene.cluster.agentToken('n1'));
  await write('ca.crt', (await serving).ca);
  return { path, write };
}

async function open(scene: Scene, { imageHost }: { imageHost?: string } = {}) {
  const port = await freePort();
  const { cluster, clock } = scene;
  const options = { cluster, now: clock.now, imageHost: imageHost ?? `localhost:${port}` };
  const centre = await startCentre({ ...options, serving: await serving });
  onTestFinished(() => centre.close());
  const folder = await openFolder(scene);
  let count = 0;
  const start = async (more: object = {}) => {
    count += 1;
    const socket = join(folder.path, `${count}.sock`);
    const settings = readNodeSettings(
      {
        ...nodeDefaults,
        port: String(port),
        centre: `https://${host}:${centre.port}`,
        centreCa: join(folder.path, 'ca.crt'),
        token: join(folder.path, 'token'),
        management: socket,
        allowLoopback: true,
        ...more,
      },
      {},
      false,
    );
    const agent = await startNode(settings, silent);
    onTestFinished(() => agent.close());
    const told: string[] = [];
    const ready = () => probe(socket, '/readyz', (text) => told.push(text));
    return { agent, socket, told, ready };
  };
  const startProcess = async () => {
    const args = ['--port', String(port), '--centre', `https://${host}:${centre.port}`, '--allow-loopback'];
    const files = ['--centre-ca', join(folder.path, 'ca.crt'), '--token', join(folder.path, 'token')];
    const socket = join(folder.path, 'process.sock');
    const child = spawn(process.execPath, [main, 'node', ...args, ...files, '--management', socket]);
    onTestFinished(() => void child.kill('SIGKILL'));
    await expect.poll(() => probe(socket, '/readyz', () => {})).toBe(0);
    return { pid: child.pid as number, ended: once(child, 'exit') };
  };
  const url = (tail: string) => `http://${host}:${port}/v2/namespaces/demo/connectors/registry/${tail}`;
  const headers = { authorization: `Bearer ${scene.token}` };
  return { port, centre, folder, start, startProcess, url, headers };
}

const manifest = 'team/app/manifests/v1';

describe('an agent', () => {
  test('is ready once it is reached where images point to, and pulls', async () => {
    const scene = await openScene();
    const { start, url, headers, centre } = await open(scene);
    const { ready, socket } = await start();
    await expect.poll(ready).toBe(0);
    expect(await call(url(manifest), { headers })).toMatchObject({ status: 200 });
    expect(await probe(socket, '/livez', () => {})).toBe(0);
    expect(await probe(socket, '/metrics', () => {})).toBe(0);
    expect(centre.errors).toEqual([]);
  });

  test('listens on loopback, and on nothing else', async () => {
    const { start, port } = await open(await openScene());
    const { agent } = await start();
    expect(agent.addresses[0]).toBe(`127.0.0.1:${port}`);
    if (agent.addresses.length > 1) expect(agent.addresses[1]).toBe(`[::1]:${port}`);
    const others = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.filter((a) => !a.internal));
    for (const { address, family, scopeid } of others) {
      if (family === 'IPv6' && scopeid !== 0) continue;
      const socket = connect(port, address);
      await expect(once(socket, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    }
    const second = connect(port, '127.0.0.2');
    await expect(once(second, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('answers a TLS handshake with a plain 400, so that containerd tries HTTP', async () => {
    const { start, port } = await open(await openScene());
    await start();
    const raw = createTcpServer((socket) => {
      const onward = connect(port, host);
      socket.pipe(onward);
      onward.on('data', (chunk: Buffer) => raw.emit('answer', chunk.toString('latin1')));
      onward.on('close', () => socket.destroy());
    }).listen(0, host);
    await once(raw, 'listening');
    onTestFinished(() => void raw.close());
    const tls = connectTls({ port: (raw.address() as AddressInfo).port, host, rejectUnauthorized: false });
    tls.on('error', () => {});
    const [answer] = (await once(raw, 'answer')) as [string];
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    tls.destroy();
  });

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('serves no %s', async (method) => {
    const scene = await openScene();
    const { start, url, headers } = await open(scene);
    await start();
    for (const tail of ['team/app/blobs/uploads/', manifest]) {
      const answer = await call(url(tail), { method, headers });
      expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
    }
    expect(scene.registry.requests.filter((request) => request.method === method)).toEqual([]);
  });

  test('is not ready while the webhook points elsewhere, and says so', async () => {
    const { start } = await open(await openScene(), { imageHost: 'localhost:1' });
    const { ready, told } = await start();
    await expect
      .poll(async () => [await ready(), told.join('')])
      .toEqual([
        1,
        expect.stringContaining('the webhook points images to localhost:1, and this agent listens on port'),
      ]);
  });

  test('is not ready while the centre does not know it, and is as soon as it does', async () => {
    const scene = await openScene();
    const { start, folder } = await open(scene);
    await folder.write('token', 'nobody');
    const { ready, told } = await start();
    await expect.poll(async () => [await ready(), told.join('')]).toEqual([1, expect.stringContaining('only agents')]);
    await folder.write('token', scene.cluster.agentToken('n1'));
    await expect.poll(ready, { timeout: 15_000 }).toBe(0);
  });

  test.each(['token', 'ca.crt'])('does not start without its %s', async (name) => {
    const { start, folder } = await open(await openScene());
    await rm(join(folder.path, name));
    const message = expect.stringMatching(/^--(token|centre-ca) .* cannot be read \(ENOENT\): it has to be /);
    await expect(start()).rejects.toMatchObject({ code: 'ENOENT', message });
    expect(await readdir(folder.path)).not.toContain('1.sock');
  });

  test('does not start where somebody else has its port, and leaves nothing behind', async () => {
    const { start, port, folder } = await open(await openScene());
    const other = createTcpServer().listen(port, host);
    await once(other, 'listening');
    await expect(start()).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: EADDRINUSE`);
    expect((await readdir(folder.path)).filter((name) => name.endsWith('.sock'))).toEqual([]);
    other.close();
    await once(other, 'close');
    await start();
  });

  test('ends although a probe’s connection was never used', async () => {
    const { start } = await open(await openScene());
    const { agent, socket } = await start();
    const idle = connect(socket);
    await once(idle, 'connect');
    idle.on('error', () => {});
    await agent.close();
  });

  test('ends also while its centre does not answer', async () => {
    const { start, centre } = await open(await openScene());
    await centre.kill();
    const { agent } = await start();
    await agent.close();
  });
});

describe('two agents on one node', () => {
  test('share the port: one ends while requests flow, and none of them fails', async () => {
    const { start, url, headers } = await open(await openScene());
    const first = await start();
    const second = await start();
    await expect.poll(first.ready).toBe(0);
    await expect.poll(second.ready).toBe(0);
    const connections = new Agent({ keepAlive: true });
    onTestFinished(() => connections.destroy());
    const outcomes: string[] = [];
    let closing: Promise<void> | undefined;
    // As containerd, which keeps its connections.
    const puller = async () => {
      for (let count = 0; count < 100; count += 1) {
        if (outcomes.length === 200) closing = first.agent.close();
        outcomes.push(await pull(url(manifest), headers, connections));
      }
    };
    await Promise.all(Array.from({ length: 8 }, puller));
    await closing;
    expect(outcomes.filter((outcome) => outcome !== '200 whole')).toEqual([]);
    expect(outcomes).toHaveLength(800);
    expect(await probe(first.socket, '/readyz', () => {})).toBe(1);
  });

  test('share the port: the one that ends answers all who wait for it in the kernel', async () => {
    const { start, startProcess, port, headers } = await open(await openScene());
    const other = await start();
    await expect.poll(other.ready).toBe(0);
    for (let round = 0; round < 3; round += 1) {
      const ending = await startProcess();
      // It accepts nobody until it is told to end.
      process.kill(ending.pid, 'SIGSTOP');
      const sockets = Array.from({ length: 40 }, () => connect(port, host).setEncoding('latin1'));
      await Promise.all(sockets.map((socket) => once(socket, 'connect')));
      const answers = sockets.map(async (socket) => {
        socket.write(`GET /v2/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${headers.authorization}\r\n`);
        socket.write('Connection: close\r\n\r\n');
        return (await socket.toArray()).join('').split('\r\n')[0];
      });
      process.kill(ending.pid, 'SIGTERM');
      process.kill(ending.pid, 'SIGCONT');
      expect(new Set(await Promise.all(answers))).toEqual(new Set(['HTTP/1.1 200 OK']));
      expect(await ending.ended).toEqual([0, null]);
    }
  }, 60_000);

  test('a pull that is under way with the one that ends is brought to its end', async () => {
    const scene = await openScene({ auth: basicOnly });
    const { start, url, headers } = await open(scene);
    const { agent } = await start();
    const blob = await scene.registry.seedSyntheticBlob('team/app', 5_000_000);
    const gate = Promise.withResolvers<void>();
    scene.registry.faults.add({
      match: { path: new RegExp(blob), isAuthorized: true },
      fault: {
        name: 'late',
        inflict: async (answer) => {
          await gate.promise;
          return answer();
        },
      },
    });
    const pulled = call(url(`team/app/blobs/${blob}`), { headers });
    await scene.registry.arrival((request) => request.url.includes(blob));
    const closed = agent.close();
    const next = await start();
    await expect.poll(next.ready).toBe(0);
    gate.resolve();
    const answer = await pulled;
    expect(answer).toMatchObject({ status: 200, failure: undefined });
    expect(digestOf(answer.body)).toBe(blob);
    await closed;
  });

  test('one that hangs is not waited for longer than was said', async () => {
    const scene = await openScene();
    const { start, url, headers } = await open(scene);
    const { agent } = await start({ drainSeconds: '0.2' });
    await call(url(manifest), { headers });
    scene.registry.faults.add({ match: { path: /team/ }, fault: faults.hanging });
    const pulled = call(url('team/app/manifests/v2'), { headers });
    await scene.registry.arrival((request) => request.url.includes('/v2/team/app/manifests/v2'));
    await agent.close();
    expect(await pulled).toMatchObject({ status: undefined, failure: expect.any(String) });
  });
});

test('what is no HTTP at all is answered as such', async () => {
  const { start, port } = await open(await openScene());
  await start();
  expect((await exchangeRaw(port, '\x16\x03\x01\x00\x05hello\r\n\r\n')).toString()).toMatch(/^HTTP\/1\.1 400 /);
});

function pull(url: string, headers: Record<string, string>, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException) => resolve(String(error.code));
    const request = get(url, { headers, agent }, (response) => {
      response.resume();
      response.on('error', fail);
      response.on('end', () => resolve(`${response.statusCode} ${response.complete ? 'whole' : 'cut'}`));
    });
    request.on('error', fail);
  });
}
