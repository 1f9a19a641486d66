import { request } from 'node:http';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { AnswerReader } from '../../platform/http1/answer-reader.ts';
import { Http1Error } from '../../platform/http1/errors.ts';
import { requestHead } from '../../platform/http1/request-head.ts';
import { type Fuzzed, fuzzed, mutated, promise, unlessRefused } from './fuzzed.ts';

const headBytesMax = 512;

/** What a reader made of an answer, and how it ended. */
interface Reading {
  readonly heads: { status: number; headers: Record<string, unknown> }[];
  readonly information: number[];
  body: string;
  ending: 'whole' | 'short' | 'refused';
  /** Bytes that belong to the answer; not counted where it was refused. */
  used: number;
}

/** Reads an answer that comes in these pieces, and then the end of the connection. */
function readInPieces(pieces: readonly Buffer[], isBodiless: boolean): Reading {
  const reading: Reading = { heads: [], information: [], body: '', ending: 'short', used: 0 };
  const reader = new AnswerReader(
    {
      isHalted: false,
      onInformation: (status) => void reading.information.push(status),
      onHead: ({ status, headers }) => void reading.heads.push({ status, headers: { ...headers } }),
      onData: (chunk) => {
        reading.body += chunk.toString('latin1');
      },
    },
    headBytesMax,
  );
  reader.expect(isBodiless);
  let read = 0;
  for (const piece of pieces.filter(({ length }) => length > 0)) {
    const used = reader.read(piece);
    read += piece.length;
    if (used < 0) {
      promise(reader.error instanceof Http1Error, 'refused without a reason');
      return { ...reading, ending: 'refused', used: 0 };
    }
    reading.used += used;
    if (reader.isDone) return { ...reading, ending: 'whole' };
    promise(used === piece.length, 'bytes that are neither read nor left', { used, of: piece.length });
    const isSilent = reading.information.length === 0;
    promise(!(reader.isInHead && isSilent && read > headBytesMax), 'a head without an end is held', read);
  }
  return { ...reading, ending: reader.end() ? 'whole' : 'short' };
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, at) => bytes.subarray(sorted[at], end));
}

const statusLines = fc.constantFrom(
  ...[
    'HTTP/1.1 200 OK',
    'HTTP/1.1 200',
    'HTTP/1.1 200 ',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 204 No Content',
    'HTTP/1.1 304 x',
  ],
  ...[
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created',
    'HTTP/1.1 101 x',
    'HTTP/1.1 103 x\r\nLink: <x>\r\n\r\nHTTP/1.1 404 x',
  ],
  ...['HTTP/2.0 200 OK', 'HTTP/1.2 200 OK', 'http/1.1 200 OK', 'HTTP/1.1  200 OK', 'HTTP/1.1 099 x', 'ICY 200 OK'],
);
const headerLines = fc.constantFrom(
  ...['Content-Length: 5', 'content-length: 5', 'Content-Length: 6', 'Content-Length: 0', 'Content-Length: 05'],
  ...['Content-Length: +5', 'Content-Length: 5, 5', 'Content-Length:5 ', 'Content-Length: -1', 'Content-Length: 0x5'],
  ...[
    'Content-Length: 99999999999999999999',
    'Content-Length : 5',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: Chunked',
  ],
  ...[
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: identity',
    'Transfer-Encoding:\tchunked',
  ],
  ...[
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked, chunked',
    'Transfer-Encoding: ',
    'Trailer: x',
    'Connection: close',
  ],
  ...[
    'Connection: keep-alive',
    'Keep-Alive: timeout=5',
    'X-A: 1\r\n folded',
    'X-A: 1\nX-B: 2',
    'X-A: \x01',
    'X-A:\xff',
    ': x',
    'X A: 1',
  ],
  ...['__proto__: x', 'constructor: x', 'Upgrade: h2c', 'Location: /x', `X-Long: ${'a'.repeat(600)}`],
);
const bodies = fc.constantFrom(
  ...[
    'hello',
    'hello world',
    '',
    '5\r\nhello\r\n0\r\n\r\n',
    '5;ext=1\r\nhello\r\n0\r\nX: y\r\n\r\n',
    '5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
  ],
  ...[
    '0005\r\nhello\r\n0\r\n\r\n',
    '5\nhello\n0\n\n',
    'fffffffffffffffff\r\nx',
    '-5\r\nhello\r\n0\r\n\r\n',
    '5 \r\nhello\r\n0\r\n\r\n',
    '+5\r\nhello\r\n0\r\n\r\n',
  ],
  ...[
    '0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxyz',
    '5\r\nhello!\r\n0\r\n\r\n',
    '0\r\nContent-Length: 9\r\n\r\n',
    '5\r\nhello\r\n0\r\n',
    '5\r\r\nhello',
  ],
);
const answers = mutated(
  fc
    .tuple(statusLines, fc.array(headerLines, { maxLength: 3 }), bodies)
    .map(([line, headers, body]) => `${[line, ...headers].join('\r\n')}\r\n\r\n${body}`),
).map((text) => Buffer.from(text, 'latin1'));

const splits = fuzzed(
  'answer of a registry, in any pieces',
  fc.property(answers, fc.array(fc.nat(), { maxLength: 6 }), fc.boolean(), (bytes, places, isBodiless) => {
    const whole = readInPieces([bytes], isBodiless);
    promise(whole.heads.length <= 1 && whole.information.length <= 16, 'more than one answer', whole);
    promise(whole.heads.length === 1 || whole.body === '', 'a body without a head', whole);
    promise(!isBodiless || whole.body === '', 'a body for a HEAD', whole);
    promise(({} as Record<string, unknown>)['x'] === undefined, 'a prototype was changed');
    const single = bytes.length <= 200 ? [[...bytes].map((byte) => Buffer.of(byte))] : [];
    for (const pieces of [cut(bytes, places), ...single]) {
      const found = readInPieces(pieces, isBodiless);
      promise(JSON.stringify(found) === JSON.stringify(whole), 'read in another way', { found, whole });
    }
  }),
);

/** How Node's own client (llhttp) reads the same bytes. */
function readByNode(bytes: Buffer, isHead: boolean): Promise<{ status: number; body: string } | undefined> {
  return new Promise((resolve) => {
    const connection = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const asked = request({
      createConnection: () => connection as never,
      method: isHead ? 'HEAD' : 'GET',
      maxHeaderSize: 65_536,
    });
    asked.on('error', () => resolve(undefined));
    asked.on('upgrade', () => resolve(undefined));
    asked.on('response', (response) => {
      let body = '';
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('error', () => resolve(undefined));
      response.on('end', () => resolve(response.complete ? { status: response.statusCode ?? 0, body } : undefined));
    });
    asked.end();
    connection.push(bytes);
    connection.push(null);
  });
}

const differential = fuzzed(
  'answer of a registry, as Node reads it',
  fc.asyncProperty(answers, fc.boolean(), async (bytes, isHead) => {
    const ours = readInPieces([bytes], isHead);
    if (ours.ending !== 'whole') return;
    const theirs = await readByNode(bytes.subarray(0, ours.used), isHead);
    const [head] = ours.heads;
    // Trailers are passed over, whatever they say; llhttp refuses those that would be about framing.
    const afterHead = bytes.toString('latin1', bytes.indexOf('\r\n\r\n') + 4, ours.used);
    if (theirs === undefined && /\n(?:content-length|transfer-encoding|connection|upgrade)\s*:/i.test(afterHead))
      return;
    promise(theirs !== undefined, 'Node refuses what we take', { ours, bytes: bytes.toString('latin1') });
    const isSame = theirs.status === head?.status && theirs.body === ours.body;
    promise(isSame, 'two readings', { ours, theirs, bytes: bytes.toString('latin1') });
  }),
);

const names = mutated(
  fc.constantFrom('accept', 'X-A', 'content-length', 'Transfer-Encoding', 'host', 'Connection', 'range'),
);
const values = mutated(fc.constantFrom('1', 'chunked', 'close', 'a\r\nHost: evil', 'x\ny', '\x7f', 'é', ''));
const line = { prefix: '', fixed: 'host: registry.example.com\r\n' };
const heads = fuzzed(
  'head of a request to a registry',
  fc.property(
    mutated(fc.constantFrom('GET', 'PUT', 'CONNECT', 'get')),
    mutated(fc.constantFrom('/v2/', '/v2/app/manifests/v1?x=1', 'http://evil/', '//evil/')),
    fc.array(fc.tuple(names, values), { maxLength: 3 }),
    fc.constantFrom(undefined, 0, 5, 'chunked' as const),
    (method, path, headers, framing) => {
      const made = () => requestHead(line, { method: method as 'GET', path, headers: headers.flat() }, framing, false);
      const head = unlessRefused(made, (error) => error instanceof Http1Error);
      if (head === undefined) return;
      promise(head.endsWith('\r\n\r\n') && head.indexOf('\r\n\r\n') === head.length - 4, 'more than one head', head);
      promise(!/[^\r]\n|\r[^\n]|[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|[^\0-\xff]/.test(head), 'control characters', head);
      const [first = '', ...lines] = head.slice(0, -4).split('\r\n');
      promise(/^[!-~]+ \/[!-~]* HTTP\/1\.1$/.test(first), 'no request line', first);
      promise(first === `${method} ${path} HTTP/1.1`, 'another request', first);
      const named = (name: string) => lines.filter((one) => one.toLowerCase().startsWith(`${name}:`)).length;
      promise(named('host') === 1 && lines.every((one) => /^[^\s:]+: ?.*$/s.test(one)), 'no headers', lines);
      promise(named('content-length') + named('transfer-encoding') <= 1, 'two framings', lines);
      promise(lines.length <= 2 + headers.length, 'more headers than there were', lines);
    },
  ),
);

export const http1: readonly Fuzzed[] = [splits, differential, heads];
