import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import type { TransportTimeouts } from '../../platform/transport.ts';
import { call } from '../support/call.ts';
import { digestOf, seededBytes } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { readBody } from '../support/registry/exchange.ts';
import { type RecordedRequest, type Registry, type RegistryOptions, startRegistry } from '../support/registry.ts';
import { startRawRegistry } from './support/fault-raw-registry.ts';

const octets = { 'content-type': 'application/octet-stream' };
const chunked = { ...octets, 'transfer-encoding': 'chunked' };
const body = seededBytes('a push', 400_000);
const half = body.subarray(0, body.length / 2);
const uploads = `team/app/blobs/uploads/?digest=${digestOf(body)}`;
const errorOf = (bytes: Buffer) => JSON.parse(bytes.toString()).errors[0];
const isPush = ({ method }: RecordedRequest) => method === 'POST';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

const startProxyTo = async (address: string, timeouts: Partial<TransportTimeouts> = {}): Promise<RunningProxy> =>
  stack.use(
    await startProxy({ documents: connectorTo(address), sealing: ephemeralSealingKeys(), transports: { timeouts } }),
  );

async function arrange(timeouts: Partial<TransportTimeouts> = {}, options: RegistryOptions = {}) {
  const registry: Registry = stack.use(await startRegistry(options));
  return { registry, proxy: await startProxyTo(registry.origin, timeouts) };
}

/** Sends the first half of the body, and no more. */
function pushHalf(proxy: RunningProxy, headers: Readonly<Record<string, string | number>> = chunked): ClientRequest {
  const pushing = request(proxy.url(uploads), { method: 'POST', headers, agent: false });
  pushing.on('error', () => {});
  pushing.write(half);
  return pushing;
}

const framings = [
  ['in chunks', 'Transfer-Encoding: chunked', [`${half.length.toString(16)}\r\n`, '\r\n']],
  ['with its length', `Content-Length: ${body.length}`, ['', '']],
] as const;

const departures = [
  ['resets its connection', 'resetAndDestroy'],
  ['closes its connection', 'destroy'],
  ['ends its side and waits', 'end'],
] as const;

describe.each(framings)('a body %s', (_form, framing, [before, after]) => {
  test.each(departures)('whose caller %s in the middle reaches the registry as a broken one', async (_how, leave) => {
    const registry = stack.use(await startRawRegistry());
    const proxy = await startProxyTo(registry.origin);
    const caller = connect(proxy.port, '127.0.0.1').on('error', () => {});
    stack.defer(() => void caller.destroy());
    const path = new URL(proxy.url(uploads));
    caller.write(`POST ${path.pathname}${path.search} HTTP/1.1\r\nHost: localhost\r\n${framing}\r\n\r\n${before}`);
    caller.write(half);
    caller.write(after);
    const seen = await registry.connection();
    const bodySeen = () => seen.received.slice(seen.received.indexOf('\r\n\r\n') + 4);
    await expect.poll(() => bodySeen().length).toBeGreaterThanOrEqual(half.length);
    caller[leave]();
    await seen.ended;
    expect(seen.received).toMatch(new RegExp(`^${framing}\r$`, 'im'));
    expect(bodySeen()).not.toMatch(/(?:^|\r\n)0\r\n/);
    expect(bodySeen().length).toBeLessThan(half.length + 1000);
    expect(await proxy.operation()).toMatchObject({ error: 'CANCELLED' });
  });
});

test('a body whose chunks break off in the middle of one reaches the registry as a broken one', async () => {
  const { registry, proxy } = await arrange();
  const path = new URL(proxy.url(uploads));
  const caller = connect(proxy.port, '127.0.0.1').on('error', () => {});
  caller.write(`POST ${path.pathname}${path.search} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`);
  caller.write(`${body.length.toString(16)}\r\n`);
  caller.write(half);
  const arrived = await registry.arrival(isPush);
  caller.end('\r\n0\r\n\r\n');
  expect(await arrived.ended).toBe('broken');
  expect(arrived.status).toBeUndefined();
  expect(registry.contents('team/app').blobs).toEqual([]);
});

describe('a registry that takes no more of a body', () => {
  test.each(['in chunks', 'with its length'])('is cut off, and the caller told: %s', async (form) => {
    const registry = stack.use(await startRawRegistry({ isDeaf: true }));
    const proxy = await startProxyTo(registry.origin, { idleBodyMs: 400 });
    const large = Buffer.alloc(24 * 1024 * 1024, 'more than sockets hold');
    const headers = form === 'in chunks' ? chunked : { ...octets, 'content-length': large.length };
    const answer = await call(proxy.url(uploads), { method: 'POST', body: large, headers });
    expect(answer.status).toBe(504);
    expect(errorOf(answer.body)).toMatchObject({ code: 'UNAVAILABLE', detail: { reason: 'UPSTREAM_TIMEOUT' } });
    expect(errorOf(answer.body).message).toContain('it stopped taking the body');
    const seen = await registry.connection();
    seen.socket.resume();
    await seen.ended;
  });

  test('is not one whose caller sends slowly', async () => {
    const { registry, proxy } = await arrange({ idleBodyMs: 100, headersMs: 100 });
    const pushing = pushHalf(proxy);
    const answered = once(pushing, 'response');
    await registry.arrival(isPush);
    // Longer than the registry may be silent: this silence is not its own.
    await new Promise((resolve) => setTimeout(resolve, 500));
    pushing.end(body.subarray(half.length));
    const [answer]: IncomingMessage[] = await answered;
    expect(answer?.statusCode).toBe(201);
  });
});

describe('a caller that goes away', () => {
  test('while its body comes ends the request to the registry at once', async () => {
    const { registry, proxy } = await arrange();
    const pushing = pushHalf(proxy);
    const arrived = await registry.arrival(isPush);
    pushing.destroy();
    expect(await arrived.ended).toBe('broken');
    expect(await proxy.operation()).toMatchObject({ status: 0, error: 'CANCELLED' });
    expect(registry.requests.filter(isPush)).toHaveLength(1);
  });

  test('while the registry takes nothing ends it too', async () => {
    const registry = stack.use(await startRawRegistry({ isDeaf: true }));
    const proxy = await startProxyTo(registry.origin);
    const pushing = pushHalf(proxy);
    const seen = await registry.connection();
    pushing.destroy();
    expect(await proxy.operation()).toMatchObject({ error: 'CANCELLED' });
    // Who does not read does not see the end either.
    seen.socket.resume();
    await seen.ended;
  });

  test.each(['POST', 'PUT'] as const)(
    'after all of its body, before the answer to its %s, ends it too',
    async (method) => {
      const { registry, proxy } = await arrange();
      registry.faults.add({ match: { method }, fault: silentAfterBody });
      const leaving = new AbortController();
      const tail = method === 'POST' ? uploads : 'team/app/manifests/v1';
      const left = call(proxy.url(tail), { method, body: half, headers: octets, signal: leaving.signal });
      const arrived = await registry.arrival((asked) => asked.method === method);
      leaving.abort();
      await left;
      expect(await arrived.ended).toBe('broken');
      expect(await proxy.operation()).toMatchObject({ error: 'CANCELLED' });
      expect(registry.requests.filter((asked) => asked.method === method)).toHaveLength(1);
    },
  );
});

const silentAfterBody: faults.Fault = {
  name: 'silent after the body',
  inflict: async (_answer, exchange) => {
    await readBody(exchange);
    return { raw: '', ending: 'hang' };
  },
};

describe('a registry that answers before it has read the body', () => {
  const tooLarge = JSON.stringify({ errors: [{ code: 'SIZE_INVALID', message: 'more than this registry takes' }] });
  const early = faults.status(413, { body: tooLarge });
  const afterSome: faults.Fault = {
    name: 'answered after some',
    inflict: async (answer, exchange) => {
      for await (const _ of exchange.body.iterator({ destroyOnReturn: false })) break;
      return early.inflict(answer, exchange);
    },
  };
  const large = Buffer.alloc(5_000_000, 'too large ');
  const rows = [
    ['POST', 'at once', uploads, early],
    ['POST', 'after some of it', uploads, afterSome],
    ['PUT', 'at once', 'team/app/manifests/v1', early],
    ['PUT', 'after some of it', 'team/app/manifests/v1', afterSome],
  ] as const;

  test.each(rows)('answers the caller of a %s in its own words, %s', async (method, _when, tail, fault) => {
    const { registry, proxy } = await arrange();
    registry.faults.add({ match: { method }, fault });
    for (const headers of [chunked, { ...octets, 'content-length': large.length }]) {
      const answer = await call(proxy.url(tail), { method, body: large, headers });
      expect(answer.status).toBe(413);
      expect(answer.body.toString()).toBe(tooLarge);
    }
    expect(registry.requests.filter((asked) => asked.method === method)).toHaveLength(2);
  });

  test('and closes is heard as well, and what it did not read is not the next request', async () => {
    const registry = stack.use(await startRawRegistry());
    const proxy = await startProxyTo(registry.origin);
    const answered = call(proxy.url(uploads), { method: 'POST', body: large, headers: chunked });
    const seen = await registry.connection();
    await seen.until(/too large/);
    const head = `HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\nContent-Length: ${tooLarge.length}`;
    seen.socket.end(`${head}\r\n\r\n${tooLarge}`);
    const answer = await answered;
    expect(answer.status).toBe(413);
    expect(answer.body.toString()).toBe(tooLarge);
    await seen.ended;
    expect(seen.received.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });
});

test.each([
  ['an error that passes', 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'],
  ['the end of a connection that was kept', ''],
])('a body that was met with %s before it was asked for is sent all the same', async (_what, refusal) => {
  const registry = stack.use(await startRawRegistry({ refusal }));
  const proxy = await startProxyTo(registry.origin);
  const headers = { ...octets, 'content-length': body.length };
  const answered = call(proxy.url(uploads), { method: 'POST', body, headers });
  const seen = await registry.connection(2);
  await expect.poll(() => seen.received.length).toBeGreaterThan(body.length);
  seen.socket.write('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n');
  expect(await answered).toMatchObject({ status: 201 });
  expect(seen.received.endsWith(body.toString('latin1'))).toBe(true);
});
