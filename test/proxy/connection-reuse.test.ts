import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { Resolve } from '../../platform/transport.ts';
import { call } from '../support/call.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { digestOf } from '../support/digest.ts';
import { makeImage } from '../support/image.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const kibibyte = 1024;
const parts: AsyncDisposable[] = [];
afterEach(async () => {
  for (const part of parts.splice(0).reverse()) await part[Symbol.asyncDispose]();
});

/** A proxy before a registry of that name, and the names that were looked up: one for each connection. */
async function startBoth(isTls = false): Promise<{ registry: Registry; proxy: RunningProxy; lookups: string[] }> {
  const hostname = 'registry.test';
  const lookups: string[] = [];
  const resolve: Resolve = async (name) => {
    lookups.push(name);
    return [{ address: '127.0.0.1', family: 4 }];
  };
  const certificate = makeSelfSigned([hostname]);
  const registry = await startRegistry({ hostname, ...(isTls && { tls: certificate }) });
  parts.push(registry);
  const documents = connectorTo(registry.origin, isTls ? { ca: certificate.cert } : {});
  const proxy = await startProxy({ documents, transports: { resolve } });
  parts.push(proxy);
  return { registry, proxy, lookups };
}

describe('a connection to the registry', () => {
  test.each(['GET', 'HEAD'])('serves one %s after the other', async (method) => {
    const { registry, proxy, lookups } = await startBoth();
    registry.seed('team/app', makeImage(), ['v1']);
    const ask = async () => expect((await call(proxy.url('team/app/manifests/v1'), { method })).status).toBe(200);
    await ask();
    const before = lookups.length;
    for (let at = 0; at < 5; at += 1) await ask();
    expect(lookups).toHaveLength(before);
  });
});

/** Reads a blob at once, or with a turn of the event loop after each chunk, and returns its digest. */
async function pull(url: string, isSlow: boolean): Promise<string> {
  const response = await open(url);
  const hash = createHash('sha256');
  for await (const chunk of response) {
    hash.update(chunk);
    for (let turns = isSlow ? 20 : 0; turns > 0; turns -= 1) await turn();
  }
  return `sha256:${hash.digest('hex')}`;
}

async function open(url: string): Promise<IncomingMessage> {
  const [response] = await once(get(url, { agent: false }), 'response');
  return response;
}

/** Reads a little of a blob, and goes away. */
async function leave(url: string): Promise<void> {
  const response = await open(url);
  await once(response, 'data');
  response.destroy();
}

describe('bytes of many answers at the same time', () => {
  test.each([
    ['plain HTTP', false],
    ['TLS', true],
  ])(
    'never mix, over %s, whether callers read fast, read slowly or go away',
    async (_name, isTls) => {
      const { registry, proxy } = await startBoth(isTls);
      const sizes = [1, 15, 16, 17, 64, 65, 300, 2048, 5000].map((size) => size * kibibyte + 3);
      const digests = await Promise.all(sizes.map((size) => registry.seedSyntheticBlob('team/app', size, `${size}`)));
      const urls = digests.map((digest) => proxy.url(`team/app/blobs/${digest}`));
      for (let round = 0; round < 3; round += 1) {
        const leaving = urls.slice(-2).map(leave);
        const fast = urls.map((url) => pull(url, false));
        const slow = urls.map((url) => pull(url, true));
        expect(await Promise.all(fast)).toEqual(digests);
        expect(await Promise.all(slow)).toEqual(digests);
        await Promise.all(leaving);
      }
    },
    60_000,
  );

  test('never mix on one connection, when a caller does not wait for an answer before it asks again', async () => {
    const { registry, proxy } = await startBoth();
    const sizes = [3000, 1, 300, 40, 1500].map((size) => size * kibibyte);
    const digests = await Promise.all(sizes.map((size) => registry.seedSyntheticBlob('team/app', size, `${size}`)));
    const socket = connect(proxy.port, '127.0.0.1');
    for (const [at, digest] of digests.entries()) {
      const { pathname } = new URL(proxy.url(`team/app/blobs/${digest}`));
      const connection = at === digests.length - 1 ? 'close' : 'keep-alive';
      socket.write(`GET ${pathname} HTTP/1.1\r\nHost: localhost\r\nConnection: ${connection}\r\n\r\n`);
    }
    const all = Buffer.concat(await socket.toArray());
    expect(bodiesOf(all, sizes).map((body) => digestOf(body))).toEqual(digests);
  });
});

/** The bodies of answers that follow each other, of these sizes. */
function bodiesOf(all: Buffer, sizes: readonly number[]): Buffer[] {
  let from = 0;
  return sizes.map((size) => {
    const begin = all.indexOf('\r\n\r\n', from) + 4;
    from = begin + size;
    return all.subarray(begin, from);
  });
}
