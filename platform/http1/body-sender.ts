import type { Socket } from 'node:net';
import { Http1Error } from './errors.ts';
import type { BodySink, BodySource } from './request.ts';

export interface BodyProgress {
  /** The registry took something, or there is something for it; `isWaiting`: it has not taken all that there is. */
  onBodyMoved(isWaiting: boolean): void;
  onBodySent(): void;
  onBodyFailed(error: Error): void;
}

/** Sends the body of one request as its source gives it: exactly as many bytes as were promised, or in chunks. */
export class BodySender implements BodySink {
  readonly #socket: Socket;
  readonly #source: BodySource;
  readonly #progress: BodyProgress;
  #left: number;
  #isHeld = false;
  #isOver = false;
  /** `100 Continue` is waited for. */
  #continueTimer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, source: BodySource, progress: BodyProgress) {
    this.#socket = socket;
    this.#source = source;
    this.#progress = progress;
    this.#left = source.length ?? Number.POSITIVE_INFINITY;
  }

  /** Nothing was sent yet, nor the source started. */
  get isExpecting(): boolean {
    return this.#continueTimer !== undefined;
  }

  /** Starts when the registry says `100 Continue`, or nothing for so long. */
  expect(continueMs: number, onSilence: () => void): void {
    this.#continueTimer = setTimeout(() => {
      onSilence();
      this.start();
    }, continueMs);
  }

  start(): void {
    this.#expectNothing();
    this.#run(() => this.#source.start(this));
  }

  /** The socket has taken all that it was given. */
  drained(): void {
    if (!this.#isHeld || this.#isOver) return;
    this.#isHeld = false;
    this.#run(() => this.#source.resume());
  }

  /** Nothing more is sent, whatever the source says. */
  stop(): void {
    this.#expectNothing();
    this.#isOver = true;
  }

  write(chunk: Buffer): boolean {
    if (this.#isOver) return false;
    // An empty chunk would be the last one.
    if (chunk.length === 0) return !this.#isHeld;
    this.#left -= chunk.length;
    if (this.#left < 0) {
      this.#break(mismatch());
      return false;
    }
    const isBelowMark = this.#source.length === undefined ? this.#writeFramed(chunk) : this.#writeBare(chunk);
    // The kernel took it all: Node says that only in its next turn.
    if (this.#socket.writableLength === 0) return true;
    this.#progress.onBodyMoved(true);
    this.#isHeld = !isBelowMark;
    return isBelowMark;
  }

  end(): void {
    if (this.#isOver) return;
    if (this.#left > 0 && this.#source.length !== undefined) {
      this.#break(mismatch());
      return;
    }
    if (this.#source.length === undefined) this.#socket.write('0\r\n\r\n', 'latin1');
    this.#isOver = true;
    this.#progress.onBodySent();
  }

  fail(error: Error): void {
    if (!this.#isOver) this.#break(error);
  }

  #expectNothing(): void {
    clearTimeout(this.#continueTimer);
    this.#continueTimer = undefined;
  }

  #writeBare(chunk: Buffer): boolean {
    return this.#socket.write(chunk, (error) => this.#onWritten(chunk, error));
  }

  #writeFramed(chunk: Buffer): boolean {
    const socket = this.#socket;
    socket.cork();
    socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    socket.write(chunk);
    const isBelowMark = socket.write('\r\n', 'latin1', (error) => this.#onWritten(chunk, error));
    socket.uncork();
    return isBelowMark;
  }

  #onWritten(chunk: Buffer, error: Error | null | undefined): void {
    if (!this.#isOver) this.#progress.onBodyMoved(this.#socket.writableLength > 0);
    // After a failure nobody can tell who still reads it.
    if (!error) this.#source.release?.(chunk);
  }

  #break(error: Error): void {
    this.#isOver = true;
    this.#progress.onBodyFailed(error);
  }

  #run(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.fail(error as Error);
    }
  }
}

const mismatch = (): Http1Error =>
  new Http1Error('UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', 'the body has not as many bytes as were promised');

const pieceBytes = 65_536;

/** A body that is in memory, in pieces whose progress can be seen. */
export class BufferSource implements BodySource {
  readonly length: number;
  readonly #body: Buffer;
  #at = 0;
  #sink: BodySink | undefined;

  constructor(body: Buffer) {
    this.#body = body;
    this.length = body.length;
  }

  start(sink: BodySink): void {
    this.#sink = sink;
    this.resume();
  }

  resume(): void {
    const body = this.#body;
    for (let goesOn = true; goesOn && this.#at < body.length; ) {
      const piece = body.subarray(this.#at, this.#at + pieceBytes);
      this.#at += piece.length;
      goesOn = this.#sink?.write(piece) ?? false;
    }
    if (this.#at === body.length) this.#sink?.end();
  }

  stop(): void {
    this.#at = this.#body.length;
    this.#sink = undefined;
  }
}
