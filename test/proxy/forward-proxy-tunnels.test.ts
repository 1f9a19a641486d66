import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Connected, connectThrough, openForwardScene, reasonOf, tokens } from './support/forward-proxy-scene.ts';

/** A host of no connector; its sockets leave an end to the test. */
async function startHost(onSocket: (socket: Socket) => void) {
  const sockets: Socket[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

/** Whether by an end or a reset. */
const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

const echo = (socket: Socket) => void socket.pipe(socket);

interface TunnelScene {
  readonly onSocket?: (socket: Socket) => void;
  readonly tunnelHosts?: (port: number) => string;
  readonly addresses?: Readonly<Record<string, readonly string[]>>;
  readonly isLoopbackForbidden?: boolean;
  readonly perCaller?: number;
  readonly idleMs?: number;
}

async function openTunnelScene(options: TunnelScene = {}) {
  const { onSocket = echo, addresses = {}, isLoopbackForbidden = false, perCaller, idleMs } = options;
  const host = await startHost(onSocket);
  const asked: string[] = [];
  const scene = await openForwardScene({
    tunnelHosts: options.tunnelHosts?.(host.port) ?? `exact.test:${host.port},*.wild.test:${host.port}`,
    tunnels: {
      isLoopbackForbidden,
      ...(perCaller !== undefined && { perCaller }),
      resolve: async (name) => {
        asked.push(name);
        return (addresses[name] ?? ['127.0.0.1']).map((address) => ({
          address,
          family: address.includes(':') ? 6 : 4,
        }));
      },
    },
    proxy: { ...(idleMs !== undefined && { idleMs }) },
  });
  return { ...scene, host, asked };
}

describe('a tunnel to a host of no connector', () => {
  test('is open where the class lists the host, in both directions and until both have ended', async () => {
    const { proxy, host } = await openTunnelScene();
    const { socket, status } = await connectThrough(proxy.port, `exact.test:${host.port}`, { head: 'first ' });
    expect(status).toBe(200);
    socket.end('second');
    expect((await buffer(socket)).toString()).toBe('first second');
    expect(await proxy.operation()).toMatchObject({
      method: 'CONNECT',
      target: `exact.test:${host.port}`,
      status: 200,
      caller: 'member',
      connector: { namespace: 'demo', name: 'registry' },
      isAdmitted: true,
      bytes: 12,
      received: 12,
    });
    expect((await proxy.operation()).error).toBeUndefined();
  });

  test.each([
    ['exact.test', ['127.0.0.1'], false, 200],
    ['exact.test', ['127.0.0.1'], true, 502],
    ['exact.test', ['::1'], true, 502],
    ['exact.test', ['::ffff:127.0.0.1'], true, 502],
    ['exact.test', ['169.254.169.254'], false, 502],
    ['exact.test', ['100.100.100.200'], false, 502],
    ['exact.test', ['0.0.0.0'], false, 502],
    ['exact.test', ['127.0.0.1', '169.254.169.254'], false, 502],
    ['a.wild.test', ['127.0.0.1'], false, 502],
    ['a.wild.test', ['10.0.0.1'], false, 502],
    ['a.wild.test', ['fd00::1'], false, 502],
    ['a.wild.test', ['1.1.1.1', '192.168.0.1'], false, 502],
    ['a.wild.test', ['169.254.169.254'], false, 502],
  ])('%s at %j with loopback forbidden: %s', async (name, found, isLoopbackForbidden, status) => {
    const { proxy, host } = await openTunnelScene({ addresses: { [name]: found }, isLoopbackForbidden });
    const connected = await connectThrough(proxy.port, `${name}:${host.port}`);
    expect(connected.status).toBe(status);
    if (status !== 200) {
      expect(reasonOf(await buffer(connected.socket))).toBe('TARGET_FORBIDDEN');
      expect(host.sockets).toEqual([]);
    }
  });

  test.each([
    ['other.test', 0],
    ['wild.test', 0],
    ['evilwild.test', 0],
    ['exact.test', 1],
    ['127.0.0.1', 0],
  ])('is refused to %s at the port and %i, which no class lists', async (name, off) => {
    const { proxy, host, asked } = await openTunnelScene();
    expect((await connectThrough(proxy.port, `${name}:${host.port + off}`)).status).toBe(403);
    expect(asked).toEqual([]);
  });

  test('is refused to whoever may use no connector of the class', async () => {
    const { proxy, host } = await openTunnelScene();
    const target = `exact.test:${host.port}`;
    expect((await connectThrough(proxy.port, target, { token: tokens.neighbour })).status).toBe(403);
    expect((await connectThrough(proxy.port, target, { token: tokens.stranger })).status).toBe(407);
    expect(host.sockets).toEqual([]);
  });

  test('an address that is listed is dialled as it is', async () => {
    const { proxy, host, asked } = await openTunnelScene({ tunnelHosts: (port) => `127.0.0.1:${port}` });
    expect((await connectThrough(proxy.port, `127.0.0.1:${host.port}`)).status).toBe(200);
    expect(asked).toEqual([]);
  });

  test('a name is resolved once: what was checked is dialled', async () => {
    const { proxy, host, asked } = await openTunnelScene();
    expect((await connectThrough(proxy.port, `EXACT.test.:${host.port}`)).status).toBe(200);
    expect(asked).toEqual(['exact.test']);
  });

  test('a host that is not there is told', async () => {
    const { proxy } = await openTunnelScene({ tunnelHosts: () => 'exact.test:1' });
    const { status, answer } = await connectThrough(proxy.port, 'exact.test:1');
    expect([status, answer]).toEqual([502, expect.stringMatching(/exact\.test:1: the connection was refused/)]);
  });

  test('one caller has no more than its number, and gets it back', async () => {
    const { proxy, host } = await openTunnelScene({ perCaller: 2 });
    const open = (): Promise<Connected> => connectThrough(proxy.port, `exact.test:${host.port}`);
    const [first] = [await open(), await open()];
    expect((await open()).status).toBe(429);
    first?.socket.end();
    first?.socket.resume();
    await expect.poll(async () => (await open()).status).toBe(200);
  });

  test.each(['client', 'host'] as const)('a reset of the %s resets the other side', async (who) => {
    const { proxy, host } = await openTunnelScene({ onSocket: () => {} });
    const { socket } = await connectThrough(proxy.port, `exact.test:${host.port}`);
    await expect.poll(() => host.sockets.length).toBe(1);
    const [far] = host.sockets;
    if (far === undefined) throw new Error('no connection');
    const [breaks, follows] = who === 'client' ? [socket, far] : [far, socket];
    const followed = closed(follows);
    follows.resume();
    breaks.resetAndDestroy();
    await followed;
    expect((await proxy.operation()).error).toBe(who === 'client' ? 'CANCELLED' : 'BROKEN');
  });

  test('a tunnel in which nothing moves is ended', async () => {
    const { proxy, host } = await openTunnelScene({ idleMs: 100 });
    const { socket } = await connectThrough(proxy.port, `exact.test:${host.port}`);
    socket.resume();
    await closed(socket);
    expect((await proxy.operation()).error).toBeUndefined();
  });

  test('neither side is read faster than the other takes it', async () => {
    let sent = 0;
    const { proxy, host } = await openTunnelScene({
      onSocket: (socket) => {
        const chunk = Buffer.alloc(1 << 20);
        const push = () => {
          while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
        };
        socket.on('drain', push);
        push();
      },
    });
    const { socket } = await connectThrough(proxy.port, `exact.test:${host.port}`);
    // Nobody reads: what the kernel holds on the way is a few MiB, and then everything stands.
    for (let before = -1; before !== sent; ) {
      before = sent;
      await delay(200);
    }
    expect(sent).toBeLessThan(64 << 20);
    socket.destroy();
  });
});

describe('draining', () => {
  test('cuts tunnels when the grace is over, and leaves no socket', async () => {
    const { proxy, host } = await openTunnelScene();
    const { socket } = await connectThrough(proxy.port, `exact.test:${host.port}`);
    socket.resume();
    const cut = closed(socket);
    await proxy.proxy.drain(20);
    await cut;
    const [far] = host.sockets;
    far?.resume();
    await expect.poll(() => far?.destroyed).toBe(true);
    await expect(once(connect(proxy.port, '127.0.0.1'), 'connect')).rejects.toThrow(/ECONNREFUSED/);
  });
});
