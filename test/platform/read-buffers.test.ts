import { describe, expect, test } from 'vitest';
import { ReadBuffers } from '../../platform/read-buffers.ts';

const small = 65_536;
const large = 262_144;

/** A socket as Node drives one: it reads into the buffer that it has, and is handed the next one at once. */
function reader(buffers: ReadBuffers) {
  const received: Buffer[] = [];
  const onread = buffers.reader((chunk) => received.push(chunk));
  const next = onread.buffer as () => Uint8Array;
  let current = next();
  return {
    get current() {
      return current;
    },
    /** Reads `bytes`, and returns the chunk that whoever reads from the socket gets. */
    read(bytes: number): Buffer {
      onread.callback(bytes, current);
      current = next();
      const chunk = received.at(-1);
      if (chunk === undefined) throw new Error('nothing was received');
      return chunk;
    },
  };
}

describe('a buffer that sockets read into', () => {
  test('is lent again when it was given back, to any socket', () => {
    const buffers = new ReadBuffers();
    const chunk = reader(buffers).read(100);
    expect(chunk).toHaveLength(100);
    buffers.giveBack(chunk, true);
    expect(reader(buffers).current.buffer).toBe(chunk.buffer);
  });

  test('is never lent again as long as it was not given back', () => {
    const buffers = new ReadBuffers();
    const one = reader(buffers);
    const chunks = Array.from({ length: 50 }, () => one.read(40_000).buffer);
    expect(new Set([...chunks, one.current.buffer]).size).toBe(51);
  });

  test('is lent once when it was given back twice', () => {
    const buffers = new ReadBuffers();
    const chunk = reader(buffers).read(100);
    buffers.giveBack(chunk, true);
    buffers.giveBack(chunk, true);
    const [first, second] = [reader(buffers).current, reader(buffers).current];
    expect(first.buffer).toBe(chunk.buffer);
    expect(second.buffer).not.toBe(chunk.buffer);
  });

  test('is not taken back for a part with more behind it', () => {
    const buffers = new ReadBuffers();
    const chunk = reader(buffers).read(100);
    buffers.giveBack(chunk.subarray(0, 60), true);
    expect(reader(buffers).current.buffer).not.toBe(chunk.buffer);
    buffers.giveBack(chunk.subarray(60), true);
    expect(reader(buffers).current.buffer).toBe(chunk.buffer);
  });

  test('is not taken back when it is not ours', () => {
    const buffers = new ReadBuffers();
    const stranger = Buffer.alloc(small);
    buffers.giveBack(stranger, true);
    expect(reader(buffers).current.buffer).not.toBe(stranger.buffer);
  });
});

describe('the size of the next buffer', () => {
  /** Sizes of the buffers that follow after reads of so many bytes, each given back before the next one. */
  function sizesAfter(reads: readonly { bytes: number; isPrompt?: boolean }[]): number[] {
    const buffers = new ReadBuffers();
    const one = reader(buffers);
    return reads.map(({ bytes, isPrompt }) => {
      const chunk = one.read(bytes);
      if (isPrompt !== undefined) buffers.giveBack(chunk, isPrompt);
      return one.current.length;
    });
  }

  test.each<[string, { bytes: number; isPrompt?: boolean }[], number[]]>([
    ['large for a body that goes through at once', [fast(small), fast(small), fast(large)], [small, large, large]],
    ['small again for what is small', [fast(small), fast(small), fast(900)], [small, large, small]],
    ['small for records of TLS', [fast(900), fast(16_000), fast(4_000)], [small, small, small]],
    ['small when the last chunk had to wait', [fast(small), slow(small), slow(large)], [small, large, small]],
    ['small when the last chunk still waits', [{ bytes: small }, { bytes: small }], [small, small]],
  ])('is %s', (_what, reads, sizes) => expect(sizesAfter(reads)).toEqual(sizes));

  test('is large for 32 at the same time, and small for more', () => {
    const buffers = new ReadBuffers();
    const readers = Array.from({ length: 40 }, () => reader(buffers));
    for (const one of readers) buffers.giveBack(one.read(small), true);
    const chunks = readers.map((one) => one.read(small));
    expect(readers.filter(({ current }) => current.length === large)).toHaveLength(32);
    expect(new Set(chunks.map(({ buffer }) => buffer)).size).toBe(40);
  });
});

describe('whole records of TLS', () => {
  const record = 16_384;

  function records(buffers: ReadBuffers) {
    const received: Buffer[] = [];
    const onread = buffers.reader((chunk) => received.push(chunk));
    const next = onread.buffer as () => Uint8Array;
    let current = next();
    /** Reads so many bytes, each of which is `value`. */
    const read = (bytes: number, value: number): void => {
      current.fill(value, 0, bytes);
      onread.callback(bytes, current);
      current = next();
    };
    return { received, read, flush: onread.flush, current: () => current };
  }

  test('that come together are one chunk, with what comes behind them', async () => {
    const { received, read } = records(new ReadBuffers());
    read(record, 1);
    read(record, 2);
    read(100, 3);
    expect(received).toEqual([Buffer.concat([Buffer.alloc(record, 1), Buffer.alloc(record, 2), Buffer.alloc(100, 3)])]);
    await new Promise(setImmediate);
    expect(received).toHaveLength(1);
  });

  test('that fill a buffer are handed on at once', () => {
    const { received, read } = records(new ReadBuffers());
    for (const value of [1, 2, 3, 4]) read(record, value);
    expect(received.map(({ length }) => length)).toEqual([small]);
  });

  test('wait for no more than what has come already', async () => {
    const { received, read } = records(new ReadBuffers());
    read(record, 1);
    expect(received).toEqual([]);
    await new Promise(setImmediate);
    expect(received).toEqual([Buffer.alloc(record, 1)]);
  });

  test('are handed on before the connection ends', () => {
    const { received, read, flush } = records(new ReadBuffers());
    read(record, 1);
    flush();
    flush();
    expect(received).toEqual([Buffer.alloc(record, 1)]);
  });

  test('keep their buffer as long as the socket reads into it, or one of their chunks is not given back', async () => {
    const buffers = new ReadBuffers();
    const { received, read, current } = records(buffers);
    read(record, 1);
    await new Promise(setImmediate);
    const [first] = received as [Buffer];
    buffers.giveBack(first, true);
    expect(reader(buffers).current.buffer).not.toBe(first.buffer);
    read(record, 2);
    await new Promise(setImmediate);
    read(100, 3);
    const [, second, third] = received as [Buffer, Buffer, Buffer];
    expect([second.buffer, third.buffer]).toEqual([first.buffer, first.buffer]);
    expect(current().buffer).not.toBe(first.buffer);
    buffers.giveBack(third, true);
    expect(reader(buffers).current.buffer).not.toBe(first.buffer);
    expect([second[0], third[0]]).toEqual([2, 3]);
    buffers.giveBack(second, true);
    expect(reader(buffers).current.buffer).toBe(first.buffer);
  });
});

function fast(bytes: number) {
  return { bytes, isPrompt: true };
}

function slow(bytes: number) {
  return { bytes, isPrompt: false };
}
