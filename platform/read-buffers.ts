import type { OnReadOpts } from 'node:net';

/** What Node itself allocates for a read. */
const smallBytes = 65_536;
/** For a body that goes through at once: a read is a round through JavaScript, and this one is worth four. */
const largeBytes = 262_144;
/** There are never more: callers that all turn slow at the same time would each hold one, or two. */
const largeMax = 32;
/** Small ones that are kept for later. */
const spareMax = 64;
/** TLS hands out one record after the other, of this size at most (RFC 8446, section 5.1). */
const recordBytes = 16_384;

/** What a socket reads by. */
export interface SocketReader extends OnReadOpts {
  /** Hands on what has been read: for the end of a connection, which would come before it otherwise. */
  flush(): void;
}

/** A socket that reads, as far as its next buffer depends on it. */
interface Reader {
  /** What it read last has been sent already. */
  isPrompt: boolean;
  isNextLarge: boolean;
}

/** A buffer that a socket reads into, or that somebody looks at what was read. */
interface Lease {
  readonly reader: Reader;
  readonly buffer: Buffer;
  /** Where the chunks end that have not been given back. */
  readonly ends: Set<number>;
  /** The socket reads into another one. */
  isLeft: boolean;
}

/**
 * Buffers that sockets read into, used again and again. Without it, Node allocates 64 KiB for each read and leaves them
 * to the garbage collector: memory that is never in the processor's cache, and hundreds of megabytes of it.
 *
 * A buffer is lent with what was read into it, and may be given back by whoever was the last to look at it. One that is
 * never given back is garbage like any other, so that readers need not know.
 */
export class ReadBuffers {
  readonly #small: Buffer[] = [];
  readonly #large: Buffer[] = [];
  readonly #leases = new WeakMap<ArrayBufferLike, Lease>();
  #largeCount = 0;
  readonly #lost = new FinalizationRegistry(() => {
    this.#largeCount -= 1;
  });

  /**
   * The `onread` option of `net.connect` and `tls.connect`, for one socket: `receive` gets what it reads. Whole records of
   * TLS are gathered as long as there are more of them already: four are one chunk, one write and one turn of JavaScript.
   */
  reader(receive: (chunk: Buffer) => void): SocketReader {
    const reader: Reader = { isPrompt: false, isNextLarge: false };
    let lease = this.#lend(reader);
    let [from, filled] = [0, 0];
    let flushing: NodeJS.Immediate | undefined;
    const flush = (): void => {
      clearImmediate(flushing);
      flushing = undefined;
      if (filled === from) return;
      const chunk = lease.buffer.subarray(from, filled);
      lease.ends.add(filled);
      from = filled;
      receive(chunk);
    };
    return {
      flush,
      buffer: () => {
        if (lease.isLeft) {
          lease = this.#lend(reader);
          [from, filled] = [0, 0];
        }
        return lease.buffer.subarray(filled);
      },
      callback: (bytes) => {
        filled += bytes;
        if (bytes === recordBytes && filled + recordBytes <= lease.buffer.length) {
          flushing ??= setImmediate(flush);
          return true;
        }
        lease.isLeft = true;
        reader.isNextLarge = reader.isPrompt && bytes > smallBytes / 2;
        reader.isPrompt = false;
        flush();
        return true;
      },
    };
  }

  /**
   * Takes the buffer back that `chunk` is in, if it is one of ours, `chunk` is the end of what `receive` was given, and
   * nothing else in it is needed: who gives it back says so of what `receive` was given with it.
   * @param isPrompt sent without waiting: its socket gets a large buffer next. One that waits for somebody slow gets a
   * small one, so that many of them do not take much memory
   */
  giveBack(chunk: Buffer, isPrompt: boolean): void {
    const lease = this.#leases.get(chunk.buffer);
    if (lease?.ends.delete(chunk.byteOffset + chunk.length) !== true) return;
    lease.reader.isPrompt = isPrompt;
    if (!lease.isLeft || lease.ends.size > 0) return;
    this.#leases.delete(chunk.buffer);
    if (lease.buffer.length === largeBytes) this.#large.push(lease.buffer);
    else if (this.#small.length < spareMax) this.#small.push(lease.buffer);
  }

  /** Node asks for a socket's first buffer when it opens, and for the next one right after each read. */
  #lend(reader: Reader): Lease {
    const lease = { reader, buffer: this.#take(reader), ends: new Set<number>(), isLeft: false };
    this.#leases.set(lease.buffer.buffer, lease);
    return lease;
  }

  #take(reader: Reader): Buffer {
    const large = reader.isNextLarge ? (this.#large.pop() ?? this.#makeLarge()) : undefined;
    // Not of Buffer's pool: what is given back is the whole memory behind a chunk.
    return large ?? this.#small.pop() ?? Buffer.allocUnsafeSlow(smallBytes);
  }

  #makeLarge(): Buffer | undefined {
    if (this.#largeCount >= largeMax) return undefined;
    const made = Buffer.allocUnsafeSlow(largeBytes);
    this.#largeCount += 1;
    this.#lost.register(made.buffer, undefined);
    return made;
  }
}

/** Of all connections of this process: one that is done with a buffer leaves it to any other. */
export const readBuffers = new ReadBuffers();
