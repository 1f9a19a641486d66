import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { readBounded } from '../../platform/read-bounded.ts';

const bodyOf = (...chunks: string[]): Readable => Readable.from(chunks.map((chunk) => Buffer.from(chunk)));

test.each([
  ['nothing', [], '', true],
  ['as much as may be', ['12', '34'], '1234', true],
  ['more than may be', ['123', '45', '6'], '123', false],
  ['more than may be at once', ['12345'], '', false],
])('of a body of %s it reads %j as %j', async (_what, chunks, text, isWhole) => {
  const read = await readBounded(bodyOf(...chunks), 4);
  expect({ text: read.bytes.toString(), isWhole: read.isWhole }).toEqual({ text, isWhole });
});

test('a body that is longer is ended', async () => {
  const body = bodyOf('12345', '6');
  await readBounded(body, 4);
  expect(body.destroyed).toBe(true);
});
