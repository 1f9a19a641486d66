import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { ask, connectThrough, openForwardScene, secure } from './support/forward-proxy-scene.ts';

const aMinuteMs = 60_000;

/** A blob of which half has come, on a connection by TLS through the proxy. */
async function openHalf() {
  const scene = await openForwardScene({ registry: { redirectBlobs: () => undefined } });
  const digest = await scene.registry.seedSyntheticBlob('team/app', 100_000);
  const half = Promise.withResolvers<void>();
  scene.registry.faults.add({ match: { path: /blobs/ }, fault: faults.stoppedAfter(50_000, half.promise) });
  const { socket } = await connectThrough(scene.proxy.port, scene.registry.authority);
  const tls = await secure(socket, 'registry.test', scene.ca);
  const request = httpRequest({
    createConnection: () => tls,
    path: `/v2/team/app/blobs/${digest}`,
    headers: { host: scene.registry.authority, connection: 'keep-alive' },
  });
  request.on('error', () => {});
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { ...scene, digest, response, tls, goOn: half.resolve };
}

const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

describe('a forward proxy that ends', () => {
  test('lets a blob under way arrive in whole', async () => {
    const { proxy, response, digest, tls, goOn } = await openHalf();
    const drained = proxy.proxy.drain(aMinuteMs);
    await expect.poll(() => proxy.proxy.server.listening).toBe(false);
    const end = closed(tls);
    goOn();
    expect(digestOf(Buffer.concat(await response.toArray()))).toBe(digest);
    await drained;
    await end;
  });

  test('cuts what is still under way when the grace is over, and cancels it upstream', async () => {
    const { proxy, registry, response, goOn } = await openHalf();
    const [request] = registry.requests.filter(({ url }) => url.includes('/blobs/')).slice(-1);
    await proxy.proxy.drain(20);
    await expect(response.toArray()).rejects.toThrow();
    expect(await request?.ended).toBe('broken');
    goOn();
  });

  test('does not wait for connections without a request, however far they have come', async () => {
    const { proxy, registry, ca } = await openForwardScene();
    const used = await connectThrough(proxy.port, registry.authority);
    const tls = await secure(used.socket, 'registry.test', ca);
    expect(await ask(tls, registry.authority, '/v2/')).toMatchObject({ status: 200 });
    const unused = await connectThrough(proxy.port, registry.authority);
    const shaken = await secure((await connectThrough(proxy.port, registry.authority)).socket, 'registry.test', ca);
    const ends = [tls, unused.socket, shaken].map((socket) => closed(socket));
    for (const socket of [tls, unused.socket, shaken]) socket.resume();
    await proxy.proxy.drain(aMinuteMs);
    await Promise.all(ends);
  });

  test('ends a connection with the answer to a request that came meanwhile', async () => {
    const { proxy, registry, ca } = await openForwardScene();
    const { socket } = await connectThrough(proxy.port, registry.authority);
    const tls = await secure(socket, 'registry.test', ca);
    const drained = proxy.proxy.drain(aMinuteMs);
    await expect.poll(() => proxy.proxy.server.listening, { interval: 5 }).toBe(false);
    expect(await ask(tls, registry.authority, '/v2/')).toMatchObject({ status: 200, headers: { connection: 'close' } });
    await drained;
  });
});

test('a client that goes away within a tunnel cancels its request upstream', async () => {
  const { registry, tls, proxy, goOn } = await openHalf();
  const [request] = registry.requests.filter(({ url }) => url.includes('/blobs/')).slice(-1);
  tls.destroy();
  expect(await request?.ended).toBe('broken');
  expect(await proxy.operation()).toMatchObject({ error: 'CANCELLED' });
  goOn();
});
