import { describe, expect, test } from 'vitest';
import type { BodySink, BodySource } from '../../../platform/http1/request.ts';
import { answer, ask, type Peer, startPeers } from './raw-server.ts';

/** A source that the test drives, and what it was told. */
function makeSource(length?: number) {
  const told: string[] = [];
  const started = Promise.withResolvers<BodySink>();
  const source: BodySource = {
    length,
    start(sink) {
      told.push('start');
      started.resolve(sink);
    },
    resume: () => void told.push('resume'),
    stop: () => void told.push('stop'),
  };
  return { source, told, started: started.promise };
}

/** A source that gives all these at once. */
function giving(chunks: readonly string[], length?: number): BodySource & { told: string[] } {
  const told: string[] = [];
  return {
    ...{ length, told },
    start(sink) {
      told.push('start');
      for (const chunk of chunks) sink.write(Buffer.from(chunk));
      sink.end();
    },
    resume: () => void told.push('resume'),
    stop: () => void told.push('stop'),
  };
}

const put = { method: 'PUT', path: '/blob' } as const;
/** Answers once what came matches. */
const answerTo =
  (pattern: RegExp, text = answer('done')) =>
  (peer: Peer) =>
    void peer.until(pattern).then(() => peer.socket.write(text));

describe('the body of a request', () => {
  test.each([
    ['of known length', 300_000],
    ['in chunks', undefined],
  ] as const)('%s is released piece by piece when the socket is done with it', async (_what, length) => {
    const { pool } = await startPeers(answerTo(/z/));
    const pieces = ['x', 'y', 'z'].map((letter) => Buffer.alloc(100_000, letter));
    const released: Buffer[] = [];
    const { source, started } = makeSource(length);
    const asked = ask(pool, { ...put, body: { ...source, release: (chunk) => void released.push(chunk) } });
    const sink = await started;
    for (const piece of pieces) sink.write(piece);
    sink.end();
    expect(released).toEqual([]);
    await asked.over;
    expect(released).toEqual(pieces);
  });

  test.each<[what: string, body: string | Buffer, length: number, sent: string]>([
    ['text', 'héllo', 6, Buffer.from('héllo').toString('latin1')],
    ['bytes', Buffer.from([0, 255, 13, 10]), 4, '\0\xff\r\n'],
    ['many bytes', Buffer.alloc(300_000, 'x'), 300_000, 'x'.repeat(300_000)],
  ])('that is %s is sent with its length', async (_what, body, length, sent) => {
    const { pool, peers } = await startPeers(({ socket, received }) => {
      socket.on(
        'data',
        () => received().length >= length + received().indexOf('\r\n\r\n') + 4 && socket.write(answer('done')),
      );
    });
    expect(await ask(pool, { ...put, body }).over).toMatchObject({ body: 'done', error: undefined });
    const [head = '', ...rest] = peers[0]?.received().split('\r\n\r\n') ?? [];
    expect(head).toMatch(new RegExp(`\r\ncontent-length: ${length}$`));
    expect(rest.join('\r\n\r\n')).toBe(sent);
  });

  test('comes in chunks where its length is not known, none of them empty', async () => {
    const { pool, peers } = await startPeers(answerTo(/\r\n0\r\n\r\n$/));
    const source = giving(['hello', '', 'x'.repeat(17)]);
    expect(await ask(pool, { ...put, body: source }).over).toMatchObject({ body: 'done', error: undefined });
    const [head, body] = peers[0]?.received().split(/\r\n\r\n/) ?? [];
    expect(head).toMatch(/transfer-encoding: chunked$/);
    expect(body).toBe(`5\r\nhello\r\n11\r\n${'x'.repeat(17)}\r\n0`);
    expect(source.told).toEqual(['start']);
  });

  test('leaves the connection to the next request', async () => {
    const { pool, peers } = await startPeers((peer) => {
      peer.until(/hello$/).then(() => peer.socket.write(answer('1')));
      peer.until(/again$/).then(() => peer.socket.write(answer('2')));
    });
    expect(await ask(pool, { ...put, body: giving(['hel', 'lo'], 5) }).over).toMatchObject({ body: '1' });
    expect(await ask(pool, { ...put, body: 'again' }).over).toMatchObject({ body: '2' });
    expect(peers).toHaveLength(1);
  });

  test.each<[what: string, chunks: string[], length: number]>([
    ['longer', ['hello!'], 5],
    ['longer by a chunk', ['hello', '!'], 5],
    ['shorter', ['hell'], 5],
    ['not there', [], 5],
  ])('that is %s than was promised fails, and never looks whole', async (_what, chunks, length) => {
    const { pool, peers } = await startPeers(() => {});
    const { error } = await ask(pool, { ...put, body: giving(chunks, length) }).over;
    expect(error).toMatchObject({ code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' });
    await peers[0]?.closed;
    expect(peers[0]?.received()).not.toMatch(/!/);
  });

  test('whose source breaks off, or throws, fails with that, and the connection with it', async () => {
    const { pool, peers } = await startPeers(() => {});
    const broken = new Error('the caller went away');
    const throwing = {
      ...giving([]),
      start: () => {
        throw broken;
      },
    };
    expect((await ask(pool, { ...put, body: throwing }).over).error).toBe(broken);
    const { source, started } = makeSource();
    const asked = ask(pool, { ...put, body: source });
    const sink = await started;
    sink.write(Buffer.from('part'));
    sink.fail(broken);
    expect((await asked.over).error).toBe(broken);
    await Promise.all(peers.map(({ closed }) => closed));
    expect(peers.at(-1)?.received()).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(sink.write(Buffer.from('more'))).toBe(false);
  });

  test('waits for a registry that does not read, and goes on when it does', async () => {
    const { pool, peers } = await startPeers(({ socket }) => socket.pause());
    const { source, told, started } = makeSource();
    const asked = ask(pool, { ...put, body: source });
    const sink = await started;
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    let sent = 1;
    while (sink.write(chunk)) sent += 1;
    expect(sent).toBeLessThan(64);
    expect(told).toEqual(['start']);
    peers[0]?.socket.resume();
    await expect.poll(() => told).toEqual(['start', 'resume']);
    sink.end();
    await peers[0]?.until(/\r\n0\r\n\r\n$/);
    peers[0]?.socket.write(answer('done'));
    expect(await asked.over).toMatchObject({ body: 'done', error: undefined });
  });

  test('that the registry takes no more of is given up, and a source that is slow is not', async () => {
    const { pool, peers } = await startPeers(({ socket }, index) => index === 0 && socket.pause(), {
      ...{ idleBodyMs: 60, headersMs: 60 },
    });
    const stuck = makeSource();
    const asked = ask(pool, { ...put, body: stuck.source });
    const sink = await stuck.started;
    while (sink.write(Buffer.alloc(1024 * 1024)));
    expect((await asked.over).error).toMatchObject({ code: 'ERR_REQUEST_BODY_TIMEOUT' });
    expect(stuck.told).toEqual(['start', 'stop']);
    peers[0]?.socket.resume();
    await peers[0]?.closed;

    const slow = makeSource(2);
    const patient = ask(pool, { ...put, body: slow.source });
    const slowSink = await slow.started;
    slowSink.write(Buffer.from('a'));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(patient.error).toBeUndefined();
    slowSink.write(Buffer.from('b'));
    slowSink.end();
    expect((await patient.over).error).toMatchObject({ code: 'UND_ERR_HEADERS_TIMEOUT' });
  });
});

describe('an answer that comes before the body was sent', () => {
  test('is delivered, stops the source, and ends the connection', async () => {
    const { pool, peers } = await startPeers(
      answerTo(/part/, 'HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch'),
    );
    const { source, told, started } = makeSource(1_000_000);
    const asked = ask(pool, { ...put, body: source });
    const sink = await started;
    sink.write(Buffer.from('part'));
    expect(await asked.over).toMatchObject({ status: 413, body: 'much', error: undefined });
    expect(told).toEqual(['start', 'stop']);
    expect(sink.write(Buffer.from('more'))).toBe(false);
    sink.end();
    sink.fail(new Error('too late'));
    await peers[0]?.closed;
    expect(peers[0]?.received()).not.toMatch(/more/);
  });

  test('is delivered from a registry that does not read, and closes', async () => {
    const { pool } = await startPeers(({ socket }) => {
      socket.pause();
      socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno');
    });
    const { source, told, started } = makeSource();
    const asked = ask(pool, { ...put, body: source });
    const sink = await started;
    while (sink.write(Buffer.alloc(1024 * 1024)));
    expect(await asked.over).toMatchObject({ status: 401, body: 'no', error: undefined });
    expect(told).toEqual(['start', 'stop']);
  });

  test('does not come: abort stops the source, too', async () => {
    const { pool, peers } = await startPeers(() => {});
    const { source, told, started } = makeSource();
    const asked = ask(pool, { ...put, body: source });
    await started;
    asked.abort(new Error('enough'));
    expect((await asked.over).error).toMatchObject({ message: 'enough' });
    expect(told).toEqual(['start', 'stop']);
    await peers[0]?.closed;
  });
});

describe('a source that is never started', () => {
  test.each(['refused', 'without a connection', 'closed'])('is stopped: %s', async (how) => {
    const connect = (_receive: unknown, callback: (error: Error) => void) => {
      setImmediate(() => callback(new Error('x')));
      return () => {};
    };
    const { pool } = await startPeers(() => {}, how === 'without a connection' ? { connect } : {});
    if (how === 'closed') await pool.close();
    const { source, told } = makeSource();
    const { error } = await ask(pool, { ...put, path: how === 'refused' ? 'x' : '/', body: source }).over;
    expect(error).toBeDefined();
    expect(told).toEqual(['stop']);
  });
});

describe('Expect: 100-continue', () => {
  const expecting = { ...put, expectContinue: true };

  test('holds the body until it is wanted', async () => {
    const { pool, peers } = await startPeers((peer) => {
      answerTo(/hello$/)(peer);
      answerTo(/again$/)(peer);
    });
    const { source, told, started } = makeSource(5);
    const asked = ask(pool, { ...expecting, body: source });
    await expect.poll(() => peers[0]?.received()).toMatch(/content-length: 5\r\nexpect: 100-continue\r\n\r\n$/);
    expect(told).toEqual([]);
    peers[0]?.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    const sink = await started;
    sink.write(Buffer.from('hello'));
    sink.end();
    expect(await asked.over).toMatchObject({ body: 'done', error: undefined });
    expect(told).toEqual(['start']);
    expect(await ask(pool, { ...put, body: 'again' }).over).toMatchObject({ body: 'done' });
    expect(peers).toHaveLength(1);
  });

  test.each([401, 417, 307])('is answered with %d, and nothing is sent', async (status) => {
    const { pool, peers } = await startPeers(answerTo(/expect/, `HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`));
    const { source, told } = makeSource();
    expect(await ask(pool, { ...expecting, body: source }).over).toMatchObject({ status, error: undefined });
    expect(told).toEqual(['stop']);
    await peers[0]?.closed;
    expect(peers[0]?.received()).toMatch(/\r\n\r\n$/);
  });

  test('is not waited for very long, and an origin that was silent is not asked again', async () => {
    let now = 0;
    const { pool, peers } = await startPeers(
      (peer) => {
        answerTo(/hello$/)(peer);
        answerTo(/second[^!]*hello$/)(peer);
      },
      { continueMs: 20, now: () => now },
    );
    expect(await ask(pool, { ...expecting, body: giving(['hello'], 5) }).over).toMatchObject({ body: 'done' });
    await ask(pool, { ...expecting, path: '/second', body: giving(['hello'], 5) }).over;
    expect(peers[0]?.received()).toMatch(/expect: 100-continue[^!]*\/second/);
    expect(peers[0]?.received().split('/second')[1]).not.toMatch(/expect/);
    now = 60_000;
    ask(pool, { ...expecting, path: '/third', body: giving(['hello'], 5) });
    expect(await peers[0]?.until(/third[^!]*\r\n\r\n/)).toMatch(/third[^!]*expect/);
  });

  test('of a connection that ends is one that may be sent again: nothing was', async () => {
    const { pool } = await startPeers((peer) => {
      peer.until(/first/).then(() => peer.socket.write(answer('x')));
      peer.until(/expect/).then(() => peer.socket.end());
    });
    await ask(pool, { path: '/first' }).over;
    const { source, told } = makeSource();
    expect((await ask(pool, { ...expecting, body: source }).over).error).toMatchObject({ isStale: true });
    expect(told).toEqual(['stop']);
  });

  test('is not said of no body', async () => {
    const { pool, peers } = await startPeers(answerTo(/\r\n\r\n$/));
    await ask(pool, { ...expecting, body: giving([], 0) }).over;
    expect(peers[0]?.received()).not.toMatch(/expect/);
  });
});
