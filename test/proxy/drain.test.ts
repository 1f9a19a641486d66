import { once } from 'node:events';
import { Agent, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const aMinuteMs = 60_000;

let registry: Registry;
let proxy: RunningProxy;
let digest: string;
/** Lets blobs go on that have come half their way. */
let goOn: () => void;

beforeEach(async () => {
  registry = await startRegistry();
  proxy = await startProxy({ documents: connectorTo(registry.origin) });
  digest = await registry.seedSyntheticBlob('team/app', 100_000);
  const half = Promise.withResolvers<void>();
  goOn = half.resolve;
  registry.faults.add({ match: { path: /blobs/ }, fault: faults.stoppedAfter(50_000, half.promise) });
});
afterEach(async () => {
  goOn();
  await proxy.close();
  await registry.close();
});

async function open(url: string, agent: Agent): Promise<IncomingMessage> {
  const request = get(url, { agent });
  const [response] = await once(request, 'response');
  // A reset in the middle of a body is told to the request as well.
  request.on('error', () => {});
  return response;
}

describe('draining', () => {
  test('lets a blob under way arrive in whole, takes no new connection, and ends the one that was kept', async () => {
    const agent = new Agent({ keepAlive: true });
    const response = await open(proxy.url(`team/app/blobs/${digest}`), agent);
    const drained = proxy.proxy.drain(aMinuteMs);
    await expect.poll(() => proxy.proxy.server.listening).toBe(false);
    expect(await call(proxy.url('team/app/manifests/v1'))).toMatchObject({
      status: undefined,
      failure: 'ECONNREFUSED',
    });

    const closed = once(response.socket, 'close');
    goOn();
    expect(digestOf(Buffer.concat(await response.toArray()))).toBe(digest);
    await drained;
    await closed;
    agent.destroy();
  });

  test('does not wait for connections without a request', async () => {
    const idle = connect(proxy.port, '127.0.0.1');
    await once(idle, 'connect');
    const used = connect(proxy.port, '127.0.0.1').setEncoding('utf8');
    used.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [answer] = await once(used, 'data');
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    const closed = Promise.all([once(idle, 'close'), once(used, 'close')]);
    idle.resume();
    used.resume();
    await proxy.proxy.drain(aMinuteMs);
    await closed;
  });

  test('does not cut a connection that was opened a moment ago, before its first request', async () => {
    const early = connect(proxy.port, '127.0.0.1').setEncoding('utf8');
    await once(proxy.proxy.server, 'connection');
    const drained = proxy.proxy.drain(aMinuteMs);
    await expect.poll(() => proxy.proxy.server.listening, { interval: 5 }).toBe(false);
    early.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const answer = (await early.toArray()).join('');
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
    await drained;
  });

  test('takes all the connections that wait in the kernel', async () => {
    const early = Array.from({ length: 50 }, () => {
      const socket = connect(proxy.port, '127.0.0.1').setEncoding('utf8');
      socket.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
      return socket;
    });
    const drained = proxy.proxy.drain(aMinuteMs);
    const answers = await Promise.all(early.map(async (socket) => (await socket.toArray()).join('').split('\r\n')[0]));
    expect(answers).toEqual(early.map(() => 'HTTP/1.1 200 OK'));
    await drained;
  });

  test('serves a connection that was kept once more, and ends it with the answer', async () => {
    const kept = connect(proxy.port, '127.0.0.1').setEncoding('utf8');
    const ask = () => kept.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    ask();
    expect((await once(kept, 'data'))[0]).toMatch(/\r\nconnection: keep-alive\r\n/i);
    const drained = proxy.proxy.drain(aMinuteMs);
    await expect.poll(() => proxy.proxy.server.listening, { interval: 5 }).toBe(false);
    ask();
    const answer = (await kept.toArray()).join('');
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
    await drained;
  });

  test('leaves the caller of a long answer time to ask again', async () => {
    const agent = new Agent({ keepAlive: true });
    const served = once(proxy.proxy.server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
    const response = await open(proxy.url(`team/app/blobs/${digest}`), agent);
    const { socket } = response;
    const answered = once((await served)[1], 'close');
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const drained = proxy.proxy.drain(aMinuteMs);
    await expect.poll(() => proxy.proxy.server.listening).toBe(false);
    vi.advanceTimersByTime(900);
    goOn();
    await response.toArray();
    await answered;
    vi.advanceTimersByTime(900);
    await turn();
    const again = await open(proxy.url('team/app/manifests/v1'), agent);
    expect(again.socket).toBe(socket);
    expect(again.headers.connection).toBe('close');
    await again.toArray();
    await drained;
    agent.destroy();
  });

  test('ends a connection with the answer to a request that came while draining', async () => {
    const socket = connect(proxy.port, '127.0.0.1');
    const path = new URL(proxy.url(`team/app/blobs/${digest}`)).pathname;
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await registry.arrival(({ url }) => url.includes('/blobs/'));
    const drained = proxy.proxy.drain(aMinuteMs);
    await expect.poll(() => proxy.proxy.server.listening).toBe(false);
    const second = once(proxy.proxy.server, 'request');
    socket.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await second;
    goOn();
    const answers = Buffer.concat(await socket.toArray()).toString('latin1');
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(answers.slice(answers.lastIndexOf('HTTP/1.1'))).toMatch(/\r\nconnection: close\r\n/i);
    await drained;
  });

  test('cuts what is still under way when the grace is over', async () => {
    const agent = new Agent();
    const response = await open(proxy.url(`team/app/blobs/${digest}`), agent);
    const [request] = registry.requests.filter(({ url }) => url.includes('/blobs/'));
    await proxy.proxy.drain(20);
    await expect(response.toArray()).rejects.toThrow(/aborted|ECONNRESET/);
    expect(await request?.ended).toBe('broken');
    expect(await proxy.operation()).toMatchObject({ status: 200, error: 'CANCELLED' });
  });

  test('cuts with a reset, so that a caller without chunks does not take a part for the whole', async () => {
    const socket = connect(proxy.port, '127.0.0.1');
    const reset = once(socket, 'error');
    const path = new URL(proxy.url(`team/app/blobs/${digest}`)).pathname;
    socket.write(`GET ${path} HTTP/1.0\r\nHost: localhost\r\n\r\n`);
    await registry.arrival(({ url }) => url.includes('/blobs/'));
    socket.resume();
    await proxy.proxy.drain(20);
    expect((await reset)[0]).toMatchObject({ code: 'ECONNRESET' });
  });

  test('ends at once when there is nothing to wait for, and may be asked for twice', async () => {
    await Promise.all([proxy.proxy.drain(aMinuteMs), proxy.proxy.drain(aMinuteMs)]);
    await proxy.proxy.drain(aMinuteMs);
  });
});
