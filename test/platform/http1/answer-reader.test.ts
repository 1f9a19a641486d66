import { describe, expect, test } from 'vitest';
import { type ReadOptions, readAnswer, waysToCut } from './answers.ts';

const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;
const ok = (...lines: string[]) => head('HTTP/1.1 200 OK', ...lines);
const chunked = (body: string) => ok('Transfer-Encoding: chunked') + body;
const long = 'x'.repeat(20_000);

const read = (text: string, options?: ReadOptions) =>
  waysToCut(Buffer.from(text, 'latin1')).map((pieces) => readAnswer(pieces, options));

describe('an answer is read, however it is cut', () => {
  test.each<[what: string, text: string, expected: object, options?: ReadOptions]>([
    ['a body of known length', `${ok('Content-Length: 5')}hello`, { status: 200, body: 'hello' }],
    ['no body', ok('Content-Length: 0'), { body: '' }],
    ['chunks', chunked('5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'), { body: 'hello world' }],
    ['chunks in capitals, with zeros before', chunked('00A\r\n0123456789\r\n000\r\n\r\n'), { body: '0123456789' }],
    ['chunks with extensions', chunked('5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n'), { body: 'hello' }],
    ['chunks with trailers', chunked('5\r\nhello\r\n0\r\nX-A: 1\r\nX-B:\r\n\r\n'), { body: 'hello' }],
    ['chunks of another spelling', `${ok('transfer-encoding: Chunked')}0\r\n\r\n`, { body: '' }],
    ['no chunk', chunked('0\r\n\r\n'), { body: '' }],
    ['a body up to the end', `${ok()}hello`, { body: 'hello' }, { isEnded: true }],
    ['a HEAD', ok('Content-Length: 5'), { body: '' }, { method: 'HEAD' }],
    ['a HEAD in chunks', ok('Transfer-Encoding: chunked'), { body: '' }, { method: 'HEAD' }],
    ['204', head('HTTP/1.1 204 No Content'), { status: 204 }],
    ['304 with a length', head('HTTP/1.1 304 Not Modified', 'Content-Length: 5'), { status: 304 }],
    ['no reason', `${head('HTTP/1.1 200 ', 'Content-Length: 1')}x`, { body: 'x' }],
    ['no reason and no space', `${head('HTTP/1.1 200', 'Content-Length: 1')}x`, { body: 'x' }],
    ['HTTP/1.0', `${head('HTTP/1.0 200 OK', 'Content-Length: 1')}x`, { body: 'x' }],
    [
      'what comes before it',
      head('HTTP/1.1 100 Continue') + head('HTTP/1.1 103 Early', 'Link: </a>') + ok('Content-Length: 0'),
      { information: [100, 103], status: 200 },
    ],
    [
      'a repeated header',
      ok('Link: a', 'Content-Length: 0', 'link: b', 'LINK: c'),
      { headers: { link: ['a', 'b', 'c'], 'content-length': '0' } },
    ],
    [
      'space around a value',
      ok('X-A: \t a b \t', 'X-B:', 'X-C:c', 'Content-Length: 0'),
      { headers: { 'x-a': 'a b', 'x-b': '', 'x-c': 'c', 'content-length': '0' } },
    ],
    ['Latin-1 in a value', ok('X-A: \xe9', 'Content-Length: 0'), { headers: { 'x-a': '\xe9', 'content-length': '0' } }],
    [
      'colons in a value',
      ok('X-A: a:b: c', 'Content-Length: 0'),
      { headers: { 'x-a': 'a:b: c', 'content-length': '0' } },
    ],
  ])('%s', (_what, text, expected, options) => {
    for (const found of read(text, options)) expect(found).toMatchObject({ isWhole: true, behind: '', ...expected });
  });

  test('names of objects’ own are names like any other', () => {
    const [found] = read(ok('__proto__: a', 'constructor: b', 'toString: c', 'Content-Length: 0'));
    const names = ['__proto__', 'constructor', 'tostring', 'content-length'];
    expect(Object.keys(found?.headers ?? {})).toEqual(names);
    expect(({} as Record<string, unknown>)['a']).toBeUndefined();
  });

  test.each<[string, string, string, ReadOptions?]>([
    ['a body of known length', `${ok('Content-Length: 1')}x`, 'y'],
    ['chunks', chunked('1\r\nx\r\n0\r\n\r\n'), 'y'],
    ['no body', head('HTTP/1.1 304 Not Modified', 'Content-Length: 1'), 'y'],
    ['a HEAD', ok('Content-Length: 1'), 'y', { method: 'HEAD' }],
  ])('and what is behind %s is not taken for its own', (_what, text, behind, options) => {
    for (const found of read(text + behind, options)) expect(found).toMatchObject({ isWhole: true, behind });
  });

  test.each([
    `${ok('Content-Length: 5')}hell`,
    chunked('5\r\nhello\r\n'),
    chunked('5\r\nhello\r\n0\r\n'),
    'HTTP/1.1 200 OK\r\n',
    'HTT',
    head('HTTP/1.1 100 Continue'),
  ])('and %j is not whole', (text) => {
    for (const found of read(text, { isEnded: true })) expect(found).toMatchObject({ isWhole: false, behind: '' });
  });
});

describe('what two readers could understand in two ways is refused, however it is cut', () => {
  test.each<[what: string, text: string]>([
    ['another protocol', head('HTTP/2 200 OK')],
    ['another version', head('HTTP/1.2 200 OK')],
    ['another protocol’s name', head('http/1.1 200 OK')],
    ['what is no HTTP at all', 'SSH-2.0-OpenSSH_9.2'],
    ['what is no HTTP, with a line’s end', '220 smtp ready\r\n'],
    ['an empty line before it', `\r\n${ok()}`],
    ['a status of two digits', head('HTTP/1.1 20 OK')],
    ['a status of four digits', head('HTTP/1.1 2000 OK')],
    ['a status of zero', head('HTTP/1.1 000 OK')],
    ['two spaces before the status', head('HTTP/1.1  200 OK')],
    ['a tab before the status', head('HTTP/1.1\t200 OK')],
    ['something right behind the status', head('HTTP/1.1 200OK')],
    ['a switch of protocols', head('HTTP/1.1 101 Switching Protocols', 'Upgrade: x')],
    ['two lengths', ok('Content-Length: 5', 'Content-Length: 6')],
    ['the same length twice', ok('Content-Length: 5', 'Content-Length: 5')],
    ['a list of lengths', ok('Content-Length: 5, 5')],
    ['a length and chunks', ok('Content-Length: 5', 'Transfer-Encoding: chunked')],
    ['chunks and a length', ok('Transfer-Encoding: chunked', 'Content-Length: 5')],
    ['a signed length', ok('Content-Length: +5')],
    ['a negative length', ok('Content-Length: -5')],
    ['a length in hexadecimal', ok('Content-Length: 0x5')],
    ['a length with a space', ok('Content-Length: 5 5')],
    ['a length that is none', ok('Content-Length: ')],
    ['a length beyond numbers', ok('Content-Length: 9007199254740992')],
    ['a length beyond all', ok(`Content-Length: ${'9'.repeat(40)}`)],
    ['another coding', ok('Transfer-Encoding: gzip')],
    ['chunks in another coding', ok('Transfer-Encoding: gzip, chunked')],
    ['chunks twice', ok('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')],
    ['chunks twice in a list', ok('Transfer-Encoding: chunked, chunked')],
    ['chunks that are none', ok('Transfer-Encoding: xchunked')],
    ['chunks with a parameter', ok('Transfer-Encoding: chunked;a=b')],
    ['chunks of HTTP/1.0', head('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked')],
    ['a space before the colon', ok('Content-Length : 5')],
    ['a space before the name', ok(' Content-Length: 5')],
    ['a folded header', ok('X-A: 1', '\tb')],
    ['a line without a colon', ok('X-A')],
    ['an empty name', ok(': a')],
    ['a name with a bracket', ok('X[A]: 1')],
    ['a name beyond ASCII', ok('X\xe9: 1')],
    ['a bare line feed in a header', ok('X-A: 1\nX-B: 2')],
    ['a bare carriage return in a header', ok('X-A: 1\rX-B: 2')],
    ['line feeds alone', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['a line feed alone at the end', 'HTTP/1.1 200 OK\r\n\n'],
    ['a NUL in a header', ok('X-A: \0')],
    ['a control character in a header', ok('X-A: \x1b[0m')],
    ['DEL in a header', ok('X-A: \x7f')],
    ['a control character in the reason', head('HTTP/1.1 200 \x01')],
    ['a chunk without a size', chunked('\r\nhello\r\n')],
    ['a chunk’s size with a sign', chunked('+5\r\nhello\r\n0\r\n\r\n')],
    ['a chunk’s size with 0x', chunked('0x5\r\nhello\r\n0\r\n\r\n')],
    ['a chunk’s size with a space before', chunked(' 5\r\nhello\r\n0\r\n\r\n')],
    ['a chunk’s size with a space behind', chunked('5 \r\nhello\r\n0\r\n\r\n')],
    ['a chunk’s size beyond numbers', chunked('00000000000005\r\nhello\r\n0\r\n\r\n')],
    ['a chunk’s size with a line feed alone', chunked('5\nhello\r\n0\r\n\r\n')],
    ['a chunk that is longer', chunked('5\r\nhelloo\r\n0\r\n\r\n')],
    ['a chunk that ends with a line feed alone', chunked('5\r\nhello\n0\r\n\r\n')],
    ['a chunk’s extension with a line feed', chunked('5;a\nb\r\nhello\r\n0\r\n\r\n')],
    ['a chunk’s extension with a carriage return', chunked('5;a\rb\r\nhello\r\n0\r\n\r\n')],
    ['a trailer without a colon', chunked('0\r\nX-A\r\n\r\n')],
    ['a trailer that is folded', chunked('0\r\nX-A: 1\r\n b\r\n\r\n')],
    ['a trailer with a NUL', chunked('0\r\nX-A: \0\r\n\r\n')],
    ['a line feed alone at the end of chunks', chunked('0\r\n\n')],
    ['too much before the answer', head('HTTP/1.1 103 Early').repeat(17) + ok('Content-Length: 0')],
  ])('%s', (_what, text) => {
    for (const found of read(text)) expect(found.error).toMatch(/^HPE_/);
  });

  test.each<[what: string, text: string]>([
    ['a head', ok(`X-A: ${'x'.repeat(1000)}`)],
    ['a head that does not end', `HTTP/1.1 200 OK\r\nX-A: ${'x'.repeat(2000)}`],
  ])('%s that is too large, by the code that undici has for it', (_what, text) => {
    for (const found of read(text, { headBytesMax: 1000 })) expect(found.error).toBe('UND_ERR_HEADERS_OVERFLOW');
  });

  test('a head is as large as it may be', () => {
    const text = ok('X-A: 1', 'Content-Length: 0');
    for (const found of read(text, { headBytesMax: text.length })) expect(found).toMatchObject({ isWhole: true });
    for (const found of read(text, { headBytesMax: text.length - 1 })) expect(found.error).toMatch(/OVERFLOW/);
  });

  test.each([
    ['chunk extensions', chunked(`5;${long}\r\nhello\r\n`)],
    ['many chunk extensions', chunked(`1;${'x'.repeat(99)}\r\nh\r\n`.repeat(200))],
    ['trailers', `${chunked('0\r\n')}X-A: ${long.repeat(4)}\r\n\r\n`],
  ])('%s without a bound', (_what, text) => {
    expect(readAnswer([Buffer.from(text)]).error).toMatch(/^HPE_/);
  });
});

test('no error repeats what came', () => {
  const secret = 's3cret';
  for (const text of [ok(`${secret} : 1`), chunked(secret), `${secret}\r\n\r\n`, ok(`Content-Length: ${secret}`)]) {
    const found = readAnswer([Buffer.from(text)]);
    expect(JSON.stringify(found.error)).not.toContain(secret);
  }
});
