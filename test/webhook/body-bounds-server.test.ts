import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { buildWebhook } from '../../webhook/server.ts';
import { catalogue, podOf, settings } from './fixtures.ts';

const mebibyte = 1024 * 1024;
const review = JSON.stringify({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: 'u-1',
    resource: { group: '', version: 'v1', resource: 'pods' },
    namespace: 'demo',
    operation: 'CREATE',
    object: podOf('nginx'),
  },
});

/** A webhook that listens, and requests to it that are sent as far as a test says. */
async function start() {
  const app = buildWebhook({ store: { catalogue }, ...settings, logger: false });
  const sockets: Socket[] = [];
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await app.close();
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const send = async (text: string) => {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  };
  /** The request has reached the server once this resolves. */
  const hold = async (length: number) => {
    const arrived = once(app.server, 'request');
    const socket = await send(headOf(`content-length: ${length}`));
    const [, response] = await arrived;
    return { socket, isOver: once(response, 'close') };
  };
  const ask = async (text: string) => statusOf(await send(text));
  const post = (body: string) => ask(`${headOf(`content-length: ${Buffer.byteLength(body)}`)}${body}`);
  return { send, hold, ask, post };
}

const headOf = (length: string, method = 'POST', path = '/mutate') =>
  `${method} ${path} HTTP/1.1\r\nhost: webhook\r\ncontent-type: application/json\r\n${length}\r\n\r\n`;

async function statusOf(socket: Socket): Promise<number> {
  const [head] = await once(socket, 'data');
  return Number(/^HTTP\/1.1 (\d{3})/.exec(String(head))?.[1]);
}

test('a body whose length is not known: 411', async () => {
  const { ask } = await start();
  expect(await ask(headOf('transfer-encoding: chunked'))).toBe(411);
  expect(await ask(`${headOf('transfer-encoding: chunked')}2\r\n{}\r\n0\r\n\r\n`)).toBe(411);
});

test('a body that says to be larger than 8 MiB: 413 before any of it was sent, and the connection ends', async () => {
  const { send, post } = await start();
  const socket = await send(headOf(`content-length: ${8 * mebibyte + 1}`));
  const ended = once(socket, 'close');
  expect(await statusOf(socket)).toBe(413);
  await ended;
  expect(await post(review)).toBe(200);
});

test('large bodies beyond 32 MiB in all: 429, until one of them has ended or broken off; small ones always get in', async () => {
  const { hold, post } = await start();
  const large = `${review}${' '.repeat(100_000)}`;
  const held = await Promise.all([8, 8, 8, 8].map((size) => hold(size * mebibyte)));
  expect(await post(review)).toBe(200);
  expect(await post(large)).toBe(429);
  const [broken, ended] = held;
  broken?.socket.destroy();
  await broken?.isOver;
  expect(await post(large)).toBe(200);
  const again = await hold(8 * mebibyte);
  expect(await post(large)).toBe(429);
  // What ends with a refusal is over as well.
  ended?.socket.write(' '.repeat(8 * mebibyte));
  if (ended !== undefined) expect(await statusOf(ended.socket)).toBe(400);
  await ended?.isOver;
  expect(await post(large)).toBe(200);
  again.socket.destroy();
});

test.each([
  ['PUT', '/mutate'],
  ['PATCH', '/mutate'],
  ['DELETE', '/mutate'],
  ['POST', '/other'],
])('bodies of %s %s count like any other', async (method, path) => {
  const { ask, hold } = await start();
  await Promise.all([8, 8, 8, 8].map((size) => hold(size * mebibyte)));
  expect(await ask(headOf(`content-length: ${mebibyte}`, method, path))).toBe(429);
  expect(await ask(headOf('transfer-encoding: chunked', method, path))).toBe(411);
});

test('a body that is too deep, or has too many parts: 400, sooner than it could be parsed', async () => {
  const { post } = await start();
  const startedAt = performance.now();
  for (const part of ['[', '{"a":', '[],']) {
    expect(await post(`[${part.repeat((7 * mebibyte) / part.length)}`)).toBe(400);
  }
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});

test('GET: 405 as before, also while there is no room for bodies', async () => {
  const { ask, hold } = await start();
  await Promise.all([8, 8, 8, 8].map((size) => hold(size * mebibyte)));
  expect(await ask('GET /mutate HTTP/1.1\r\nhost: webhook\r\n\r\n')).toBe(405);
});
