import { join } from 'node:path';
import { firstLine } from './children.ts';
import type { Origin } from './origin.ts';
import type { PartContext } from './part.ts';

/** A registry that keeps nothing: see peers/sink. */
export interface Sink {
  readonly origin: Origin;
  stop(): Promise<void>;
}

export interface SinkOptions {
  /** Bytes a second that it takes of each body; all that come when absent. */
  readonly rate?: number;
  /** How long a token takes, as Go writes it. */
  readonly tokenDelay?: string;
}

export async function startSink(
  context: PartContext,
  { rate = 0, tokenDelay = '0s' }: SinkOptions = {},
): Promise<Sink> {
  const { children, programs, isTls, origin } = context;
  const tls = isTls ? ['-certificate', origin.certificateFile, '-key', origin.keyFile] : [];
  const child = children.start(join(programs, 'sink'), ['-rate', String(rate), '-token-delay', tokenDelay, ...tls]);
  const url = await firstLine(child, 'sink');
  return {
    origin: { ...origin, url, authorization: 'Bearer sink-token' },
    stop: () => children.stop(child),
  };
}
