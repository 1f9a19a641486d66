import { get, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readAnswer } from './answers.ts';

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/);
const value = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
const framings = /^(content-length|transfer-encoding|connection|upgrade|keep-alive|trailer|proxy-connection)$/i;
const headers = fc.array(
  fc.tuple(
    token.filter((name) => !framings.test(name)),
    value,
  ),
  { maxLength: 8 },
);
const body = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 6 });
const cuts = fc.array(fc.nat(2000), { maxLength: 6 });

interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: readonly Uint8Array[];
  readonly isChunked: boolean;
}
const answers: fc.Arbitrary<Answer> = fc.record({
  status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
  headers,
  body,
  isChunked: fc.boolean(),
});

function write({ status, headers, body, isChunked }: Answer): Buffer {
  const all = Buffer.concat(body);
  const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${all.length}`;
  const lines = [`HTTP/1.1 ${status} Reason`, ...headers.map(([name, text]) => `${name}: ${text}`), framing];
  const chunks = body.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]);
  const framed = isChunked ? [...chunks, Buffer.from('0\r\n\r\n')] : [all];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), ...framed]);
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set([0, ...places.filter((at) => at < bytes.length), bytes.length])].sort((a, b) => a - b);
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

test('what was written is what is read, wherever it is cut', () => {
  fc.assert(
    fc.property(answers, cuts, (answer, places) => {
      const found = readAnswer(cut(write(answer), places));
      expect(found).toMatchObject({ status: answer.status, isWhole: true, behind: '' });
      expect(found.body).toBe(Buffer.concat(answer.body).toString('latin1'));
    }),
    { numRuns: 1000 },
  );
});

test('where whatever is cut makes no difference', () => {
  const noise = fc.constantFrom(
    '\r\n',
    '\n',
    '\r',
    ' ',
    ':',
    '0',
    '5',
    ';',
    '\0',
    'chunked',
    'Content-Length: 3\r\n',
    '\r\n\r\n',
  );
  const damaged = fc
    .tuple(answers, fc.array(fc.tuple(fc.nat(400), noise), { maxLength: 3 }))
    .map(([answer, damages]) =>
      damages.reduce((text, [at, what]) => text.slice(0, at) + what + text.slice(at), write(answer).toString('latin1')),
    );
  fc.assert(
    fc.property(damaged, cuts, (text, places) => {
      const bytes = Buffer.from(text, 'latin1');
      const [whole, pieces] = [readAnswer([bytes]), readAnswer(cut(bytes, places))];
      // A part may be refused before a later part is, for another reason.
      expect({ ...pieces, error: pieces.error !== undefined }).toEqual({ ...whole, error: whole.error !== undefined });
    }),
    { numRuns: 2000 },
  );
});

/** Node's own reading of the bytes. */
async function readByNode(bytes: Buffer): Promise<{ status: number; headers: string[]; body: string }> {
  const socket = new Duplex({
    read() {},
    write(_chunk, _encoding, callback) {
      this.push(bytes);
      callback();
    },
  });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ createConnection: () => socket }, resolve).on('error', reject);
  });
  const chunks: Buffer[] = await response.toArray();
  const body = Buffer.concat(chunks).toString('latin1');
  return { status: response.statusCode ?? 0, headers: response.rawHeaders, body };
}

test('Node reads the same in an answer that is valid', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (answer) => {
      const bytes = write(answer);
      const [theirs, ours] = [await readByNode(bytes), readAnswer([bytes])];
      expect({ status: ours.status, body: ours.body }).toEqual({ status: theirs.status, body: theirs.body });
      const pairs = Array.from({ length: theirs.headers.length / 2 }, (_, at) =>
        theirs.headers.slice(at * 2, at * 2 + 2),
      );
      const grouped = Object.groupBy(pairs, ([name = '']) => name.toLowerCase());
      const expected = Object.entries(grouped).map(([name, all = []]) => [name, all.map(([, text]) => text)]);
      const found = Object.entries(ours.headers ?? {}).map(([name, text]) => [name, [text].flat()]);
      expect(found.sort()).toEqual(expected.sort());
    }),
    { numRuns: 300 },
  );
});
