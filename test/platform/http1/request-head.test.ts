import { describe, expect, test } from 'vitest';
import { type RequestFraming, requestHead } from '../../../platform/http1/request-head.ts';

const line = { prefix: '', fixed: 'host: r.test\r\n' };
const write = (
  request: { method?: string; path?: string; headers?: unknown },
  framing?: RequestFraming,
  isExpecting = false,
) =>
  requestHead(
    line,
    { method: 'GET', path: '/v2/', ...request } as Parameters<typeof requestHead>[1],
    framing,
    isExpecting,
  );

describe('the head of a request', () => {
  test.each<[what: string, written: string, lines: string[]]>([
    ['without headers', write({}), ['GET /v2/ HTTP/1.1', 'host: r.test']],
    [
      'with headers',
      write({ headers: { accept: 'a, b', 'x-n': 1, link: ['a', 'b'], none: undefined } }),
      ['GET /v2/ HTTP/1.1', 'host: r.test', 'accept: a, b', 'x-n: 1', 'link: a', 'link: b'],
    ],
    [
      'with headers in a list',
      write({ headers: ['accept', 'a', 'range', 'b'] }),
      ['GET /v2/ HTTP/1.1', 'host: r.test', 'accept: a', 'range: b'],
    ],
    [
      'with headers in pairs',
      write({ headers: new Map([['accept', 'a']]) }),
      ['GET /v2/ HTTP/1.1', 'host: r.test', 'accept: a'],
    ],
    [
      'of a POST without a body',
      write({ method: 'POST' }),
      ['POST /v2/ HTTP/1.1', 'host: r.test', 'content-length: 0'],
    ],
    ['of a PUT with a body', write({ method: 'PUT' }, 5), ['PUT /v2/ HTTP/1.1', 'host: r.test', 'content-length: 5']],
    ['of a DELETE', write({ method: 'DELETE' }), ['DELETE /v2/ HTTP/1.1', 'host: r.test']],
    [
      'of a PATCH that has to be asked for',
      write({ method: 'PATCH' }, 'chunked', true),
      ['PATCH /v2/ HTTP/1.1', 'host: r.test', 'transfer-encoding: chunked', 'expect: 100-continue'],
    ],
  ])('%s', (_what, written, lines) => expect(written).toBe(`${lines.join('\r\n')}\r\n\r\n`));

  test('holds the whole URL for a proxy', () => {
    const written = requestHead(
      { prefix: 'http://r.test:5000', fixed: '' },
      { method: 'GET', path: '/v2/?a=b' },
      undefined,
      false,
    );
    expect(written).toBe('GET http://r.test:5000/v2/?a=b HTTP/1.1\r\n\r\n');
  });

  test.each<[what: string, request: object]>([
    ['a line’s end in the method', { method: 'GET / HTTP/1.1\r\nX: ' }],
    ['a space in the method', { method: 'GET /' }],
    ['no method', { method: '' }],
    ['CONNECT', { method: 'CONNECT' }],
    ['a space in the path', { path: '/a HTTP/1.1' }],
    ['a line’s end in the path', { path: '/a\r\nX: y' }],
    ['a NUL in the path', { path: '/\0' }],
    ['more than ASCII in the path', { path: '/é' }],
    ['no slash before the path', { path: 'v2/' }],
    ['a whole URL for a path', { path: 'http://other.test/' }],
    ['no path', { path: '' }],
    ['a line’s end in a name', { headers: { 'a\r\nb': '1' } }],
    ['a space in a name', { headers: { 'a b': '1' } }],
    ['a colon in a name', { headers: { 'a:': '1' } }],
    ['an empty name', { headers: { '': '1' } }],
    ['a line’s end in a value', { headers: { a: '1\r\nb: 2' } }],
    ['a line feed in a value', { headers: { a: '1\nb: 2' } }],
    ['a carriage return in a value', { headers: { a: '1\r' } }],
    ['a NUL in a value', { headers: { a: '\0' } }],
    ['more than Latin-1 in a value', { headers: { a: '€' } }],
    ['a character whose lower byte is a line feed', { headers: { a: '\u010a' } }],
    ['an object for a value', { headers: { a: {} } }],
    ['a bad value among others', { headers: { a: ['1', '\n'] } }],
    ...['Host', 'content-length', 'Transfer-Encoding', 'connection', 'Expect', 'upgrade', 'proxy-authorization'].map(
      (name): [string, object] => [`a ${name} of the caller`, { headers: { [name]: '1' } }],
    ),
  ])('is not written with %s', (_what, request) => {
    expect(() => write(request)).toThrow(expect.objectContaining({ code: 'UND_ERR_INVALID_ARG' }));
  });

  test('that is refused does not repeat the value', () => {
    expect(() => write({ headers: { authorization: 's3cret\n' } })).toThrow(/^(?!.*s3cret)/);
  });
});
