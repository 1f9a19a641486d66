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
    ['small for records of TLS', [fast(16_384), fast(16_384), fast(16_384)], [small, small, small]],
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

function fast(bytes: number) {
  return { bytes, isPrompt: true };
}

function slow(bytes: number) {
  return { bytes, isPrompt: false };
}
