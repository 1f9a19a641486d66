import { describe, expect, test } from 'vitest';
import { lineOf } from './support/wire-registry.ts';
import {
  as,
  ask,
  base,
  last,
  lastLine,
  lines,
  manifest,
  openWireScene,
  smuggled,
  statusesOf,
} from './support/wire-scene.ts';

const put = (...headers: string[]) => ask(`PUT ${manifest}`, ...headers);
const chunked = 'Transfer-Encoding: chunked';
const hello = '5\r\nhello\r\n0\r\n\r\n';
/** Of the blob that every registry is asked for to try a grant. */
const digestOfNothing = 'sha256:e3b0c442';
const putLine = 'PUT /v2/team/app/manifests/v1 hello';

/** Sends these bytes and a last request behind them; what the caller got, and what the registry. */
async function outcomeOf(first: string) {
  const { registry, exchange, wrongs } = await openWireScene();
  const answer = await exchange(first + last);
  // The next caller is served as ever.
  expect(statusesOf(await exchange(last))).toEqual([200]);
  expect(wrongs()).toEqual([]);
  // Before a body is streamed, its grant is tried out.
  const asked = registry.requests.map(lineOf).filter((line) => !line.includes(digestOfNothing));
  asked.splice(asked.lastIndexOf(lastLine), 1);
  return { statuses: statusesOf(answer), asked };
}

describe('the body of a push', () => {
  test.each<[form: string, bytes: string]>([
    ['with a length', `${put('Content-Length: 5')}hello`],
    ['in chunks', put(chunked) + hello],
    ['in chunks of another case', put('transfer-encoding: CHUNKED') + hello],
    ['in chunks with extensions', `${put(chunked)}5;a=b;c="d"\r\nhello\r\n0;x\r\n\r\n`],
    ['in chunks with zeros before the size', `${put(chunked)}00005\r\nhello\r\n000\r\n\r\n`],
    ['in chunks with trailers', `${put(chunked, 'Trailer: X-A')}5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n`],
    ['that is let come', `${put('Expect: 100-continue', 'Content-Length: 5')}hello`],
    ['in chunks that are let come', put('Expect: 100-continue', chunked) + hello],
    [
      'with names of headers in its Connection',
      `${put('Connection: content-length, authorization', 'Content-Length: 5')}hello`,
    ],
  ])('arrives as it is, %s', async (_form, bytes) => {
    expect(await outcomeOf(bytes)).toEqual({ statuses: [201, 200], asked: [putLine, lastLine] });
  });

  test.each<[form: string, bytes: string]>([
    ['two lengths', `${put('Content-Length: 5', 'Content-Length: 6')}hello`],
    ['the same length twice', `${put('Content-Length: 5', 'Content-Length: 5')}hello`],
    ['a list of lengths', `${put('Content-Length: 5, 5')}hello`],
    ['a length of hexadecimal digits', `${put('Content-Length: 0x5')}hello`],
    ['a length with a sign', `${put('Content-Length: +5')}hello`],
    ['a negative length', `${put('Content-Length: -1')}hello`],
    ['a length beyond all numbers', `${put('Content-Length: 18446744073709551621')}hello`],
    ['an empty length', `${put('Content-Length: ')}hello`],
    ['a length with an underscore in its digits', `${put('Content-Length: 1_0')}hello`],
    ['a length and chunks', `${put('Content-Length: 4', chunked)}${hello}${smuggled}`],
    ['chunks and a length', `${put(chunked, `Content-Length: ${hello.length}`)}${hello}`],
    ['chunks that are not last', `${put('Transfer-Encoding: chunked, identity')}${hello}`],
    ['a coding that is none', `${put('Transfer-Encoding: xchunked')}${hello}`],
    ['no coding', `${put('Transfer-Encoding: identity')}${hello}`],
    ['chunks twice', `${put(chunked, chunked)}${hello}`],
    ['chunks in a list twice', `${put('Transfer-Encoding: chunked, chunked')}${hello}`],
    ['two codings', `${put(chunked, 'Transfer-Encoding: identity')}${hello}`],
    ['chunks behind a vertical tab', `${put('Transfer-Encoding: \x0bchunked')}${hello}`],
    ['chunks in quotes', `${put('Transfer-Encoding: "chunked"')}${hello}`],
    ['chunks on a line of their own', `${put('Transfer-Encoding:\r\n chunked')}${hello}`],
    ['a space before the colon', `${put('Transfer-Encoding : chunked')}${hello}`],
    ['a line break in the name', `${put('Transfer\r-Encoding: chunked')}${hello}`],
    ['a bare line feed before it', `${put('X: y\nTransfer-Encoding: chunked')}${hello}`],
    ['a chunk size with a prefix', `${put(chunked)}0x5\r\nhello\r\n0\r\n\r\n`],
    ['a negative chunk size', `${put(chunked)}-5\r\nhello\r\n0\r\n\r\n`],
    ['a chunk size that overflows', `${put(chunked)}10000000000000005\r\nhello\r\n0\r\n\r\n`],
    ['a chunk size of another script', `${put(chunked)}\xb2\r\nhello\r\n0\r\n\r\n`],
    ['a chunk that is longer than it says', `${put(chunked)}5\r\nhello!\r\n0\r\n\r\n`],
    ['chunks that end with bare line feeds', `${put(chunked)}5\nhello\n0\n\n`],
    ['a bare line feed in an extension', `${put(chunked)}5;a\n\r\nhello\r\n0\r\n\r\n`],
    ['a bare carriage return behind a size', `${put(chunked)}5\rX\nhello\r\n0\r\n\r\n`],
    ['a length in its trailers', `${put(chunked)}5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n`],
  ])('that two servers could read differently is refused with its connection: %s', async (_form, bytes) => {
    const { statuses, asked } = await outcomeOf(bytes);
    expect(statuses).toEqual([400]);
    // A head that was good was passed on perhaps; then its body was broken off, and is no request.
    expect(asked).toEqual([]);
  });

  test.each(['1.0', '0.9'])('of HTTP/%s, which has no chunks, ends with its connection', async (version) => {
    const first = lines(`PUT ${manifest} HTTP/${version}`, as('pusher'), chunked) + hello;
    const { statuses, asked } = await outcomeOf(first + smuggled);
    expect(statuses).toHaveLength(1);
    expect(asked.filter((line) => line.startsWith('DELETE'))).toEqual([]);
  });

  const inner = smuggled;
  test.each<[who: string, first: string]>([
    ['nobody', lines(`PUT ${manifest} HTTP/1.1`, 'Host: localhost', `Content-Length: ${inner.length}`)],
    [
      'who may only pull',
      lines(`PUT ${manifest} HTTP/1.1`, 'Host: localhost', as('puller'), `Content-Length: ${inner.length}`),
    ],
    [
      'who has no right to the connector',
      ask(`PUT ${manifest.replace('registry', 'other')}`, `Content-Length: ${inner.length}`),
    ],
    [
      'who asks for no connector',
      ask(`PUT ${manifest.replace('registry', 'nowhere')}`, `Content-Length: ${inner.length}`),
    ],
    ['who asks for no endpoint', ask('PUT /v2/x', `Content-Length: ${inner.length}`)],
    ['who asks by no method', ask(`OPTIONS ${manifest}`, `Content-Length: ${inner.length}`)],
    ['who has an upload that is none', ask(`PATCH ${base}/blobs/uploads/x.y`, `Content-Length: ${inner.length}`)],
    ['who expects something else', ask(`PUT ${manifest}`, 'Expect: 200-ok', `Content-Length: ${inner.length}`)],
  ])('that is refused is never the next request: of a caller %s', async (_who, first) => {
    const { statuses, asked } = await outcomeOf(first + inner);
    expect(statuses[0]).toBeGreaterThanOrEqual(400);
    expect(asked.filter((line) => line !== lastLine)).toEqual([]);
  });

  test.each([1, 70_000, 9_000_000])(
    'that is refused is not the next request in chunks either, of %i bytes',
    async (size) => {
      const chunk = 'x'.repeat(size);
      const first = lines(`PUT ${manifest} HTTP/1.1`, 'Host: localhost', as('puller'), chunked);
      const body = `${size.toString(16)}\r\n${chunk}\r\n${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`;
      const { statuses, asked } = await outcomeOf(first + body);
      expect(statuses).toEqual([403]);
      expect(asked.filter((line) => line !== lastLine)).toEqual([]);
    },
  );

  test('that looks like a request is a body', async () => {
    const request = lines('DELETE /v2/team/app/manifests/v1 HTTP/1.1', 'Host: localhost');
    expect(await outcomeOf(put(`Content-Length: ${request.length}`) + request)).toEqual({
      statuses: [201, 200],
      asked: [`PUT /v2/team/app/manifests/v1 ${request}`, lastLine],
    });
  });

  test('of a pull goes nowhere, and is not the next request', async () => {
    const first = ask(`GET ${manifest}`, `Content-Length: ${inner.length}`) + inner;
    const inChunks = `${ask(`HEAD ${manifest}`, chunked)}${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`;
    const asked = ['GET /v2/team/app/manifests/v1', 'HEAD /v2/team/app/manifests/v1', lastLine];
    expect(await outcomeOf(first + inChunks)).toEqual({ statuses: [200, 200, 200], asked });
  });
});

describe('a target', () => {
  const at = (target: string) => `GET ${target}`;
  test.each([
    ...[
      'http://169.254.169.254/v2/',
      'http://localhost/v2/team/app/manifests/v1',
      'https://localhost/',
      '//localhost/v2/',
      '*',
    ],
    ...[manifest.replace('registry', 'registry/../other'), manifest.replace('registry', 'registry%2f..%2fother')],
    ...[
      manifest.replace('registry', '%72egistry'),
      manifest.replace('/registry', '%2fregistry'),
      manifest.replace('team', '%2e%2e'),
    ],
    ...[
      manifest.replace('team', '..'),
      manifest.replace('team', '.'),
      manifest.replace('team', ''),
      manifest.replace('team', '%252e%252e'),
    ],
    ...[
      manifest.replace('team', '..%2f..'),
      manifest.replace('team', '..%5c..'),
      manifest.replace('team', '..\\..'),
      manifest.replace('team', '..;'),
    ],
    ...[
      manifest.replace('team', 'team%00'),
      manifest.replace('team', 'TEAM'),
      manifest.replace('team', 'team%0d%0aX:%20y'),
    ],
    ...[
      `${manifest}%00`,
      `${manifest}%0d%0aHost:evil`,
      `${manifest}#x`,
      `${manifest}?x#y`,
      `${manifest};x`,
      `${manifest}\\..\\v2`,
      `${manifest}/../v2`,
      `${manifest}/%2e%2e/v2`,
    ],
    ...[
      manifest.replace('team', 'a'.repeat(256)),
      manifest.replace('v1', 'v'.repeat(1025)),
      `${manifest}?${'x'.repeat(9000)}`,
    ],
    ...[
      manifest.replace('/v2', '/v2/../v2/..//v2'),
      manifest.replace('/v2', '/V2'),
      manifest.replace('/v2', '/%762'),
      manifest.replace('/v2', '//v2'),
    ],
    ...['/token?scope=repository:team/app:push', '/', '/v1/search', '/v2/_catalog', '/metrics'],
  ])('that names nothing of this connector asks its registry for nothing: %s', async (target) => {
    const { statuses, asked } = await outcomeOf(ask(at(target)));
    expect(statuses[0]).toBeGreaterThanOrEqual(400);
    expect(asked.filter((line) => line !== lastLine)).toEqual([]);
  });

  test.each([
    `${manifest}\0`,
    `${manifest}\xff`,
    `${manifest}\t?x`,
    `${manifest}\x7f`,
    `${manifest} x`,
    `${manifest}\x01`,
    `${manifest}\rX: y`,
  ])('with what no target has ends its connection: %j', async (target) => {
    expect(await outcomeOf(ask(at(target)))).toEqual({ statuses: [400], asked: [] });
  });

  test.each([
    ['?a=b%2Fc&d', '?a=b%2Fc&d'],
    ['?x=%0d%0aHost:evil', '?x=%0d%0aHost:evil'],
    ['?\'<>"', '?%27%3C%3E%22'],
    ['?https://evil/', '?https://evil/'],
  ])('keeps its query and nothing behind it: %s', async (query, sent) => {
    const { asked } = await outcomeOf(ask(at(manifest + query)));
    expect(asked[0]).toBe(`GET /v2/team/app/manifests/v1${sent}`);
  });
});

describe('a head', () => {
  test.each<[form: string, bytes: string]>([
    ['get', ask(`get ${manifest}`)],
    ['Delete', ask(`Delete ${manifest}`)],
    ['PUTT', ask(`PUTT ${manifest}`)],
    ['a method with a NUL', ask(`DEL\0ETE ${manifest}`)],
    ['no method', ask(` ${manifest}`)],
    ['a name with a NUL', ask(`GET ${manifest}`, 'X\0A: 1')],
    ['a name of nothing', ask(`GET ${manifest}`, ': 1')],
    ['a value with a NUL', ask(`GET ${manifest}`, 'X: \0')],
    ['a value with a control character', ask(`GET ${manifest}`, 'X: \x01')],
    ['a line without a colon', ask(`GET ${manifest}`, 'nonsense')],
    ['a folded line', ask(`GET ${manifest}`, 'X: 1', '\tY: 2')],
    ['only line feeds', ask(`GET ${manifest}`).replaceAll('\r\n', '\n')],
    ['a bare carriage return', ask(`GET ${manifest}`, 'X: 1\rY: 2')],
    ['no host', lines(`GET ${manifest} HTTP/1.1`, as('pusher'))],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['version 2', ask(`GET ${manifest}`).replace('HTTP/1.1', 'HTTP/2.0')],
    ['a lower-case version', ask(`GET ${manifest}`).replace('HTTP/1.1', 'http/1.1')],
  ])('that is none is refused with its connection: %s', async (_form, bytes) => {
    expect(await outcomeOf(bytes)).toEqual({ statuses: [400], asked: [] });
  });

  test('with more than it may have is refused', async () => {
    const many = Array.from({ length: 100_000 }, (_none, at) => `X-${at}: y`).join('\r\n');
    // Who goes on sending may be reset before it has read why.
    const { statuses, asked } = await outcomeOf(ask(`GET ${manifest}`, many));
    expect([...statuses, ...asked].filter((found) => found !== 431)).toEqual([]);
    expect(await outcomeOf(ask(`GET ${manifest}`, `${'N'.repeat(40_000)}: y`))).toEqual({ statuses: [431], asked: [] });
    expect(await outcomeOf(ask(`GET ${manifest}`, `X: ${'y'.repeat(40_000)}`))).toEqual({ statuses: [431], asked: [] });
  });

  test('of so many lines that some of them are not looked at makes no request of its body', async () => {
    const many = Array.from({ length: 3_000 }, () => 'a:');
    const { statuses, asked } = await outcomeOf(put(...many, `Content-Length: ${smuggled.length}`) + smuggled);
    expect(statuses.length).toBeLessThanOrEqual(2);
    expect(asked.filter((line) => line.startsWith('DELETE'))).toEqual([]);
  });

  test.each([
    ['Host: c-other.demo.svc', 'Host: c-registry.demo.svc'],
    ['Host: c-registry.demo.svc', 'Host: c-other.demo.svc'],
    ['Host: c-registry.demo.svc@c-other.demo.svc'],
    ['Host: c-other.demo.svc,c-registry.demo.svc'],
    ['Host: evil.example.com/'],
    ['Host: '],
  ])('with a doubtful %s names no connector in host form', async (...hosts) => {
    const first = lines('GET /v2/team/app/manifests/v1 HTTP/1.1', ...hosts, as('pusher'));
    const { statuses, asked } = await outcomeOf(first);
    expect(statuses[0]).toBeGreaterThanOrEqual(400);
    expect(asked.filter((line) => line !== lastLine)).toEqual([]);
  });

  test('takes nothing of this hop, and nothing that would change what is asked, to the registry', async () => {
    const { registry, exchange, wrongs } = await openWireScene();
    const headers = [
      ...[
        'Connection: X-Hop, authorization, host',
        'X-Hop: 1',
        'Keep-Alive: 5',
        'TE: trailers',
        'Proxy-Connection: x',
        'Trailer: x',
      ],
      ...[
        'Proxy-Authorization: Basic eA==',
        'Cookie: a=b',
        'X-Forwarded-For: 127.0.0.1',
        'X-Forwarded-Host: evil',
        'Forwarded: host=evil',
      ],
      ...[
        'X-HTTP-Method-Override: DELETE',
        'X-Method-Override: DELETE',
        'X-Original-URL: /admin',
        'X-Rewrite-URL: /admin',
        'X-Real-IP: ::1',
      ],
      ...[
        'X_Forwarded_Host: evil',
        'X_HTTP_Method_Override: DELETE',
        'Transfer_Encoding: chunked',
        'Content_Length: 100',
        'Authorization_: x',
      ],
    ];
    await exchange(ask(`GET ${manifest}`, ...headers) + last);
    expect(wrongs()).toEqual([]);
    expect(registry.requests[0]?.headers.map(([name]) => name)).toEqual(['host', 'connection', 'via', 'authorization']);
  });

  test('with thousands of ranges is the registry’s to answer, and one request', async () => {
    const ranges = `Range: bytes=${Array.from({ length: 3_000 }, (_none, at) => `${at}-${at}`).join(',')}`;
    const { statuses, asked } = await outcomeOf(ask(`GET ${base}/blobs/sha256:${'a'.repeat(64)}`, ranges));
    expect([statuses, asked.length]).toEqual([[200, 200], 2]);
  });
});
