import { writeSync } from 'node:fs';
import { hasCode } from '../platform/system-error.ts';
import { redirectConsole } from './library-output.ts';

/** What libraries print, from now on: standard output is for one object alone. */
export function guardStandardOutput(noise: (text: string) => void): void {
  redirectConsole((...printed) => noise(printed.map(shown).join(' ')));
  guardStream(noise);
}

/** Node makes the stream when it is looked at for the first time, which takes a while and is seldom. */
function guardStream(noise: (text: string) => void): void {
  const make = Object.getOwnPropertyDescriptor(process, 'stdout')?.get?.bind(process);
  const write = (chunk: unknown, encoding?: unknown, done?: unknown): boolean => {
    noise(chunk instanceof Uint8Array ? Buffer.from(chunk).toString('utf8') : String(chunk));
    const settled = typeof encoding === 'function' ? encoding : done;
    if (typeof settled === 'function') queueMicrotask(() => settled());
    return true;
  };
  const get = (): unknown => Object.assign(make?.() ?? {}, { write });
  Object.defineProperty(process, 'stdout', { configurable: true, enumerable: true, get });
}

function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  return value instanceof Error ? value.message : typeof value;
}

const retryMs = 5;
const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes all of a text to a file descriptor, whoever has taken the stream of it.
 * @throws when nobody reads it any more, or not before `deadline`
 */
export function writeWhole(fd: number, text: string, deadline: number): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      // A pipe that is full, and was set not to block.
      const isFull = hasCode(error, 'EAGAIN');
      if (!isFull || Date.now() > deadline) throw error;
      Atomics.wait(pause, 0, 0, retryMs);
    }
  }
}
