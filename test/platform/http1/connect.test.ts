import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createSecureContext, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type DialerOptions, dialer } from '../../../platform/http1/connect.ts';
import { OriginPool } from '../../../platform/http1/origin-pool.ts';
import { ReadBuffers } from '../../../platform/read-buffers.ts';
import { makeSelfSigned } from '../../support/certificate.ts';
import { startHttpProxy } from '../http-proxy.ts';
import { answer, answering, ask } from './raw-server.ts';

const certificate = makeSelfSigned(['r.test', 'localhost']);
const trusting = createSecureContext({ ca: certificate.cert });
const lookup: DialerOptions['lookup'] = (_name, options, callback) =>
  options.all ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4);

async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.on('error', () => {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** A server that speaks TLS; the name, the protocol and whether the session was resumed, of each connection to it. */
async function startSecure(names?: string[]): Promise<{ port: number; connections: unknown[][] }> {
  const connections: unknown[][] = [];
  const server = createTlsServer({
    ...(names === undefined ? certificate : makeSelfSigned(names)),
    ALPNProtocols: ['h2', 'http/1.1'],
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    connections.push([socket.servername, socket.alpnProtocol, socket.isSessionReused()]);
    socket.on('error', () => {}).setEncoding('latin1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    const unending = new Promise<void>(() => {});
    answering(() => answer('hello', 'Connection: close'))({
      socket,
      received: () => text,
      until: async () => text,
      closed: unending,
    });
  });
  return { port: await listen(server), connections };
}

function open(origin: string, options: Partial<DialerOptions> = {}): OriginPool {
  const connect = dialer({
    ...{ origin: new URL(origin), connectMs: 5_000, readBuffers: new ReadBuffers(), lookup },
    secureContext: trusting,
    ...options,
  });
  const pool = new OriginPool(origin, { connect, headersMs: 5_000, idleBodyMs: 5_000 });
  onTestFinished(() => pool.destroy());
  return pool;
}

describe('a connection by TLS', () => {
  test('names the host, speaks HTTP/1.1, and resumes the session of an earlier one', async () => {
    const { port, connections } = await startSecure();
    const pool = open(`https://r.test:${port}`);
    for (const _ of [1, 2]) expect(await ask(pool).over).toMatchObject({ body: 'hello', error: undefined });
    expect(connections).toEqual([
      ['r.test', 'http/1.1', false],
      ['r.test', 'http/1.1', true],
    ]);
  });

  test('does not name an address, and checks the certificate against it', async () => {
    const { port, connections } = await startSecure();
    const { error } = await ask(open(`https://127.0.0.1:${port}`)).over;
    expect(error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    for (const [servername] of connections) expect(servername).toBe(false);
  });
});

describe('a connection that is not made', () => {
  test.each<[what: string, options: Partial<DialerOptions>]>([
    ['the check', { check: () => new Promise(() => {}) }],
    ['the name', { lookup: () => {} }],
  ])('in time, because %s takes too long, is given up', async (_what, options) => {
    const { error } = await ask(open('http://r.test:1', { connectMs: 20, ...options })).over;
    expect(error).toMatchObject({ code: 'UND_ERR_CONNECT_TIMEOUT' });
  });

  test.each(['http', 'https'])('because a server of %s says nothing is given up, and closed', async (scheme) => {
    const accepted = Promise.withResolvers<Socket>();
    const port = await listen(createServer((socket) => accepted.resolve(socket)));
    const proxy = { url: new URL(`${scheme}://localhost:${port}`), secureContext: trusting, authorization: undefined };
    const pool = open('https://r.test', { connectMs: 100, proxy });
    expect((await ask(pool).over).error).toMatchObject({ code: 'UND_ERR_CONNECT_TIMEOUT' });
    await once((await accepted.promise).resume(), 'close');
  });

  test('is given up with its pool', async () => {
    const accepted = Promise.withResolvers<Socket>();
    const port = await listen(createServer((socket) => accepted.resolve(socket)));
    const pool = open(`https://r.test:${port}`);
    const asked = ask(pool);
    const socket = (await accepted.promise).resume();
    await pool.destroy();
    expect((await asked.over).error).toMatchObject({ code: 'UND_ERR_DESTROYED' });
    await once(socket, 'close');
  });
});

describe('an HTTP proxy by TLS', () => {
  /** The proxy of the tests, behind TLS. */
  async function startSecureProxy(wanted?: string, names?: string[]) {
    const plain = await startHttpProxy(wanted);
    onTestFinished(() => plain[Symbol.asyncDispose]());
    const pair = names === undefined ? certificate : makeSelfSigned(names);
    const server = createTlsServer(pair, (socket) => {
      const inner = connect(Number(plain.authority.split(':')[1]), '127.0.0.1');
      socket.on('error', () => inner.destroy());
      inner.on('error', () => socket.destroy());
      socket.pipe(inner).pipe(socket);
    });
    const url = new URL(`https://localhost:${await listen(server)}`);
    const secureContext = createSecureContext({ ca: pair.cert });
    return { plain, proxy: { url, secureContext, authorization: wanted } };
  }

  test('leads to a registry by TLS, in a tunnel', async () => {
    const { port } = await startSecure();
    const { plain, proxy } = await startSecureProxy('Basic x');
    const pool = open(`https://r.test:${port}`, { proxy });
    expect(await ask(pool).over).toMatchObject({ body: 'hello', error: undefined });
    expect(plain.requests).toEqual([`CONNECT r.test:${port}`]);
  });

  test('whose certificate is for another name is named as that', async () => {
    const { proxy } = await startSecureProxy(undefined, ['other.test']);
    expect((await ask(open('https://r.test', { proxy })).over).error).toMatchObject({ code: 'UND_ERR_PRX_TLS' });
  });

  test.each<[what: string, reply: string | undefined, error: object]>([
    ['closes', undefined, { code: 'UND_ERR_PRX_CONN' }],
    ['is no HTTP', 'SSH-2.0\r\n', { code: 'HPE_INVALID_CONSTANT' }],
    ['refuses', 'HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno', { status: 403 }],
    ['lets bytes through too early', 'HTTP/1.1 200 OK\r\n\r\nevil', { code: 'UND_ERR_PRX_CONN' }],
    ['goes on about it for ever', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`, { code: 'UND_ERR_HEADERS_OVERFLOW' }],
  ])('that %s fails the request', async (_what, reply, error) => {
    const server = createServer((socket) => {
      socket.once('data', () => (reply === undefined ? socket.end() : socket.write(reply)));
    });
    const url = new URL(`http://localhost:${await listen(server)}`);
    const pool = open('https://r.test', { proxy: { url, authorization: undefined } });
    expect((await ask(pool).over).error).toMatchObject(error);
  });
});
