import { once } from 'node:events';
import type { Http2ServerResponse } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { type KubernetesClient, openKubernetesClient, type WatchEvent } from '../../../platform/kubernetes/client.ts';
import { resources } from '../../../platform/kubernetes/object.ts';
import { startPacketEater } from './support/packet-eater.ts';
import { type Answer, beginWatch, eventLine, sendStatus, startScriptedApi } from './support/scripted-api.ts';

const object = (name: string, version = '5') => ({ metadata: { namespace: 'demo', name, resourceVersion: version } });

/** One watch, and what it brought. */
function watch(client: KubernetesClient, signal = new AbortController().signal) {
  const events: WatchEvent[] = [];
  const arrived = Promise.withResolvers<void>();
  const ended = client.watch(resources.secrets, { namespace: 'demo', resourceVersion: '4', signal }, (event) => {
    events.push(event);
    arrived.resolve();
  });
  ended.catch(() => {});
  return { events, ended, arrived: arrived.promise };
}

async function openScripted(answer: Answer, settings: { streams?: number; pingMs?: number; timeoutMs?: number } = {}) {
  const { streams, ...options } = settings;
  const api = await startScriptedApi(answer, streams === undefined ? {} : { streams });
  const client = await openKubernetesClient({ kubeconfig: api.kubeconfig, ...options });
  const dispose = async (): Promise<void> => {
    await client.close();
    await api[Symbol.asyncDispose]();
  };
  return { api, client, [Symbol.asyncDispose]: dispose };
}

describe('a watch', () => {
  test('brings each event, however the network cuts it, and resolves when the server ends it', async () => {
    const bytes = Buffer.from(
      eventLine('ADDED', { ...object('a'), data: 'grün 🌿' }) + eventLine('BOOKMARK', { metadata: {} }),
    );
    await using scripted = await openScripted(async (_, response) => {
      for (const byte of bytes) {
        if (!response.write(Buffer.of(byte))) await once(response, 'drain');
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    });
    const { events, ended } = watch(scripted.client);
    await ended;
    expect(events).toEqual([
      { type: 'ADDED', object: { ...object('a'), data: 'grün 🌿' } },
      { type: 'BOOKMARK', object: { metadata: {} } },
    ]);
    expect(scripted.api.requests.map(({ path, query }) => `${path}?${query}`)).toEqual([
      '/api/v1/namespaces/demo/secrets?watch=true&resourceVersion=4',
    ]);
  });

  const line = eventLine('ADDED', object('a'));
  const gone = eventLine('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' });
  const faults: readonly [string, (response: Http2ServerResponse) => void, object][] = [
    ['a version that is gone, as an answer', (response) => sendStatus(response, 410, 'Expired'), { status: 410 }],
    [
      'a version that is gone, as an event',
      (response) => response.end(line + gone),
      { status: 410, reason: 'Expired' },
    ],
    ['a line that is not JSON', (response) => response.end(`${line}<html>\n`), { reason: 'InvalidAnswer' }],
    ['JSON that is no event', (response) => response.end(`${line}{"type":"ADDED"}\n`), { reason: 'InvalidAnswer' }],
    ['half a line at the end', (response) => response.end(line + line.slice(0, 20)), { status: 0 }],
    ['a limit', (response) => sendStatus(response, 429, 'TooMany', { 'retry-after': '2' }), { retryAfterMs: 2000 }],
    ['a missing right', (response) => sendStatus(response, 403, 'Forbidden'), { reason: 'Forbidden' }],
    [
      'a connection that breaks',
      (response) => response.write(line, () => response.stream.session?.destroy()),
      { status: 0 },
    ],
    [
      'a connection that breaks before the answer',
      (response) => response.stream.session?.destroy(),
      { reason: 'Unreachable' },
    ],
  ];
  test.each(faults)('ends with an error for %s', async (_, answer, expected) => {
    await using scripted = await openScripted((_request, response) => answer(response));
    const { ended } = watch(scripted.client);
    await expect(ended).rejects.toMatchObject({ name: 'KubernetesError', ...expected });
    await expect(ended).rejects.toThrow(/^watch secrets in demo: /);
  });

  test('ends with the error of a listener that fails', async () => {
    await using scripted = await openScripted((_, response) => void response.write(line));
    const failure = new Error('the listener failed');
    const watching = scripted.client.watch(
      resources.secrets,
      { resourceVersion: '4', signal: new AbortController().signal },
      () => {
        throw failure;
      },
    );
    await expect(watching).rejects.toBe(failure);
  });

  test('ends with the signal, and its place on the connection is free again', async () => {
    const closed: Promise<unknown>[] = [];
    await using scripted = await openScripted(
      (_, response) => {
        closed.push(once(response.stream, 'close'));
        response.write(line);
      },
      { streams: 1 },
    );
    for (let round = 0; round < 3; round += 1) {
      const abort = new AbortController();
      const { ended, arrived } = watch(scripted.client, abort.signal);
      await arrived;
      const reason = new Error('enough');
      abort.abort(reason);
      await expect(ended).rejects.toBe(reason);
      await Promise.all(closed);
    }
    expect([closed.length, scripted.api.sessions.size]).toEqual([3, 1]);
  });

  test('fails when its headers do not come in time', async () => {
    await using scripted = await openScripted(() => {}, { timeoutMs: 50 });
    await expect(watch(scripted.client).ended).rejects.toMatchObject({ status: 0 });
  });

  test('fails in time when a refusal begins and does not end', async () => {
    await using scripted = await openScripted((_, response) => response.stream.respond({ ':status': 503 }), {
      timeoutMs: 50,
    });
    await expect(watch(scripted.client).ended).rejects.toMatchObject({ status: 503 });
  });

  test('ends with the signal while its connection is being made, and others go on waiting for it', async () => {
    await using api = await startScriptedApi((_, response) => void response.write(line));
    const held = Promise.withResolvers<Socket>();
    await using network = createTcpServer((near) => held.resolve(near.pause()));
    await new Promise<void>((resolve) => network.listen(0, '127.0.0.1', resolve));
    const kubeconfig = await api.kubeconfigAt((network.address() as AddressInfo).port);
    await using client = await openKubernetesClient({ kubeconfig });
    const abort = new AbortController();
    const leaving = watch(client, abort.signal);
    const staying = watch(client);
    const near = await held.promise;
    const reason = new Error('enough');
    abort.abort(reason);
    await expect(leaving.ended).rejects.toBe(reason);
    const far = connect(api.port, '127.0.0.1');
    near.pipe(far).pipe(near);
    await staying.arrived;
  });

  test('fails at once when nobody listens', async () => {
    const scripted = await openScripted(() => {});
    await scripted.api[Symbol.asyncDispose]();
    await expect(watch(scripted.client).ended).rejects.toThrow(/no answer from the API server \(ECONNREFUSED\)/);
    await scripted.client.close();
  });

  test('says that the server does not speak HTTP/2', async () => {
    await using api = await startScriptedApi(() => {});
    const { key, cert } = api;
    const servers = [
      createHttpsServer({ key, cert }),
      createTlsServer({ key, cert }, (socket) => socket.on('error', () => {}).resume()),
    ];
    for (const server of servers) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      await using client = await openKubernetesClient({ kubeconfig: await api.kubeconfigAt(port) });
      await expect(watch(client).ended).rejects.toThrow('does not speak HTTP/2');
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('shares its connection with as many as the server allows, and no more', async () => {
    await using scripted = await openScripted((_, response) => void response.write(line), { streams: 10 });
    const watches = Array.from({ length: 35 }, () => watch(scripted.client));
    await Promise.all(watches.map(({ arrived }) => arrived));
    expect(scripted.api.sessions.size).toBe(4);
    const all = Promise.allSettled(watches.map(({ ended }) => ended));
    await scripted.client.close();
    expect((await all).every(({ status }) => status === 'rejected')).toBe(true);
  });

  test('goes to another connection when the server wants to leave the one there is', async () => {
    await using scripted = await openScripted((_, response) => void response.write(line));
    const first = watch(scripted.client);
    await first.arrived;
    const [session] = scripted.api.sessions;
    session?.goaway(0);
    // The news may arrive after a request that was on its way.
    while (scripted.api.sessions.size < 2) {
      const next = watch(scripted.client);
      await Promise.race([next.arrived, next.ended.catch(() => {})]);
    }
    const ending = Promise.allSettled([first.ended]);
    await scripted.client.close();
    await ending;
  });

  test('notices a network that eats packets by its pings', async () => {
    await using api = await startScriptedApi((_, response) => void response.write(line));
    await using network = await startPacketEater(api.port);
    await using client = await openKubernetesClient({ kubeconfig: await api.kubeconfigAt(network.port), pingMs: 100 });
    const first = watch(client);
    await first.arrived;
    network.eat();
    await expect(first.ended).rejects.toThrow('does not answer pings');
    await watch(client).arrived;
    expect(api.requests.length).toBe(2);
  });

  test('keeps a connection that answers pings', async () => {
    let pings = 0;
    await using scripted = await openScripted(
      (_, response) => {
        response.stream.session?.on('ping', () => {
          pings += 1;
          if (pings === 5) response.end(line);
        });
        beginWatch(response);
      },
      { pingMs: 20 },
    );
    const { events, ended } = watch(scripted.client);
    await ended;
    expect(events.length).toBe(1);
  });
});
