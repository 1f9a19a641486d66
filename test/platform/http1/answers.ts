import { AnswerReader } from '../../../platform/http1/answer-reader.ts';

/** What was read of one answer, in a form that can be compared. */
export interface Read {
  status?: number;
  headers?: Record<string, string | string[]>;
  body: string;
  information: number[];
  /** Bytes behind its end. */
  behind: string;
  isWhole: boolean;
  error?: string;
}

export interface ReadOptions {
  readonly method?: string;
  readonly headBytesMax?: number;
  /** The connection ends behind the last piece. */
  readonly isEnded?: boolean;
}

/** Reads an answer that comes in these pieces. */
export function readAnswer(pieces: readonly Buffer[], options: ReadOptions = {}): Read {
  const read: Read = { body: '', information: [], behind: '', isWhole: false };
  const reader = new AnswerReader(
    {
      isHalted: false,
      onInformation: (status) => read.information.push(status),
      onHead: ({ status, headers }) => Object.assign(read, { status, headers: { ...headers } }),
      onData: (chunk) => {
        read.body += chunk.toString('latin1');
      },
    },
    options.headBytesMax ?? 65_536,
  );
  reader.expect(options.method === 'HEAD');
  for (const piece of pieces) {
    const end = reader.isDone ? 0 : reader.read(piece);
    if (end < 0) return { ...read, error: reader.error?.code ?? 'none' };
    read.behind += piece.subarray(end).toString('latin1');
  }
  return { ...read, isWhole: options.isEnded === true ? reader.end() : reader.isDone };
}

/** In one piece, byte by byte, and cut in two at every place. */
export function waysToCut(bytes: Buffer): Buffer[][] {
  const inTwo = Array.from(bytes, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)]).slice(1);
  return [[bytes], Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)), ...inTwo];
}
