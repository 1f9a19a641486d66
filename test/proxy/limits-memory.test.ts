import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import { digestOf } from '../support/digest.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { startRegistry } from '../support/registry.ts';
import { startRawRegistry } from './support/fault-raw-registry.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

const startProxyTo = async (address: string): Promise<RunningProxy> =>
  stack.use(await startProxy({ documents: connectorTo(address), sealing: ephemeralSealingKeys() }));
const chunked = { 'content-type': 'application/octet-stream', 'transfer-encoding': 'chunked' };

test('a hundred callers that send slowly cost no memory: what they have sent is with the registry', async () => {
  const registry = stack.use(await startRegistry({ keepsUploadedBytes: false }));
  const proxy = await startProxyTo(registry.origin);
  const callers = 100;
  const pieces = 4;
  const pieceBytes = 32 * 1024;
  const piece = (caller: number, number: number) => Buffer.alloc(pieceBytes, `${caller} ${number} `);
  let received = 0;
  registry.faults.add({
    match: { method: 'POST' },
    fault: {
      name: 'counted',
      inflict: (answer, exchange) => {
        exchange.body.on('data', (chunk: Buffer) => {
          received += chunk.length;
        });
        return answer();
      },
    },
  });
  const pushing = Array.from({ length: callers }, (_, caller) => {
    const whole = Buffer.concat(Array.from({ length: pieces }, (_piece, number) => piece(caller, number)));
    const url = proxy.url(`team/app/blobs/uploads/?digest=${digestOf(whole)}`);
    return request(url, { method: 'POST', headers: chunked, agent: false });
  });
  const statuses = pushing.map(async (each) => {
    const [answer]: IncomingMessage[] = await once(each, 'response');
    return answer?.statusCode;
  });
  for (let number = 0; number < pieces; number += 1) {
    for (const [caller, each] of pushing.entries()) each.write(piece(caller, number));
    // All of it, before any caller sends more: nothing gathers on the way.
    await expect.poll(() => received, { interval: 5 }).toBe(callers * pieceBytes * (number + 1));
  }
  for (const each of pushing) each.end();
  expect(await Promise.all(statuses)).toEqual(pushing.map(() => 201));
});

test('callers that send faster than the registry takes are held back', async () => {
  const registry = stack.use(await startRawRegistry({ isDeaf: true }));
  const proxy = await startProxyTo(registry.origin);
  const callers = 8;
  const bytes = 64 * 1024 * 1024;
  const before = process.memoryUsage().arrayBuffers;
  const sockets = Array.from({ length: callers }, () => {
    const socket = connect(proxy.port, '127.0.0.1').on('error', () => {});
    stack.defer(() => void socket.destroy());
    const path = new URL(proxy.url(`team/app/blobs/uploads/?digest=${digestOf('never')}`));
    const head = `POST ${path.pathname}${path.search} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bytes}\r\n\r\n`;
    socket.write(head);
    return socket;
  });
  await registry.connection(callers);
  const block = Buffer.alloc(1024 * 1024, 1);
  const fill = async (socket: (typeof sockets)[number]) => {
    for (let sent = 0; sent < bytes; sent += block.length) {
      if (!socket.write(block)) await once(socket, 'drain');
    }
  };
  for (const socket of sockets) void fill(socket).catch(() => {});
  const taken = () => sockets.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0);
  await atRest(taken);
  // What the kernel holds is not ours.
  expect(taken()).toBeLessThan((callers * bytes) / 2);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(callers * 4 * 1024 * 1024);
});

/** Waits until `read` gives the same for a second: nothing moves any more. */
async function atRest(read: () => number): Promise<void> {
  for (let before = -1, now = read(); before !== now; before = now, now = read()) {
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
