import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { call } from '../support/call.ts';
import { findSecrets } from './support/canary.ts';
import {
  ask,
  type ConnectOptions,
  connectThrough,
  openForwardScene,
  proxyBasic,
  readHead,
  reasonOf,
  secure,
  tokens,
} from './support/forward-proxy-scene.ts';
import { exchangeRaw } from './support/raw-exchange.ts';

/** What a client of TLS 1.2 begins with. */
async function clientHello(servername: string): Promise<Buffer> {
  const [near, far] = duplexPair();
  const client = connectTls({ socket: near, servername, maxVersion: 'TLSv1.2' }).on('error', () => {});
  onTestFinished(() => void client.destroy());
  const [hello] = await once(far, 'data');
  return hello;
}

const statusOf = (answer: string) => Number(answer.slice(9, 12));

describe('a CONNECT is refused', () => {
  test.each<readonly [string, ConnectOptions, number, RegExp]>([
    ['without Proxy-Authorization', { authorization: undefined }, 407, /Proxy-Authorization is needed/],
    ['with Bearer', { authorization: `Bearer ${tokens.member}` }, 407, /Bearer names no connector/],
    ['without a namespace', { user: 'registry' }, 407, /with their namespaces/],
    ['without a connector', { user: '' }, 407, /with their namespaces/],
    ['with a token that is nobody’s', { token: tokens.stranger }, 407, /the token is not known here/],
    ['by a caller without the right', { token: tokens.neighbour }, 403, /neighbour may not pull through it/],
    ['through a connector that is not there', { user: 'demo/gone' }, 403, /demo\/gone: there is no such connector/],
    ['to a host that no connector serves', { user: 'demo/plain' }, 403, /demo\/plain serves plain\.test:\d+/],
    [
      'through connectors of which the caller may use another',
      { user: 'demo/registry,demo/other', token: tokens.neighbour },
      403,
      /demo\/other serves other\.test:\d+; demo\/registry: neighbour may not/,
    ],
  ])('%s', async (_what, options, status, reason) => {
    const { proxy, registry } = await openForwardScene();
    const found = await connectThrough(proxy.port, registry.authority, options);
    expect(found.status).toBe(status);
    // What clients show is the status line.
    expect(found.answer.split('\r\n', 1)[0]).toMatch(reason);
    const hasChallenge = /\r\nproxy-authenticate: Basic realm="oci-connector"\r\n/.test(found.answer);
    expect(hasChallenge).toBe(status === 407);
    const body = Buffer.concat(await found.socket.toArray());
    expect(body.toString()).toMatch(reason);
    const operation = await proxy.operation();
    expect(operation).toMatchObject({ method: 'CONNECT', target: registry.authority, status, error: reasonOf(body) });
    expect(operation.caller).toBe(status === 407 ? undefined : options.token ? 'neighbour' : 'member');
    expect(findSecrets(found.answer + body + JSON.stringify(operation), tokens)).toEqual([]);
    expect(registry.requests).toEqual([]);
  });

  test.each([
    '',
    '/',
    '*',
    'registry.test',
    'registry.test:0',
    'registry.test:99999',
    '[::1',
    'a b:1',
    'bücher.test:443',
  ])('for %j, which is no host and port', async (target) => {
    const { proxy } = await openForwardScene();
    const { answer } = await connectThrough(proxy.port, target);
    expect(statusOf(answer)).toBe(400);
  });

  test.each([
    ['an address', '127.0.0.1:443', 403],
    ['an address with a dot', '127.0.0.1.:443', 403],
    ['a short address', '127.1:443', 400],
    ['a number', '0x7f000001:443', 400],
    ['an IPv6 address', '[::1]:443', 403],
    ['the metadata service', '169.254.169.254:80', 403],
    ['this machine', 'localhost:443', 403],
    ['a long name', `${'a.'.repeat(120)}test:443`, 403],
    ['a huge name', `${'a'.repeat(8_000)}:443`, 400],
  ])('for %s', async (_what, target, status) => {
    const { proxy } = await openForwardScene();
    const { answer } = await connectThrough(proxy.port, target);
    expect(statusOf(answer)).toBe(status);
    expect((await proxy.operation()).target?.length ?? 0).toBeLessThanOrEqual(128);
  });

  test.each([
    ['any:Secret+Canary/7c=1d@registry.test:443', 'registry.test:443'],
    ['any:Secret@Canary/7c=1d@registry.test:443', 'registry.test:443'],
    ['any:Secret+Canary/7c=1d', undefined],
    ['registry.test:443@any:Secret+Canary/7c=1d', undefined],
    ['https://any:Secret+Canary@registry.test/v2/', undefined],
  ])('for %j, of which nothing but a host is told', async (target, told) => {
    const { proxy } = await openForwardScene();
    const { answer, status } = await connectThrough(proxy.port, target);
    expect(status).toBe(400);
    const operation = await proxy.operation();
    expect(operation.target).toBe(told);
    expect(answer + JSON.stringify(operation)).not.toMatch(/secret|canary/i);
  });

  test('and no certificate is made for hosts that no connector serves', async () => {
    const asked: string[] = [];
    const certificates = {
      secureContextFor: async (host: string) => {
        asked.push(host);
        throw new Error('none today');
      },
    };
    const { proxy, registry } = await openForwardScene({ proxy: { forwardProxy: { certificates } } });
    expect((await connectThrough(proxy.port, 'evil.test:443')).status).toBe(403);
    expect((await connectThrough(proxy.port, registry.authority, { token: tokens.stranger })).status).toBe(407);
    expect(asked).toEqual([]);
    expect((await connectThrough(proxy.port, registry.authority)).status).toBe(500);
    expect(asked).toEqual(['registry.test']);
  });

  test('where there is no forward proxy, as on a node', async () => {
    const { proxy } = await openForwardScene({ proxy: { forwardProxy: undefined as never } });
    const { answer } = await connectThrough(proxy.port, 'registry.test:443');
    expect(answer).toBe('');
    const absolute = await exchangeRaw(
      proxy.port,
      'GET http://plain.test/v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    expect(absolute.toString()).toMatch(/^HTTP\/1\.1 400 .*not a forward proxy/s);
  });
});

test('a CONNECT that does not wait for the answer before it gets none, and ends the connection', async () => {
  const { proxy, plain, registry } = await openForwardScene();
  const digest = await plain.seedSyntheticBlob('team/app', 1_000_000);
  const path = new URL(proxy.url(`team/app/blobs/${digest}`, 'demo/plain')).pathname;
  const head = (line: string, ...headers: string[]) => `${[line, 'Host: x', ...headers].join('\r\n')}\r\n\r\n`;
  const answer = await exchangeRaw(
    proxy.port,
    head(`GET ${path} HTTP/1.1`, `Authorization: Bearer ${tokens.member}`) +
      head(
        `CONNECT ${registry.authority} HTTP/1.1`,
        `Proxy-Authorization: ${proxyBasic('demo/registry', tokens.member)}`,
      ),
  );
  expect(answer.toString('latin1')).not.toContain('Connection established');
  const inTurn = await exchangeRaw(proxy.port, head('GET /v2/ HTTP/1.1') + head('CONNECT a:1 HTTP/1.1'));
  expect(inTurn.toString('latin1')).toMatch(/^(?:HTTP\/1\.1 401 |$)/);
});

describe('spellings of a host that are the same', () => {
  test.each(['REGISTRY.TEST', 'registry.test.', 'Registry.Test.'])('%s', async (name) => {
    const { proxy, registry, ca } = await openForwardScene();
    const port = registry.authority.split(':')[1];
    const { socket, status } = await connectThrough(proxy.port, `${name}:${port}`);
    expect(status).toBe(200);
    const tls = await secure(socket, 'registry.test', ca);
    expect(await ask(tls, `${name}:${port}`, '/v2/team/app/manifests/v1')).toMatchObject({ status: 200 });
  });
});

describe('after the CONNECT', () => {
  test.each([
    ['garbage', '\x00\x01\x02\x03\r\n\r\n'],
    ['garbage behind the first byte of TLS', `\x16${'\xff'.repeat(200)}`],
    ['another CONNECT', 'CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a head that is too large', `GET /v2/ HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(40_000)}\r\n\r\n`],
    ['two lengths', 'POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  ])('%s ends the connection and nothing else', async (_what, bytes) => {
    const { proxy, registry, ca } = await openForwardScene();
    const { socket, status } = await connectThrough(proxy.port, registry.authority);
    expect(status).toBe(200);
    const closed = once(socket, 'close');
    socket.resume();
    socket.write(bytes, 'latin1');
    await closed;
    const next = await connectThrough(proxy.port, registry.authority);
    const tls = await secure(next.socket, 'registry.test', ca);
    expect(await ask(tls, registry.authority, '/v2/')).toMatchObject({ status: 200 });
    expect(registry.requests).toEqual([]);
  });

  test('a handshake that fails leaves a line that says whose it was', async () => {
    const { proxy, registry } = await openForwardScene();
    const { socket } = await connectThrough(proxy.port, registry.authority);
    // A record of type handshake that is cut short by another.
    socket.write(Buffer.from([0x16, 3, 1, 0, 4, 1, 0, 0, 0, 0x15, 3, 3, 0, 2, 2, 48]));
    socket.resume();
    expect(await proxy.operation()).toMatchObject({
      method: 'CONNECT',
      target: registry.authority,
      caller: 'member',
      connector: { namespace: 'demo', name: 'registry' },
      error: 'TLS_FAILED',
    });
  });

  test.each([
    ['bad_certificate', 42, true],
    ['certificate_unknown', 46, true],
    ['unknown_ca', 48, true],
    ['access_denied', 49, false],
  ])('alert %s (%i) says that the client does not trust the authority: %s', async (_name, alert, isDistrust) => {
    const seen: unknown[] = [];
    const { proxy, registry } = await openForwardScene({ proxy: { observer: (_, cause) => void seen.push(cause) } });
    const { socket } = await connectThrough(proxy.port, registry.authority);
    socket.resume();
    socket.write(Buffer.concat([await clientHello('registry.test'), Buffer.from([0x15, 3, 3, 0, 2, 2, alert])]));
    expect(await proxy.operation()).toMatchObject({ error: 'TLS_FAILED', caller: 'member' });
    const message = isDistrust ? /^the client does not trust the authority$/ : new RegExp(`alert number ${alert}`);
    expect(seen).toEqual([expect.objectContaining({ message: expect.stringMatching(message) })]);
  });

  test('a client that leaves before it says anything leaves nothing behind', async () => {
    const { proxy, registry } = await openForwardScene();
    const { socket } = await connectThrough(proxy.port, registry.authority);
    socket.end();
    socket.resume();
    await once(socket, 'close');
    expect(proxy.operations).toEqual([]);
  });
});

describe('an absolute URL', () => {
  const get = (proxy: { port: number }, url: string, authorization?: string, more = '') =>
    exchangeRaw(
      proxy.port,
      `GET ${url} HTTP/1.1\r\nHost: elsewhere\r\n${authorization ? `Proxy-Authorization: ${authorization}\r\n` : ''}${more}Connection: close\r\n\r\n`,
    ).then((answer) => answer.toString('latin1'));
  const member = (user = 'demo/plain') => proxyBasic(user, tokens.member);

  test('of a registry without TLS is served, whatever the Host header says', async () => {
    const { proxy, plain, image } = await openForwardScene();
    const url = `${plain.origin}/v2/team/app/manifests/v1`;
    const answer = await get(proxy, url, member(), 'Authorization: Basic b3duOm9mLXRoZS1jbGllbnQ=\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toContain(image.digest);
    expect(plain.requests.map(({ headers }) => headers.authorization?.split(' ')[0])).toEqual([undefined, 'Bearer']);
    expect(findSecrets(JSON.stringify(plain.requests.map(({ headers }) => headers)), tokens)).toEqual([]);
    expect(await get(proxy, `${plain.origin.replace('http', 'HTTP')}/v2/`, member())).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test.each<
    readonly [
      string,
      (own: { plain: string; registry: string; port: number }) => string,
      string | undefined,
      number,
      RegExp,
    ]
  >([
    [
      'without Proxy-Authorization',
      ({ plain }) => `http://${plain}/v2/`,
      undefined,
      407,
      /Proxy-Authorization is needed/,
    ],
    [
      'with a token that is nobody’s',
      ({ plain }) => `http://${plain}/v2/`,
      proxyBasic('demo/plain', tokens.stranger),
      407,
      /not known/,
    ],
    [
      'of our own address',
      ({ port }) => `http://127.0.0.1:${port}/v2/`,
      undefined,
      407,
      /Proxy-Authorization is needed/,
    ],
    [
      'of our own address, with it',
      ({ port }) => `http://127.0.0.1:${port}/v2/`,
      member(),
      403,
      /no host of the connectors/,
    ],
    [
      'of a registry with TLS',
      ({ registry }) => `http://${registry}/v2/`,
      member('demo/registry'),
      403,
      /is reached by https/,
    ],
    [
      'of another connector’s host',
      ({ plain }) => `http://${plain}/v2/`,
      member('demo/registry'),
      403,
      /no host of the connectors/,
    ],
    ['with https', ({ registry }) => `https://${registry}/v2/`, member('demo/registry'), 400, /CONNECT for https/],
    ['with a user', ({ plain }) => `http://user@${plain}/v2/`, member(), 400, /a request to a proxy/],
    ['with another scheme', ({ plain }) => `ftp://${plain}/v2/`, member(), 400, /a request to a proxy/],
    ['without a path', ({ plain }) => `http://${plain}`, member(), 404, /below \/v2\//],
    ['with a fragment', ({ plain }) => `http://${plain}/v2/#a`, member(), 400, /a request to a proxy|Bad Request/],
    ['outside the API', ({ plain }) => `http://${plain}/metrics`, member(), 404, /below \/v2\//],
  ])('%s is refused', async (_what, url, authorization, status, reason) => {
    const { proxy, plain, registry } = await openForwardScene();
    const answer = await get(
      proxy,
      url({ plain: plain.authority, registry: registry.authority, port: proxy.port }),
      authorization,
    );
    expect(statusOf(answer)).toBe(status);
    expect(answer).toMatch(reason);
    expect(/\r\nproxy-authenticate: Basic/i.test(answer)).toBe(status === 407);
    expect(/\r\nwww-authenticate:/i.test(answer)).toBe(false);
    expect([...plain.requests, ...registry.requests]).toEqual([]);
  });

  test('and the reverse proxy is there as before', async () => {
    const { proxy } = await openForwardScene();
    const headers = { authorization: `Bearer ${tokens.member}` };
    expect(await call(proxy.url('team/app/manifests/v1'), { headers })).toMatchObject({ status: 200 });
    expect(await call(proxy.url('team/app/manifests/v1'))).toMatchObject({ status: 401 });
  });
});

test('slow heads within a tunnel are cut as they are outside of it', { timeout: 60_000 }, async () => {
  const { proxy, plain } = await openForwardScene();
  const { socket } = await connectThrough(proxy.port, plain.authority, { user: 'demo/plain' });
  const trickle = setInterval(() => socket.write('a'), 200);
  try {
    socket.write('GET /v2/ HTTP/1.1\r\nA: ');
    expect(await readHead(socket)).toMatch(/^HTTP\/1\.1 408 /);
  } finally {
    clearInterval(trickle);
  }
});
