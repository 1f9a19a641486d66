import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Resolve, TransportTimeouts } from '../../platform/transport.ts';
import { call } from '../support/call.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { makeImage } from '../support/image.ts';
import { connectorTo, startProxy } from '../support/proxy.ts';
import { type RecordedRequest, type Registry, startRegistry } from '../support/registry.ts';
import { exchangeRaw } from './support/raw-exchange.ts';

const mebibyte = 1024 * 1024;
const isBlob = ({ url }: RecordedRequest) => url.includes('/blobs/');

let registry: Registry;
/** Names that were looked up: one for each connection to the registry. */
let lookups: string[];

beforeEach(async () => {
  registry = await startRegistry({ hostname: 'registry.test' });
  lookups = [];
});
afterEach(() => registry.close());

function startProxyToRegistry(timeouts: Partial<TransportTimeouts> = {}) {
  const resolve: Resolve = async (hostname) => {
    lookups.push(hostname);
    return [{ address: '127.0.0.1', family: 4 }];
  };
  return startProxy({ documents: connectorTo(registry.origin), transports: { timeouts, resolve } });
}

async function open(url: string, agent = new Agent()): Promise<IncomingMessage> {
  const [response] = await once(get(url, { agent }), 'response');
  return response;
}

/** Waits until `read` gives the same for half a second: nothing moves any more. */
async function atRest(read: () => number): Promise<number> {
  for (let before = -1, now = read(); ; before = now, now = read()) {
    if (before === now) return now;
    await wait(500);
  }
}

describe('a caller that does not read', () => {
  test('stops the registry, is waited for, and gets every byte when it reads on', async () => {
    await using proxy = await startProxyToRegistry({ idleBodyMs: 1000 });
    const size = 64 * mebibyte;
    const digest = await registry.seedSyntheticBlob('team/app', size);
    const response = await open(proxy.url(`team/app/blobs/${digest}`));
    const request = await registry.arrival(isBlob);
    const sent = await atRest(() => request.bytesSent);
    expect(sent).toBeLessThan(size / 2);
    // Longer than the registry may be silent: this silence is not its own.
    await wait(1500);
    expect(request.bytesSent).toBe(sent);

    const hash = createHash('sha256');
    for await (const chunk of response) hash.update(chunk);
    expect(`sha256:${hash.digest('hex')}`).toBe(digest);
    expect(registry.requests.filter(isBlob)).toHaveLength(1);
  });

  test('may go away, and the registry can stop', async () => {
    await using proxy = await startProxyToRegistry();
    const digest = await registry.seedSyntheticBlob('team/app', 64 * mebibyte);
    const response = await open(proxy.url(`team/app/blobs/${digest}`));
    const request = await registry.arrival(isBlob);
    await atRest(() => request.bytesSent);
    response.destroy();
    expect(await request.ended).toBe('broken');
    const operation = await proxy.operation();
    expect(operation).toMatchObject({ status: 200, error: 'CANCELLED', reference: digest });
    expect(operation.bytes).toBeGreaterThan(0);
  });

  test('is cut off when it does not read for very long', async () => {
    await using proxy = await startProxy({
      documents: connectorTo(registry.origin.replace('registry.test', '127.0.0.1')),
      idleMs: 200,
    });
    const digest = await registry.seedSyntheticBlob('team/app', 64 * mebibyte);
    const response = await open(proxy.url(`team/app/blobs/${digest}`));
    expect(await (await registry.arrival(isBlob)).ended).toBe('broken');
    expect(await proxy.operation()).toMatchObject({ error: 'CANCELLED' });
    response.destroy();
  });
});

describe('a caller that goes away', () => {
  test('before the registry answers ends the request to it at once', async () => {
    await using proxy = await startProxyToRegistry();
    registry.faults.add({ match: { path: /manifests/ }, fault: faults.hanging });
    const leaving = new AbortController();
    const left = call(proxy.url('team/app/manifests/v1'), { signal: leaving.signal });
    const request = await registry.arrival(({ url }) => url.includes('/manifests/'));
    leaving.abort();
    expect((await left).failure).toBe('ABORT_ERR');
    expect(await request.ended).toBe('broken');
    expect(await proxy.operation()).toMatchObject({ status: 0, error: 'CANCELLED' });
    expect(registry.requests).toHaveLength(2);
  });

  test('while the registry is silent in the middle of a blob ends it too, and nothing is tried again', async () => {
    await using proxy = await startProxyToRegistry();
    const digest = await registry.seedSyntheticBlob('team/app', mebibyte);
    registry.faults.add({ match: { path: /blobs/ }, fault: faults.stalledAfter(1000) });
    const response = await open(proxy.url(`team/app/blobs/${digest}`));
    response.destroy();
    expect(await (await registry.arrival(isBlob)).ended).toBe('broken');
    expect(await proxy.operation()).toMatchObject({ status: 200, error: 'CANCELLED' });
    expect(registry.requests.filter(isBlob)).toHaveLength(1);
  });
});

test('a caller that goes away while it waits for a connection asks the registry for nothing', async () => {
  await using proxy = await startProxy({
    documents: connectorTo(registry.origin.replace('registry.test', '127.0.0.1')),
    transports: { connections: 1 },
  });
  registry.seed('team/app', makeImage(), ['v1']);
  const goesOn = Promise.withResolvers<void>();
  const inflict: faults.Fault['inflict'] = async (answer) => {
    await goesOn.promise;
    return answer();
  };
  registry.faults.add({ match: { path: /manifests/ }, times: 1, fault: { name: 'held up', inflict } });
  const first = call(proxy.url('team/app/manifests/v1'));
  await registry.arrival(({ url }) => url.endsWith('/manifests/v1'));
  const leaving = new AbortController();
  const waiting = once(proxy.proxy.server, 'request');
  const left = call(proxy.url('team/app/manifests/v2'), { signal: leaving.signal });
  const [, response] = await waiting;
  leaving.abort();
  await left;
  await once(response, 'close');
  goesOn.resolve();
  expect(await first).toMatchObject({ status: 200 });
  expect(await call(proxy.url('team/app/tags/list'))).toMatchObject({ status: 200 });
  expect(registry.requests.map(({ url }) => url)).toEqual([
    '/v2/',
    '/v2/team/app/manifests/v1',
    '/v2/team/app/tags/list',
  ]);
});

/** Many chunks (RFC 9112, section 7.1) in what is read at once. */
const inManyChunks: faults.Fault = {
  name: 'in many chunks',
  inflict: async (answer) => {
    const { status, headers, body = [] } = await answer();
    const { 'content-length': _length, ...others } = headers;
    const pieces = async function* () {
      for await (const chunk of body) {
        for (let at = 0; at < chunk.length; at += 3000) yield chunk.subarray(at, at + 3000);
      }
    };
    return { status, headers: others, body: pieces() };
  },
};

describe('many blobs at once', () => {
  /** Digest of what comes, read at a pace. */
  const read = async (response: IncomingMessage, pauseMs: number | undefined): Promise<string> => {
    const hash = createHash('sha256');
    for await (const chunk of response) {
      hash.update(chunk);
      if (pauseMs !== undefined) await wait(pauseMs);
    }
    return `sha256:${hash.digest('hex')}`;
  };

  test.each(['http', 'https', 'http in chunks'])(
    'arrive unmixed from %s, whatever the callers’ pace and the registry’s breaks',
    async (kind) => {
      const tls = kind === 'https' ? makeSelfSigned() : undefined;
      await using many = await startRegistry({ hostname: 'localhost', ...(tls && { tls }) });
      await using proxy = await startProxy({ documents: connectorTo(many.origin, tls && { ca: tls.cert }) });
      const sizes = Array.from({ length: 24 }, (_, index) => 500_000 + index * 77_777);
      const digests = await Promise.all(
        sizes.map((size, index) => many.seedSyntheticBlob('team/app', size, `blob ${index}`)),
      );
      const isInChunks = kind.endsWith('chunks');
      const fault = isInChunks ? inManyChunks : faults.resetAfter(333_333);
      many.faults.add({ match: { path: /blobs/ }, fault, ...(isInChunks ? {} : { skip: 6, times: 12 }) });
      const found = digests.map(async (digest, index) => {
        const response = await open(proxy.url(`team/app/blobs/${digest}`));
        return read(response, index % 3 === 0 ? index % 2 : undefined);
      });
      expect(await Promise.all(found)).toEqual(digests);
    },
  );
});

test('blobs that are asked for one behind the other on a connection arrive in that order', async () => {
  await using proxy = await startProxyToRegistry();
  const sizes = [3_000_000, 10, 2_000_000];
  const digests = await Promise.all(sizes.map((size) => registry.seedSyntheticBlob('team/app', size, `blob ${size}`)));
  const requests = digests.map((digest, index) => {
    const { pathname } = new URL(proxy.url(`team/app/blobs/${digest}`));
    const connection = index === digests.length - 1 ? 'close' : 'keep-alive';
    return `GET ${pathname} HTTP/1.1\r\nHost: localhost\r\nConnection: ${connection}\r\n\r\n`;
  });
  let rest = await exchangeRaw(proxy.port, requests.join(''));
  const found = sizes.map((size) => {
    const start = rest.indexOf('\r\n\r\n') + 4;
    const body = rest.subarray(start, start + size);
    rest = rest.subarray(start + size);
    return digestOf(body);
  });
  expect(found).toEqual(digests);
  expect(rest).toHaveLength(0);
});

describe('connections', () => {
  test('to the registry are kept and used again, and callers’ too', async () => {
    await using proxy = await startProxyToRegistry();
    const image = registry.seed('team/app', makeImage({ layerBytes: mebibyte }), ['v1']);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    const pull = async (tail: string) => {
      const response = await open(proxy.url(`team/app/${tail}`), agent);
      ports.add(response.socket.localPort);
      response.resume();
      await once(response, 'end');
    };
    await pull('manifests/v1');
    const connections = lookups.length;
    for (const tail of [`blobs/${image.layers[0]}`, 'manifests/v9', 'tags/list', 'manifests/v1']) await pull(tail);
    agent.destroy();
    expect(ports.size).toBe(1);
    expect(lookups).toHaveLength(connections);
  });

  test('gather no listeners in thousands of requests of every kind', async () => {
    await using proxy = await startProxyToRegistry();
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const image = registry.seed('team/app', makeImage(), ['v1']);
    registry.faults.add({ match: { path: /broken/ }, fault: faults.closedBeforeHeaders });
    const sockets = new Set<Socket>();
    proxy.proxy.server.on('connection', (socket) => sockets.add(socket));
    const listeners = () =>
      [...sockets].map((socket) => socket.eventNames().reduce((count, name) => count + socket.listenerCount(name), 0));
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    const tails = ['manifests/v1', `blobs/${image.layers[0]}`, 'manifests/v9', 'manifests/..', 'tags/list?n=1'];
    const pullAll = (count: number) =>
      Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const response = await open(proxy.url(`team/app/${tails[index % tails.length]}`), agent);
          response.resume();
          await once(response, 'end');
        }),
      );
    await pullAll(40);
    const before = listeners();
    for (let round = 0; round < 20; round += 1) await pullAll(100);
    expect(sockets.size).toBe(4);
    expect(listeners()).toEqual(before);
    expect(warnings).toEqual([]);
    expect(lookups.length).toBeLessThanOrEqual(4);
    process.off('warning', onWarning);
    agent.destroy();
  });
});
