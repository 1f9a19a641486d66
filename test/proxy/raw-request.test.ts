import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeImage } from '../support/image.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { exchangeRaw } from './support/raw-exchange.ts';

let registry: Registry;
let proxy: RunningProxy;

beforeEach(async () => {
  registry = await startRegistry();
  registry.seed('team/app', makeImage(), ['v1']);
  proxy = await startProxy({ documents: connectorTo(registry.origin) });
});
afterEach(async () => {
  await proxy.close();
  await registry.close();
});

const manifest = '/v2/namespaces/demo/connectors/registry/team/app/manifests/v1';
const other = '/v2/namespaces/demo/connectors/registry/team/app/tags/list';
const lines = (...text: string[]) => `${text.join('\r\n')}\r\n\r\n`;
/** A request for the manifest with these headers. */
const ask = (...headers: string[]) => lines(`GET ${manifest} HTTP/1.1`, 'Host: localhost', ...headers);
/** A request behind which the connection ends. */
const last = lines(`GET ${other} HTTP/1.1`, 'Host: localhost', 'Connection: close');

const exchange = async (bytes: string) => (await exchangeRaw(proxy.port, bytes)).toString('latin1');
const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
const contentRequests = () =>
  registry.requests.filter(({ url }) => url !== '/v2/').map(({ method, url }) => `${method} ${url}`);

describe('a request that two servers could read differently', () => {
  test.each([
    ['two lengths', `${ask('Content-Length: 5', 'Content-Length: 6')}hello`],
    ['the same length twice', `${ask('Content-Length: 5', 'Content-Length: 5')}hello`],
    ['a length and chunks', `${ask('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
    ['chunks and a length', `${ask('Transfer-Encoding: chunked', 'Content-Length: 5')}0\r\n\r\n`],
    ['an unknown transfer coding', `${ask('Transfer-Encoding: xchunked')}0\r\n\r\n`],
    ['chunks that are not last', `${ask('Transfer-Encoding: chunked, identity')}0\r\n\r\n`],
    ['a bad chunk size', `${ask('Transfer-Encoding: chunked')}0x5\r\nhello\r\n0\r\n\r\n`],
    ['a list of lengths', `${ask('Content-Length: 5, 5')}hello`],
    ['a signed length', `${ask('Content-Length: +5')}hello`],
    ['a length that is none', `${ask('Content-Length: five')}hello`],
    ['a space before the colon', `${ask('Content-Length : 5')}hello`],
    ['a folded header', `${ask('X-A: 1', ' Content-Length: 5')}hello`],
    ['a bare line feed in a header', `${ask('X-A: 1\nContent-Length: 5')}hello`],
    ['a bare carriage return in a header', `${ask('X-A: 1\rContent-Length: 5')}hello`],
    ['a NUL in a header', ask('X-A: 1\0')],
    ['no Host', lines(`GET ${manifest} HTTP/1.1`)],
    ['another version', lines(`GET ${manifest} HTTP/1.2`, 'Host: localhost')],
    ['raw bytes in its target', lines(`GET ${manifest}\xff HTTP/1.1`, 'Host: localhost')],
  ])('is refused, and nothing behind it is read: %s', async (_kind, first) => {
    expect(statuses(await exchange(first + last))).toEqual([400]);
    expect(contentRequests()).toEqual([]);
  });

  test('is not made of a body that looks like a request', async () => {
    const inner = ask();
    const first = lines(`GET ${other} HTTP/1.1`, 'Host: localhost', `Content-Length: ${inner.length}`);
    expect(statuses(await exchange(first + inner + last))).toEqual([200, 200]);
    expect(contentRequests()).toEqual(['GET /v2/team/app/tags/list', 'GET /v2/team/app/tags/list']);
  });

  test('is read in its order when several come at once', async () => {
    const head = lines(`HEAD ${manifest} HTTP/1.1`, 'Host: localhost');
    const bad = lines('GET /nowhere HTTP/1.1', 'Host: localhost');
    expect(statuses(await exchange(ask() + head + bad + last))).toEqual([200, 200, 404, 200]);
  });
});

describe('a request in another form', () => {
  test.each([
    ['of a forward proxy', 'GET http://evil.example.com/v2/ HTTP/1.1', [400, 200]],
    [
      'of a forward proxy to a connector’s host',
      'GET http://c-registry.demo/v2/team/app/manifests/v1 HTTP/1.1',
      [400, 200],
    ],
    ['with dots', 'GET /v2/namespaces/demo/connectors/registry/team/../../../../../token HTTP/1.1', [404, 200]],
    ['with dots inside', `GET ${manifest.replace('app', '../app')} HTTP/1.1`, [400, 200]],
    ['with encoded dots', `GET ${manifest.replace('app', '%2e%2e%2fapp')} HTTP/1.1`, [400, 200]],
    ['with a doubled slash', `GET ${manifest.replace('/app', '//app')} HTTP/1.1`, [400, 200]],
    ['that expects to be let go on', `GET ${manifest} HTTP/1.1\r\nExpect: 100-continue`, [200, 200]],
    ['of OPTIONS', 'OPTIONS * HTTP/1.1', [405, 200]],
    ['of TRACE', 'TRACE /v2/ HTTP/1.1', [405, 200]],
  ])('%s is answered without asking the registry for anything else', async (_form, line, expected) => {
    const answer = await exchange(lines(line, 'Host: localhost') + last);
    expect(statuses(answer.replace('HTTP/1.1 100 Continue', ''))).toEqual(expected);
    const allowed = ['GET /v2/team/app/manifests/v1', 'GET /v2/team/app/tags/list'];
    expect(contentRequests().filter((request) => !allowed.includes(request))).toEqual([]);
  });

  test('for another protocol is answered in this one', async () => {
    const upgrade = ['Connection: Upgrade, close', 'Upgrade: websocket'];
    expect(statuses(await exchange(ask(...upgrade)))).toEqual([200]);
    expect(registry.requests.at(-1)?.headers).not.toHaveProperty('upgrade');
  });

  test('of CONNECT ends the connection', async () => {
    expect(statuses(await exchange(lines('CONNECT 169.254.169.254:80 HTTP/1.1', 'Host: localhost') + last))).toEqual(
      [],
    );
    expect(registry.requests).toEqual([]);
  });

  test('with headers beyond all measure is refused', async () => {
    const huge = lines(`GET ${manifest} HTTP/1.1`, 'Host: localhost', `X-A: ${'a'.repeat(40_000)}`);
    expect(statuses(await exchange(huge))).toEqual([431]);
    expect(
      statuses(await exchange(lines(`GET ${manifest}?${'a'.repeat(9000)} HTTP/1.1`, 'Host: localhost') + last)),
    ).toEqual([400, 200]);
  });

  test('of HTTP/1.0 gets the whole and the end of the connection', async () => {
    const answer = await exchange(lines(`GET ${manifest} HTTP/1.0`));
    expect(statuses(answer)).toEqual([200]);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
  });
});

test('whatever comes, the connection ends with it, and the next caller is served', async () => {
  const names = fc.constantFrom(
    ...['Host', 'Connection', 'Content-Length', 'Transfer-Encoding', 'Expect', 'Upgrade', 'TE', 'Range', 'If-Range'],
    ...['Authorization', 'Accept', 'Trailer', '__proto__', 'constructor', 'Content-Encoding', 'HTTP2-Settings'],
  );
  const values = fc.oneof(
    fc.constantFrom('chunked', 'close', 'keep-alive', 'Upgrade', 'h2c', '0', '5', '-1', '100-continue', 'bytes=0-', ''),
    fc.string({ maxLength: 30 }),
  );
  const requests = fc
    .tuple(
      fc.constantFrom('GET', 'HEAD', 'POST', 'OPTIONS', 'PROPFIND', 'GETX'),
      fc.oneof(fc.constant(manifest), fc.constant('*'), fc.string({ maxLength: 40 })),
      fc.array(fc.tuple(names, values), { maxLength: 8 }),
      fc.constantFrom('', 'hello', '0\r\n\r\n', '5\r\nhello\r\n0\r\n\r\n'),
    )
    .map(([method, target, headers, body]) => {
      const written = headers.map(([name, value]) => `${name}: ${value}`);
      return lines(`${method} ${target} HTTP/1.1`, 'Host: localhost', ...written) + body;
    });
  const check = async (first: string, second: string) => {
    await exchangeRaw(proxy.port, first + second, { isEnded: true });
  };
  await fc.assert(fc.asyncProperty(requests, requests, check), { numRuns: 500 });
  expect(statuses(await exchange(last))).toEqual([200]);
});

describe('TLS on the HTTP port', () => {
  test('is answered in plain HTTP, so that containerd falls back to it', async () => {
    // The record header and the beginning of a ClientHello, as containerd’s Go sends it.
    const clientHello = '\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03';
    expect(await exchange(clientHello)).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nConnection: close\r\n\r\n$/);
    const socket = connectTls({ port: proxy.port, host: '127.0.0.1', rejectUnauthorized: false });
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: expect.stringMatching(/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/) });
  });
});
