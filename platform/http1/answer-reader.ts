import { ChunkedDecoder, type ChunkReader } from './chunked.ts';
import { Http1Error } from './errors.ts';
import { chunkedLength, parseResponseHead, type ResponseHead, unknownLength } from './response-head.ts';

export interface AnswerConsumer extends ChunkReader {
  /** `100 Continue`, or another answer before the answer. */
  onInformation(status: number): void;
  onHead(head: ResponseHead): void;
}

const headEnd = Buffer.from('\r\n\r\n');
const beginning = 'HTTP/1.';
/** 100 once, 103 a few times. */
const informationMax = 16;

type State = 'head' | 'length' | 'chunks' | 'rest' | 'done';

/** Reads one answer after the other, whatever pieces they come in, and hands on what it finds without copying it. */
export class AnswerReader {
  readonly #consumer: AnswerConsumer;
  readonly #headBytesMax: number;
  #state: State = 'done';
  #isBodiless = false;
  #left = 0;
  #chunks: ChunkedDecoder | undefined;
  #information = 0;
  #partial: PartialHead | undefined;
  /** No byte of this answer has come. */
  isUntouched = true;
  error: Http1Error | undefined;

  constructor(consumer: AnswerConsumer, headBytesMax: number) {
    this.#consumer = consumer;
    this.#headBytesMax = headBytesMax;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  get isInHead(): boolean {
    return this.#state === 'head';
  }

  /** Begins the next answer. `isBodiless`: it is one to a HEAD. */
  expect(isBodiless: boolean): void {
    this.#state = 'head';
    this.#isBodiless = isBodiless;
    this.#information = 0;
    this.isUntouched = true;
  }

  /** @returns how many of the bytes belong to this answer, or fewer where the consumer halts; -1 with `error` set */
  read(bytes: Buffer): number {
    this.isUntouched = false;
    let at = 0;
    while (this.#state === 'head' && at < bytes.length) {
      at = this.#readHead(bytes, at);
      if (at < 0 || this.#consumer.isHalted) return at;
    }
    if (at === bytes.length || this.#state === 'done') return at;
    if (this.#state === 'chunks') return this.#readChunks(bytes, at);
    const end = this.#state === 'rest' ? bytes.length : Math.min(bytes.length, at + this.#left);
    this.#left -= end - at;
    if (this.#left === 0) this.#state = 'done';
    this.#consumer.onData(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    return end;
  }

  /** The connection has ended. @returns whether the answer is whole */
  end(): boolean {
    if (this.#state === 'rest') this.#state = 'done';
    return this.#state === 'done';
  }

  #readChunks(bytes: Buffer, from: number): number {
    const at = this.#chunks?.read(bytes, from, this.#consumer) ?? -1;
    if (at < 0) return this.#refuse('HPE_INVALID_CHUNK_SIZE');
    if (this.#chunks?.isDone) this.#state = 'done';
    return at;
  }

  #readHead(bytes: Buffer, at: number): number {
    if (this.#partial === undefined) {
      const end = bytes.indexOf(headEnd, at);
      if (end >= 0) {
        if (end + 4 - at > this.#headBytesMax) return this.#overflow();
        return this.#takeHead(bytes.toString('latin1', at, end + 2), end + 4);
      }
      this.#partial = new PartialHead(this.#headBytesMax);
    }
    const end = this.#partial.add(bytes, at);
    if (end < 0) return this.#refuse('HPE_INVALID_HEADER_TOKEN');
    if (this.#partial.isTooLarge) return this.#overflow();
    if (!this.#partial.isWhole) return this.#partial.mayBeHttp ? end : this.#refuse('HPE_INVALID_CONSTANT');
    const { text } = this.#partial;
    this.#partial = undefined;
    return this.#takeHead(text, end);
  }

  /** @returns `end`, behind which the body begins */
  #takeHead(text: string, end: number): number {
    const head = parseResponseHead(text);
    if (typeof head === 'string') return this.#refuse(head);
    if (head.status < 200) return this.#inform(head.status) ? end : -1;
    this.#begin(head);
    this.#consumer.onHead(head);
    return end;
  }

  #inform(status: number): boolean {
    this.#information += 1;
    if (status === 101 || this.#information > informationMax) {
      this.#refuse('HPE_INVALID_STATUS');
      return false;
    }
    this.#consumer.onInformation(status);
    return true;
  }

  #begin({ status, length }: ResponseHead): void {
    this.#left = Number.NaN;
    if (this.#isBodiless || status === 204 || status === 304 || length === 0) {
      this.#state = 'done';
    } else if (length === chunkedLength) {
      this.#state = 'chunks';
      this.#chunks = new ChunkedDecoder(this.#headBytesMax);
    } else if (length === unknownLength) {
      this.#state = 'rest';
    } else {
      this.#state = 'length';
      this.#left = length;
    }
  }

  #overflow(): -1 {
    this.error = new Http1Error('UND_ERR_HEADERS_OVERFLOW', 'the headers of the answer are too large');
    return -1;
  }

  #refuse(code: string): -1 {
    this.error = new Http1Error(code, 'the answer is not HTTP');
    return -1;
  }
}

/** A head that comes in pieces; each byte of it is looked at once. */
class PartialHead {
  readonly #bytesMax: number;
  #bytes = Buffer.allocUnsafe(1024);
  #length = 0;
  /** How much of CR LF CR LF the bytes so far end with. */
  #ending = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get isWhole(): boolean {
    return this.#ending === 4;
  }

  get isTooLarge(): boolean {
    return this.#length > this.#bytesMax;
  }

  get mayBeHttp(): boolean {
    const length = Math.min(this.#length, beginning.length);
    return this.#bytes.toString('latin1', 0, length) === beginning.slice(0, length);
  }

  /** Up to the end of its last line. */
  get text(): string {
    return this.#bytes.toString('latin1', 0, this.#length - 2);
  }

  /** Takes what belongs to the head. @returns up to where that was; -1 for a CR or an LF that is alone */
  add(bytes: Buffer, from: number): number {
    const most = Math.min(bytes.length, from + this.#bytesMax + 1 - this.#length);
    let at = from;
    for (; at < most && this.#ending < 4; at += 1) {
      if (!this.#follow(bytes[at] as number)) return -1;
    }
    this.#append(bytes.subarray(from, at));
    return at;
  }

  #follow(byte: number): boolean {
    const isAfterReturn = this.#ending % 2 === 1;
    if (isAfterReturn !== (byte === 0x0a)) return false;
    if (byte === 0x0a || byte === 0x0d) this.#ending += 1;
    else this.#ending = 0;
    return true;
  }

  #append(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    bytes.copy(this.#bytes, this.#length);
    this.#length = needed;
  }
}
