import { connect } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { findSecrets } from './support/canary.ts';
import { httpAnswer, lineOf, plainAnswer, valuesOf, type WireRequest } from './support/wire-registry.ts';
import { ask, base, login, manifest, openWireScene, ours, statusesOf } from './support/wire-scene.ts';

const closing = 'Connection: close';
const secrets = { password: login.password, grant: ours.replace('Basic ', '') };
const get = (path = manifest, ...headers: string[]) => ask(`GET ${path}`, ...headers, closing);
const isAuthorized = (request: WireRequest) => valuesOf(request, 'authorization').length > 0;

/** What content is asked for is answered with these bytes, and the rest as by any registry. */
const answering = (bytes: (request: WireRequest) => string | undefined) => (request: WireRequest) =>
  isAuthorized(request) && request.target !== '/v2/' ? bytes(request) : plainAnswer(request);

/** Whether the first request of a kind; the second is answered as by any registry. */
function once(bytes: string) {
  let isFirst = true;
  return answering((request) => {
    if (!isFirst) return plainAnswer(request);
    isFirst = false;
    return bytes;
  });
}

const smuggledAnswer = httpAnswer('200 OK', { 'X-Smuggled': '1' }, 'smuggled');
const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;

describe('an answer behind which there is another one', () => {
  test.each<[form: string, bytes: string]>([
    ['in the same piece', httpAnswer('200 OK', {}, 'first') + smuggledAnswer],
    ['behind one without a body', head('HTTP/1.1 204 No Content', 'Content-Length: 9') + smuggledAnswer],
    ['behind an error', httpAnswer('404 Not Found', {}, 'none') + smuggledAnswer],
    [
      'behind the last chunk',
      `${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')}5\r\nfirst\r\n0\r\n\r\n${smuggledAnswer}`,
    ],
    ['behind a redirect', head('HTTP/1.1 304 Not Modified', 'Content-Length: 100') + smuggledAnswer],
  ])('is nobody’s: %s', async (_form, bytes) => {
    const { registry, exchange } = await openWireScene({ answer: once(bytes) });
    const first = await exchange(get());
    expect(first).not.toMatch(/smuggled/i);
    const second = await exchange(get(`${base}/tags/list`));
    expect(statusesOf(second)).toEqual([200]);
    expect(second).toMatch(/found$/);
    expect(new Set(registry.requests.filter(isAuthorized).map(({ connection }) => connection)).size).toBe(2);
  });

  test('that comes later, on a connection that nobody uses, is nobody’s either', async () => {
    const { registry, exchange } = await openWireScene({
      answer: (request, socket) => {
        if (request.target.endsWith('v1')) setImmediate(() => setImmediate(() => socket.write(smuggledAnswer)));
        return plainAnswer(request);
      },
    });
    expect(statusesOf(await exchange(get()))).toEqual([200]);
    await vi.waitFor(() => expect(registry.connections()).toBe(0));
    expect(await exchange(get(`${base}/tags/list`))).toMatch(/found$/);
  });
});

describe('an answer that is none', () => {
  const length = 'Content-Length: 5';
  test.each<[form: string, bytes: string]>([
    ['of two lengths', `${head('HTTP/1.1 200 OK', length, 'Content-Length: 6')}first!`],
    ['of one length twice', `${head('HTTP/1.1 200 OK', length, length)}first`],
    ['of a list of lengths', `${head('HTTP/1.1 200 OK', 'Content-Length: 5, 5')}first`],
    [
      'of a length and chunks',
      `${head('HTTP/1.1 200 OK', length, 'Transfer-Encoding: chunked')}5\r\nfirst\r\n0\r\n\r\n`,
    ],
    [
      'of chunks in another coding',
      `${head('HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked')}5\r\nfirst\r\n0\r\n\r\n`,
    ],
    ['of no coding', `${head('HTTP/1.1 200 OK', 'Transfer-Encoding: identity')}first`],
    ['of a negative length', `${head('HTTP/1.1 200 OK', 'Content-Length: -5')}first`],
    ['of HTTP/1.0 in chunks', `${head('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked')}5\r\nfirst\r\n0\r\n\r\n`],
    ['with a NUL in its head', `${head('HTTP/1.1 200 OK', length, 'X: \0')}first`],
    ['with a bare line feed in its head', `${head('HTTP/1.1 200 OK', length, 'X: 1\nSet-Cookie: a=b')}first`],
    [
      'with a bare carriage return in its head',
      `${head('HTTP/1.1 200 OK', length, 'Docker-Content-Digest: a\rX: y')}first`,
    ],
    ['with a folded line', `${head('HTTP/1.1 200 OK', length, 'X: 1', ' Y: 2')}first`],
    ['with a space before a colon', `${head('HTTP/1.1 200 OK', 'Content-Length : 5')}first`],
    ['of another protocol', `${head('HTTP/1.1 101 Switching Protocols', 'Upgrade: h2c', 'Connection: Upgrade')}first`],
    ['of version 2', `${head('HTTP/2.0 200 OK', length)}first`],
    ['without a version', 'hello\r\n\r\n'],
    [
      'of a hundred answers before it',
      head('HTTP/1.1 103 Early Hints', 'Link: </x>').repeat(100) + httpAnswer('200 OK'),
    ],
    ['of a head without an end', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(1_000_000)}`],
    [
      'of a hundred thousand headers',
      head('HTTP/1.1 200 OK', ...Array.from({ length: 20_000 }, (_none, at) => `X-${at}: y`)),
    ],
  ])('is an error of the registry’s, and one alone: %s', async (_form, bytes) => {
    const { proxy, exchange } = await openWireScene({ answer: answering(() => bytes) });
    for (const asked of [get(), `${ask(`PUT ${manifest}`, 'Content-Length: 5', closing)}hello`]) {
      const answer = await exchange(asked);
      expect(statusesOf(answer)).toEqual([502]);
      expect(answer).not.toMatch(/first|set-cookie|upgrade: /i);
    }
    expect(proxy.operations.map(({ status }) => status)).toEqual([502, 502]);
  });

  test.each<[form: string, chunks: string]>([
    ['a size with a sign', '+5\r\nfirst\r\n0\r\n\r\n'],
    ['a size with a prefix', '0x5\r\nfirst\r\n0\r\n\r\n'],
    ['a size that overflows', '10000000000000005\r\nfirst\r\n0\r\n\r\n'],
    ['a size that is too small', '4\r\nfirst\r\n0\r\n\r\n'],
    ['line feeds alone', '5\nfirst\n0\n\n'],
    ['no last chunk', '5\r\nfirst\r\n'],
    ['extensions without end', `5;${'x'.repeat(100_000)}\r\nfirst\r\n0\r\n\r\n`],
    ['trailers without end', `5\r\nfirst\r\n0\r\n${'X: y\r\n'.repeat(50_000)}\r\n`],
  ])('in its chunks never looks whole: %s', async (_form, chunks) => {
    const bytes = head('HTTP/1.1 200 OK', 'Connection: close', 'Transfer-Encoding: chunked') + chunks;
    const { exchange } = await openWireScene({
      answer: (request, socket) => {
        const said = answering(() => bytes)(request);
        if (said === bytes) setImmediate(() => socket.end());
        return said;
      },
    });
    const answer = await exchange(get());
    // It was refused before its head went on, or the connection broke before the last chunk.
    expect([[502], [200], []]).toContainEqual(statusesOf(answer));
    expect(statusesOf(answer)[0] === 200 && answer.endsWith('\r\n0\r\n\r\n')).toBe(false);
  });
});

describe('what a registry puts into the headers of an answer', () => {
  test('reaches the caller as one value each, and nothing of this hop', async () => {
    const headers = {
      'Docker-Content-Digest': 'sha256:x;\tSet-Cookie=a\xff',
      'Set-Cookie': 'a=b',
      Connection: 'X-Hop, keep-alive',
      'X-Hop': '1',
      'Proxy-Authenticate': 'Basic',
      'WWW-Authenticate': 'Bearer realm="http://evil/"',
      'Alt-Svc': 'h3="evil:443"',
      Upgrade: 'h2c',
      Trailer: 'x',
      __proto__x: 'y',
    };
    const { exchange } = await openWireScene({ answer: answering(() => httpAnswer('200 OK', headers, 'found')) });
    const answer = await exchange(get());
    expect(answer).toMatch(/docker-content-digest: sha256:x;\tSet-Cookie=a\xff\r\n/i);
    expect(answer).not.toMatch(/\r\n(?:set-cookie|x-hop|proxy-auth|www-auth|alt-svc|upgrade|trailer)/i);
  });

  test.each<[form: string, location: string, status: number]>([
    ['relative', '/v2/team/app/blobs/uploads/1?a=b', 202],
    ['with userinfo', 'http://user:pw@127.0.0.1:9/upload', 202],
    ['of a scheme that runs', 'javascript:alert(1)', 502],
    ['of a file', 'file:///etc/passwd', 502],
    ['without a scheme', '//169.254.169.254/latest', 502],
    ['of metadata', 'http://169.254.169.254/latest', 502],
    ['that is very long', `/v2/team/app/blobs/uploads/1?${'a'.repeat(20_000)}`, 502],
    ['that is none', 'http://[', 502],
    ['with line breaks that are encoded', '/v2/team/app/blobs/uploads/1%0d%0aX:y?a=%0d%0a', 202],
    ['with our credential in it', `/v2/team/app/blobs/uploads/1?a=${encodeURIComponent(secrets.grant)}`, 502],
    ['with our password in it', `/v2/team/app/blobs/uploads/${login.password}`, 502],
  ])('never shows where an upload is: %s', async (_form, location, status) => {
    const { exchange, registry } = await openWireScene({
      answer: answering(() => httpAnswer('202 Accepted', { Location: location })),
    });
    const answer = await exchange(ask(`POST ${base}/blobs/uploads/`, closing, 'Content-Length: 0'));
    expect(statusesOf(answer)).toEqual([status]);
    expect(findSecrets(answer, secrets)).toEqual([]);
    expect(answer).not.toContain(String(registry.port));
    if (status === 202) expect(answer).toMatch(new RegExp(`\r\nlocation: ${base}/blobs/uploads/[\\w.-]+\r\n`, 'i'));
    else expect(answer).not.toMatch(/\r\nlocation:/i);
  });

  test('does not lead an upload into another connector through ourselves: there nobody has a right', async () => {
    const places: { self?: string } = {};
    const { exchange, proxy, other, registry } = await openWireScene({
      answer: answering(() =>
        httpAnswer('202 Accepted', {
          Location: `${places.self}/v2/namespaces/demo/connectors/other/team/app/blobs/uploads/`,
        }),
      ),
    });
    places.self = proxy.origin;
    const begun = await exchange(ask(`POST ${base}/blobs/uploads/`, closing, 'Content-Length: 0'));
    const location = /location: (\S+)/i.exec(begun)?.[1] ?? '';
    const answer = await exchange(`${ask(`PATCH ${location}`, closing, 'Content-Length: 5')}hello`);
    expect(statusesOf(answer)).toEqual([502]);
    expect(other.requests).toEqual([]);
    expect(registry.requests.map(lineOf)).toEqual(['POST /v2/team/app/blobs/uploads/']);
  });

  test('leads an upload to another connector’s registry without any credential', async () => {
    const places: { other?: string } = {};
    const { exchange, other } = await openWireScene({
      answer: answering(() =>
        httpAnswer('202 Accepted', { Location: `${places.other}/v2/secret/blobs/uploads/1?a=b` }),
      ),
    });
    places.other = other.origin;
    const begun = await exchange(ask(`POST ${base}/blobs/uploads/`, closing, 'Content-Length: 0'));
    const location = /location: (\S+)/i.exec(begun)?.[1] ?? '';
    await exchange(`${ask(`PATCH ${location}`, closing, 'Content-Length: 5', 'X-Of-Caller: 1')}hello`);
    expect(other.requests.map(({ headers }) => headers.map(([name]) => name).sort())).toEqual([
      ['connection', 'content-length', 'host'],
    ]);
  });

  const pushes: [string, string][] = [
    ['POST', `${base}/blobs/uploads/`],
    ['PUT', manifest],
    ['DELETE', manifest],
  ];
  const echoes: [string, (echo: string) => Record<string, string>][] = [
    ['a header', (echo) => ({ 'X-Echo': echo })],
    ['a Location', (echo) => ({ Location: `/v2/team/app/blobs/${encodeURIComponent(echo)}` })],
    ['a Location elsewhere', (echo) => ({ Location: `https://cdn.example.com/?t=${encodeURIComponent(echo)}` })],
    ['the digest', (echo) => ({ 'Docker-Content-Digest': echo })],
    ['the body', () => ({})],
  ];
  const rows = pushes.flatMap(([method, path]) =>
    [
      '200 OK',
      '201 Created',
      '202 Accepted',
      '400 Bad Request',
      '401 Unauthorized',
      '403 Forbidden',
      '500 Oops',
    ].flatMap((status) => echoes.map(([place, headers]) => [status, method, place, path, headers] as const)),
  );
  test.each(rows)('repeats no credential in a %s to %s, in %s', async (status, method, _place, path, headers) => {
    const echo = `${login.password} ${ours}`;
    const { exchange } = await openWireScene({
      answer: answering(() =>
        httpAnswer(status, headers(echo), JSON.stringify({ errors: [{ code: 'X', message: echo }] })),
      ),
    });
    const answer = await exchange(ask(`${method} ${path}`, closing, 'Content-Length: 0'));
    expect(statusesOf(answer)).toHaveLength(1);
    expect(findSecrets(answer, secrets)).toEqual([]);
  });
});

test('a caller who sends a head byte by byte is cut, and one who stops in a body too', async () => {
  const { proxy, registry } = await openWireScene({}, { idleMs: 300 });
  Object.assign(proxy.proxy.server, { headersTimeout: 200 });
  const closed = (bytes: string, drip: string) =>
    new Promise<void>((resolve) => {
      const socket = connect(proxy.port, '127.0.0.1');
      const timer = setInterval(() => drip !== '' && socket.write(drip), 50);
      socket.on('error', () => {});
      socket.on('data', () => {});
      socket.on('close', () => {
        clearInterval(timer);
        resolve();
      });
      socket.write(bytes);
    });
  await Promise.all([
    closed(`GET ${manifest} HTTP/1.1\r\n`, 'X: y\r\n'),
    closed(ask(`PUT ${manifest}`, 'Content-Length: 100'), ''),
    closed(ask(`PUT ${manifest}`, 'Content-Length: 1000000'), ''),
    closed(`${ask(`PUT ${manifest}`, 'Transfer-Encoding: chunked')}5\r\nhel`, ''),
  ]);
  await vi.waitFor(() => expect(registry.requests.filter(({ method }) => method === 'PUT')).toEqual([]));
  expect(registry.violations).toEqual([]);
});

test('a caller who asks for much at once, and reads nothing of it, has one request under way and leaves nothing', async () => {
  const { proxy, registry, exchange } = await openWireScene({
    answer: answering(({ target }) =>
      httpAnswer('200 OK', {}, target.includes('blobs') ? 'x'.repeat(5_000_000) : 'found'),
    ),
  });
  const socket = connect(proxy.port, '127.0.0.1');
  socket.pause();
  socket.on('error', () => {});
  socket.write(ask(`GET ${base}/blobs/sha256:${'a'.repeat(64)}`).repeat(50));
  await vi.waitFor(() => expect(registry.requests).toHaveLength(1));
  expect(statusesOf(await exchange(get(`${base}/tags/list`)))).toEqual([200]);
  expect(registry.requests.map(({ target }) => target.split('/').at(-2))).toEqual(['blobs', 'tags']);
  socket.destroy();
  await vi.waitFor(() => expect(proxy.operations).toHaveLength(2));
  const { server } = proxy.proxy;
  const connections = () => new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
  await vi.waitFor(async () => expect(await connections()).toBe(0));
});

test('a caller who asks for more at once than any client does is cut, and the others are served', async () => {
  const { proxy, registry, exchange } = await openWireScene({
    answer: answering(() => `${head('HTTP/1.1 200 OK', 'Content-Length: 10')}begun`),
  });
  expect(statusesOf(await exchange(ask(`GET ${manifest}`).repeat(2_000))).length).toBeLessThanOrEqual(1);
  expect(registry.requests.length).toBeLessThanOrEqual(1);
  // One is kept that asked how to authenticate.
  await vi.waitFor(() => expect(registry.connections()).toBeLessThanOrEqual(1));
  expect(proxy.operations.length).toBeLessThanOrEqual(1);
});
