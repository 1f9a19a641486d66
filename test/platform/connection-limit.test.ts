import { EventEmitter, once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type ConnectionLimit, limitConnections } from '../../platform/connection-limit.ts';
import { makeSelfSigned } from '../support/certificate.ts';

/** A server with a limit; connections that it keeps, and those that it ends. */
async function start(limit: ConnectionLimit, server: Server = createServer()) {
  limitConnections(server, limit);
  const events = new EventEmitter();
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {});
    if (socket.destroyed) return;
    socket.once('close', () => events.emit('closed'));
    events.emit('kept');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sockets: Socket[] = [];
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  /** The connection where it is kept; undefined where it is refused. */
  const open = (localAddress = '127.0.0.1'): Promise<Socket | undefined> => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    sockets.push(socket);
    socket.on('error', () => {});
    return new Promise((resolve) => {
      const onKept = (): void => resolve(socket);
      events.once('kept', onKept);
      socket.once('close', () => {
        events.off('kept', onKept);
        resolve(undefined);
      });
    });
  };
  const close = async (socket: Socket | undefined) => {
    const closed = once(events, 'closed');
    socket?.destroy();
    await closed;
  };
  return { open, close };
}

const tlsServer = () => createHttpsServer(makeSelfSigned());

test.each([
  ['plain', createServer],
  ['TLS', tlsServer],
])('one address has its share of a %s server, and others theirs', async (_kind, create) => {
  const { open, close } = await start({ total: 100, perAddress: 2 }, create());
  const [first, second, third] = [await open(), await open(), await open()];
  expect([first, second, third].map(Boolean)).toEqual([true, true, false]);
  expect(await open('127.0.0.2')).toBeDefined();
  await close(first);
  expect([await open(), await open()].map(Boolean)).toEqual([true, false]);
  await close(second);
  expect(Boolean(await open())).toBe(true);
});

test('all addresses together have no more than the total', async () => {
  const { open, close } = await start({ total: 3, perAddress: 2 });
  const [first] = [await open(), await open(), await open('127.0.0.2')];
  expect([await open('127.0.0.2'), await open('127.0.0.3')]).toEqual([undefined, undefined]);
  await close(first);
  expect([await open('127.0.0.3'), await open('127.0.0.3')].map(Boolean)).toEqual([true, false]);
});

test('connections that were refused do not count', async () => {
  const { open, close } = await start({ total: 100, perAddress: 1 });
  const first = await open();
  for (let time = 0; time < 5; time += 1) expect(await open()).toBeUndefined();
  await close(first);
  expect(Boolean(await open())).toBe(true);
});
