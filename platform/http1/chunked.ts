/** What a chunked body may say beside its bytes: chunk extensions of the whole answer. */
const extensionBytesMax = 16_384;
/** A size beyond 2⁵² would be no exact number. */
const sizeDigitsMax = 13;

/** Places in a chunked body (RFC 9112, section 7.1). */
const place = {
  size: 0,
  extension: 1,
  sizeEnd: 2,
  data: 3,
  dataReturn: 4,
  dataEnd: 5,
  trailer: 6,
  trailerName: 7,
  trailerValue: 8,
  trailerEnd: 9,
  end: 10,
  done: 11,
} as const;

const carriageReturn = 0x0d;
const lineFeed = 0x0a;

export interface ChunkReader {
  onData(chunk: Buffer): void;
  /** Nothing more is to be read for now. */
  readonly isHalted: boolean;
}

/** Reads a chunked body strictly, whatever pieces it comes in. Extensions and trailers are bounded, and passed over. */
export class ChunkedDecoder {
  readonly #trailerBytesMax: number;
  #place: number = place.size;
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  #trailerBytes = 0;

  constructor(trailerBytesMax: number) {
    this.#trailerBytesMax = trailerBytesMax;
  }

  get isDone(): boolean {
    return this.#place === place.done;
  }

  /** @returns up to where `bytes` was read, from `from` on; -1 where that is no chunked body */
  read(bytes: Buffer, from: number, reader: ChunkReader): number {
    let at = from;
    while (at < bytes.length && this.#place !== place.done) {
      if (this.#place === place.data) {
        at = this.#readData(bytes, at, reader);
        if (reader.isHalted) return at;
      } else {
        if (!this.#take(bytes[at] as number)) return -1;
        at += 1;
      }
    }
    return at;
  }

  #readData(bytes: Buffer, at: number, reader: ChunkReader): number {
    const end = Math.min(bytes.length, at + this.#size);
    this.#size -= end - at;
    if (this.#size === 0) this.#place = place.dataReturn;
    reader.onData(bytes.subarray(at, end));
    return end;
  }

  #take(byte: number): boolean {
    switch (this.#place) {
      case place.size:
        return this.#takeSize(byte);
      case place.extension:
        this.#extensionBytes += 1;
        return this.#extensionBytes <= extensionBytesMax && this.#takeText(byte, place.sizeEnd);
      case place.sizeEnd:
        return this.#takeOnly(byte, lineFeed, this.#size === 0 ? place.trailer : place.data);
      case place.dataReturn:
        return this.#takeOnly(byte, carriageReturn, place.dataEnd);
      case place.dataEnd:
        this.#digits = 0;
        return this.#takeOnly(byte, lineFeed, place.size);
      default:
        return this.#takeTrailer(byte);
    }
  }

  #takeSize(byte: number): boolean {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#size = this.#digits === 0 ? digit : this.#size * 16 + digit;
      this.#digits += 1;
      return this.#digits <= sizeDigitsMax;
    }
    if (this.#digits === 0) return false;
    if (byte === 0x3b) this.#place = place.extension;
    else if (byte === carriageReturn) this.#place = place.sizeEnd;
    else return false;
    return true;
  }

  #takeTrailer(byte: number): boolean {
    this.#trailerBytes += 1;
    if (this.#trailerBytes > this.#trailerBytesMax) return false;
    switch (this.#place) {
      case place.trailer:
        if (byte === carriageReturn) return this.#takeOnly(byte, carriageReturn, place.end);
        this.#place = place.trailerName;
        return isTokenByte(byte);
      case place.trailerName:
        if (byte === 0x3a) this.#place = place.trailerValue;
        return byte === 0x3a || isTokenByte(byte);
      case place.trailerValue:
        return this.#takeText(byte, place.trailerEnd);
      case place.trailerEnd:
        return this.#takeOnly(byte, lineFeed, place.trailer);
      default:
        return this.#takeOnly(byte, lineFeed, place.done);
    }
  }

  #takeOnly(byte: number, only: number, next: number): boolean {
    this.#place = next;
    return byte === only;
  }

  /** Text up to a carriage return, behind which `next` is. */
  #takeText(byte: number, next: number): boolean {
    if (byte === carriageReturn) this.#place = next;
    return byte === carriageReturn || byte === 0x09 || (byte >= 0x20 && byte !== 0x7f);
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

const isTokenByte = (byte: number): boolean => /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(byte));
