import type { Dispatcher } from 'undici';

/** A body that is streamed as it comes. */
export interface BodySource {
  /** Bytes where known: sent as Content-Length; chunked otherwise. */
  readonly length: number | undefined;
  /** Called once, when the connection is ready for the body: after `100 Continue` where that was asked for. */
  start(sink: BodySink): void;
  /** The sink takes more again, after write() said false. */
  resume(): void;
  /** The socket is done with a chunk, and so is everybody here. It may come after end() and stop(), or not at all. */
  release?(chunk: Buffer): void;
  /**
   * Nothing more is wanted: the answer came early, or the request failed. Also called when start() never was.
   * Idempotent; not called after sink.end().
   */
  stop(): void;
}

export interface BodySink {
  /** @returns whether more may follow at once; after false, resume() says when */
  write(chunk: Buffer): boolean;
  end(): void;
  /** The source broke off: the request must not look whole. */
  fail(error: Error): void;
}

export interface Http1DispatchOptions extends Omit<Dispatcher.DispatchOptions, 'body'> {
  readonly body?: Buffer | string | BodySource | null;
  /**
   * Sends `Expect: 100-continue` and holds the body back until 100, a final answer, or `continueMs` of silence. An
   * origin that is silent once is not asked again for a while.
   */
  readonly expectContinue?: boolean;
}
