import type { OnReadOpts } from 'node:net';

/** What Node itself allocates for a read. */
const smallBytes = 65_536;
/** For a body that goes through at once: a read is a round through JavaScript, and this one is worth four. */
const largeBytes = 262_144;
/** There are never more: callers that all turn slow at the same time would each hold one, or two. */
const largeMax = 32;
/** Small ones that are kept for later. */
const spareMax = 64;

/** A socket that reads, as far as its next buffer depends on it. */
interface Reader {
  /** What it read last has been sent already. */
  isPrompt: boolean;
  isNextLarge: boolean;
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
  /** Buffers that are lent: who read, and how many bytes. */
  readonly #lent = new WeakMap<ArrayBufferLike, { readonly reader: Reader; readonly bytes: number }>();
  #largeCount = 0;
  readonly #lost = new FinalizationRegistry(() => {
    this.#largeCount -= 1;
  });

  /** The `onread` option of `net.connect` and `tls.connect`, for one socket: `receive` gets what it reads. */
  reader(receive: (chunk: Buffer) => void): OnReadOpts {
    const reader: Reader = { isPrompt: false, isNextLarge: false };
    return {
      buffer: () => this.#take(reader),
      callback: (bytes, buffer) => {
        // TLS hands out records of at most 16 KiB, one at a time.
        reader.isNextLarge = reader.isPrompt && bytes > smallBytes / 2;
        reader.isPrompt = false;
        this.#lent.set(buffer.buffer, { reader, bytes });
        receive(buffer.subarray(0, bytes) as Buffer);
        return true;
      },
    };
  }

  /**
   * Takes the buffer back that `chunk` is in, if it is one of ours and `chunk` is the end of what was read into it:
   * who gives it back says that nothing before it is needed either.
   * @param isPrompt sent without waiting: its socket gets a large buffer next. One that waits for somebody slow gets a
   * small one, so that many of them do not take much memory
   */
  giveBack(chunk: Buffer, isPrompt: boolean): void {
    const { buffer } = chunk;
    const lent = this.#lent.get(buffer);
    if (lent?.bytes !== chunk.byteOffset + chunk.length) return;
    this.#lent.delete(buffer);
    lent.reader.isPrompt = isPrompt;
    if (buffer.byteLength === largeBytes) this.#large.push(Buffer.from(buffer));
    else if (this.#small.length < spareMax) this.#small.push(Buffer.from(buffer));
  }

  /** Node asks for a socket's first buffer when it opens, and for the next one right after each read. */
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
