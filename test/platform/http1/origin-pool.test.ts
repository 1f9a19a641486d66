import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { answer, answering, ask, startPeers } from './raw-server.ts';

const hello = answering(() => answer('hello'));

describe('a connection', () => {
  test('serves one request after the other', async () => {
    const { pool, peers } = await startPeers(hello);
    for (const _ of [1, 2, 3])
      expect(await ask(pool).over).toMatchObject({ status: 200, body: 'hello', error: undefined });
    expect(peers).toHaveLength(1);
  });

  test('is kept after a HEAD, 204 and 304, which have no body', async () => {
    const heads = ['HTTP/1.1 200 OK', 'HTTP/1.1 204 No Content', 'HTTP/1.1 304 Not Modified'];
    const { pool, peers } = await startPeers(answering((_, at) => `${heads[at]}\r\nETag: x\r\n\r\n`));
    for (const [at, method] of ['HEAD', 'GET', 'GET'].entries()) {
      const heard = await ask(pool, { method }).over;
      expect(heard).toMatchObject({ status: [200, 204, 304][at], body: '', error: undefined });
    }
    expect(peers).toHaveLength(1);
  });

  test('is opened for each request that finds none free; the one used last serves the next', async () => {
    const { pool, peers } = await startPeers(hello);
    await Promise.all([ask(pool).over, ask(pool).over]);
    expect(peers).toHaveLength(2);
    for (const _ of [1, 2, 3]) await ask(pool).over;
    expect(peers.map(({ received }) => received().split('GET').length - 1).sort()).toEqual([1, 4]);
  });

  test('serves those that wait where there are no more to be had, in their order', async () => {
    const { pool, peers } = await startPeers(hello, { connections: 1 });
    const paths = ['/1', '/2', '/3', '/4'];
    const all = await Promise.all(paths.map((path) => ask(pool, { path }).over));
    expect(all.map(({ body }) => body)).toEqual(paths.map(() => 'hello'));
    expect(peers).toHaveLength(1);
    expect(peers[0]?.received().match(/GET \/\d/g)).toEqual(paths.map((path) => `GET ${path}`));
  });

  test.each<[why: string, text: string]>([
    ['says that it closes', answer('hello', 'Connection: close')],
    ['says so among others, in capitals', answer('hello', 'Connection: X-A, CLOSE')],
    ['is of HTTP/1.0', answer('hello').replace('1.1', '1.0')],
    ['has bytes behind its end', `${answer('hello')}HTTP/1.1 200 OK\r\n\r\n`],
    ['is kept for no more than a second', answer('hello', 'Keep-Alive: timeout=1')],
  ])('is closed behind an answer that %s', async (_why, text) => {
    const { pool, peers } = await startPeers(answering(() => text));
    expect(await ask(pool).over).toMatchObject({ body: 'hello', error: undefined });
    await peers[0]?.closed;
    expect(await ask(pool).over).toMatchObject({ body: 'hello', error: undefined });
    expect(peers).toHaveLength(2);
  });

  test('is kept behind an answer of HTTP/1.0 that says so', async () => {
    const { pool, peers } = await startPeers(
      answering(() => answer('x', 'Connection: Keep-Alive').replace('1.1', '1.0')),
    );
    await ask(pool).over;
    await ask(pool).over;
    expect(peers).toHaveLength(1);
  });

  test('is closed when bytes come that nobody asked for', async () => {
    const { pool, peers } = await startPeers(hello);
    await ask(pool).over;
    peers[0]?.socket.write(answer('evil'));
    await peers[0]?.closed;
    expect(await ask(pool).over).toMatchObject({ body: 'hello' });
    expect(peers).toHaveLength(2);
  });

  test('is closed when nobody used it for long enough', async () => {
    const { pool, peers } = await startPeers(hello, { keepAliveMs: 50 });
    await ask(pool).over;
    await peers[0]?.closed;
    expect(await ask(pool).over).toMatchObject({ body: 'hello' });
    expect(peers).toHaveLength(2);
  });
});

describe('an answer', () => {
  test('without a length goes on until the connection ends', async () => {
    const { pool } = await startPeers(({ socket }) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nhello')),
    );
    expect(await ask(pool).over).toMatchObject({ body: 'hello', error: undefined });
  });

  test.each([
    ['a body that is cut', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello'],
    ['chunks that are cut', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['a head that is cut', 'HTTP/1.1 200 OK\r\n'],
    ['nothing', ''],
  ])('that is %s fails', async (_what, text) => {
    const { pool } = await startPeers(({ socket }) => socket.once('data', () => socket.end(text)));
    const { error } = await ask(pool).over;
    expect(error).toMatchObject({ code: 'UND_ERR_SOCKET' });
    expect(error?.isStale).toBeUndefined();
  });

  test('that is no HTTP fails, and its connection is closed', async () => {
    const { pool, peers } = await startPeers(answering(() => 'SSH-2.0-s3cret\r\n'));
    const { error } = await ask(pool).over;
    expect(error).toMatchObject({ code: 'HPE_INVALID_CONSTANT' });
    expect(String(error)).not.toContain('s3cret');
    await peers[0]?.closed;
  });

  test.each([
    ['its head', '', 'UND_ERR_HEADERS_TIMEOUT'],
    ['the rest of its head', 'HTTP/1.1 200 OK\r\n', 'UND_ERR_HEADERS_TIMEOUT'],
    ['anything but 103', 'HTTP/1.1 103 Early\r\n\r\n', 'UND_ERR_HEADERS_TIMEOUT'],
    ['its body', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello', 'UND_ERR_BODY_TIMEOUT'],
  ])('of which %s does not come is given up', async (_what, text, code) => {
    const { pool, peers } = await startPeers(
      answering(() => text),
      { headersMs: 40, idleBodyMs: 40 },
    );
    expect((await ask(pool).over).error).toMatchObject({ code });
    await peers[0]?.closed;
  });

  test('is waited for longer by a request that says so', async () => {
    const { pool } = await startPeers(
      ({ socket }) =>
        socket.once('data', () => setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), 200)),
      { headersMs: 40, idleBodyMs: 40 },
    );
    expect((await ask(pool, { headersTimeout: 10_000 }).over).status).toBe(200);
  });

  test('whose body comes slowly is waited for', async () => {
    const { pool } = await startPeers(
      ({ socket }) =>
        socket.once('data', async () => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n');
          for (let at = 0; at < 10; at += 1) {
            await wait(30);
            socket.write('x');
          }
        }),
      { idleBodyMs: 200 },
    );
    expect(await ask(pool).over).toMatchObject({ body: 'x'.repeat(10), error: undefined });
  });
});

describe('a handler', () => {
  const chunks = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n';

  test('that pauses gets nothing until it resumes, and no time runs meanwhile', async () => {
    const { pool, peers } = await startPeers(
      answering(() => chunks),
      { idleBodyMs: 40, headersMs: 40 },
    );
    const heard = ask(pool, {}, { onData: (one) => one.pause() });
    await heard.started;
    for (const body of ['a', 'ab', 'abc']) {
      await expect.poll(() => heard.body).toBe(body);
      await wait(120);
      expect(heard).toMatchObject({ body, error: undefined });
      heard.resume();
    }
    expect(await heard.over).toMatchObject({ body: 'abc', error: undefined });
    expect(await ask(pool).over).toMatchObject({ body: 'abc' });
    expect(peers).toHaveLength(1);
  });

  test('that pauses before the body, and while the connection ends, gets all of it', async () => {
    const { pool } = await startPeers(({ socket }) => socket.once('data', () => socket.end(chunks)));
    const heard = ask(pool, {}, { onHead: (one) => one.pause(), onData: (one) => one.pause() });
    await heard.started;
    await wait(20);
    for (const body of ['', 'a', 'ab', 'abc']) {
      expect(heard.body).toBe(body);
      heard.resume();
    }
    expect(await heard.over).toMatchObject({ body: 'abc', error: undefined });
  });

  test('that pauses and resumes at once gets everything in order', async () => {
    const { pool } = await startPeers(answering(() => chunks));
    const both = (one: { pause(): void; resume(): void }) => {
      one.pause();
      one.resume();
    };
    expect(await ask(pool, {}, { onHead: both, onData: both }).over).toMatchObject({ body: 'abc', error: undefined });
  });

  test.each(['onStart', 'onHead', 'onData', 'onEnd'] as const)(
    'that throws in %s hears its own error, once',
    async (hook) => {
      const { pool } = await startPeers(hello);
      const thrown = new Error('mine');
      const throwing = () => {
        throw thrown;
      };
      const heard = await ask(pool, {}, { [hook]: throwing }).over;
      await expect.poll(() => heard.error).toBe(thrown);
      expect(heard.events.filter((event) => event === 'error')).toHaveLength(1);
      expect(await ask(pool).over).toMatchObject({ body: 'hello' });
    },
  );

  test.each(['onStart', 'onHead', 'onData'] as const)(
    'that aborts in %s hears its reason, and nothing more',
    async (hook) => {
      const { pool, peers } = await startPeers(answering(() => chunks));
      const reason = new Error('enough');
      const heard = await ask(pool, {}, { [hook]: (one: { abort(reason: Error): void }) => one.abort(reason) }).over;
      expect(heard.error).toBe(reason);
      expect(heard.events.at(-1)).toBe('error');
      if (hook === 'onStart') expect(peers).toEqual([]);
      else await peers[0]?.closed;
    },
  );

  test('that aborts what waits for a connection asks for nothing', async () => {
    const { pool, peers } = await startPeers(() => {}, { connections: 1 });
    const first = ask(pool, { path: '/first' });
    await expect.poll(() => peers[0]?.received()).toMatch(/first/);
    const second = ask(pool, { path: '/second' });
    second.abort(new Error('enough'));
    expect((await second.over).error).toMatchObject({ message: 'enough' });
    peers[0]?.socket.write(answer('hello'));
    expect(await first.over).toMatchObject({ body: 'hello' });
    expect(peers[0]?.received()).not.toMatch(/second/);
  });
});

describe('a connection that the server closes just as it is used', () => {
  test.each(['end', 'reset'])('by an %s fails the request as one that may be sent again', async (how) => {
    const { pool } = await startPeers((peer) => {
      peer.until(/first/).then(() => peer.socket.write(answer('hello')));
      peer.until(/second/).then(() => (how === 'end' ? peer.socket.end() : peer.socket.resetAndDestroy()));
    });
    await ask(pool, { path: '/first' }).over;
    const { error } = await ask(pool, { path: '/second', method: 'POST', body: 'x' }).over;
    expect(error).toMatchObject({ code: how === 'end' ? 'UND_ERR_SOCKET' : 'ECONNRESET', isStale: true });
  });

  test('does not when it had begun to answer, or was new', async () => {
    const { pool } = await startPeers((peer, index) => {
      peer.until(/first/).then(() => (index === 0 ? peer.socket.write(answer('hello')) : peer.socket.end()));
      peer.until(/second/).then(() => peer.socket.end('H'));
    });
    await ask(pool, { path: '/first' }).over;
    expect((await ask(pool, { path: '/second' }).over).error?.isStale).toBeUndefined();
    expect((await ask(pool, { path: '/first' }).over).error?.isStale).toBeUndefined();
  });
});

describe('a pool', () => {
  test('that is closed lets end what it has, and takes nothing more', async () => {
    const { pool, peers } = await startPeers(() => {}, { connections: 1 });
    const [first, second] = [ask(pool, { path: '/first' }), ask(pool, { path: '/second' })];
    const closed = pool.close();
    expect((await ask(pool).over).error).toMatchObject({ code: 'UND_ERR_CLOSED' });
    await expect.poll(() => peers[0]?.received()).toMatch(/first/);
    peers[0]?.socket.write(answer('1'));
    await expect.poll(() => peers[0]?.received()).toMatch(/second/);
    peers[0]?.socket.write(answer('2'));
    expect([(await first.over).body, (await second.over).body]).toEqual(['1', '2']);
    await closed;
    await peers[0]?.closed;
  });

  test('that is destroyed ends all at once: what is answered, what waits, and what is dialled', async () => {
    const { pool, peers } = await startPeers(() => {}, { connections: 1 });
    const first = ask(pool);
    await expect.poll(() => peers[0]?.received()).toMatch(/GET/);
    const second = ask(pool);
    await pool.destroy();
    for (const { over } of [first, second]) expect((await over).error).toMatchObject({ code: 'UND_ERR_DESTROYED' });
    expect((await ask(pool).over).error).toMatchObject({ code: 'UND_ERR_DESTROYED' });
    await peers[0]?.closed;
    await pool.close();
  });

  test('refuses what is not one request, and dials nobody for it', async () => {
    const { pool, peers } = await startPeers(hello);
    const heard = await ask(pool, { path: '/ HTTP/1.1\r\nX: y' }).over;
    expect(heard).toMatchObject({ events: ['error'], error: { code: 'UND_ERR_INVALID_ARG' } });
    expect(peers).toEqual([]);
  });

  test('whose connections fail fails each request once, those that wait too', async () => {
    let dials = 0;
    const connect = (_receive: unknown, callback: (error: Error) => void) => {
      dials += 1;
      setImmediate(() => callback(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })));
      return () => {};
    };
    const { pool } = await startPeers(hello, { connections: 1, connect });
    const all = await Promise.all([1, 2, 3].map(() => ask(pool).over));
    expect(all.map(({ error }) => error?.code)).toEqual(['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED']);
    expect(dials).toBe(3);
  });

  test('lets a request end that another connection has taken, when the one opened for it fails', async () => {
    const failures: ((error: Error) => void)[] = [];
    const { pool, peers } = await startPeers(
      () => {},
      (connect) => ({
        connect: (receive, callback) => {
          if (failures.push(callback) === 2) return connect(receive, callback);
          return () => {};
        },
      }),
    );
    const [first, second] = [ask(pool, { path: '/first' }), ask(pool, { path: '/second' })];
    await expect.poll(() => peers[0]?.received()).toMatch(/first/);
    failures[0]?.(new Error('refused'));
    peers[0]?.socket.write(answer('hello'));
    expect(await first.over).toMatchObject({ events: ['start', 'head', 'data', 'end'], body: 'hello' });
    await expect.poll(() => peers[0]?.received()).toMatch(/second/);
    peers[0]?.socket.write(answer('hello'));
    expect(await second.over).toMatchObject({ body: 'hello', error: undefined });
  });

  test('answers undici’s request() as undici’s own do', async () => {
    const { pool, origin } = await startPeers(answering(() => answer('{"a":1}', 'X-A: 1', 'x-a: 2')));
    const { statusCode, headers, body } = await pool.request({ origin, path: '/', method: 'GET' });
    expect([statusCode, headers['x-a'], await body.json()]).toEqual([200, ['1', '2'], { a: 1 }]);
    const leaving = new AbortController();
    leaving.abort(new Error('left'));
    await expect(pool.request({ origin, path: '/', method: 'GET', signal: leaving.signal })).rejects.toThrow('left');
  });
});
