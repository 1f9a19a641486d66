import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { hasCode } from '../platform/system-error.ts';

const chunkBytes = 64 * 1024;
const pauseMsMax = 5;

/** Standard input is a terminal: somebody has called by hand what the kubelet calls. */
export const isTerminal = (): boolean => fstatSync(0).isCharacterDevice() && process.stdin.isTTY;

/**
 * Standard input to its end, or to somewhere beyond `bytesMax`. Its end may never come: nothing here keeps the process from
 * ending, as a read in one of Node's threads would.
 */
export async function readStandardInput(bytesMax: number, signal: AbortSignal): Promise<Buffer> {
  const fd = openWithoutBlocking();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of fd === undefined ? process.stdin : chunksOf(fd, signal)) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > bytesMax) break;
  }
  return Buffer.concat(chunks);
}

/** The pipe once more, for reads that do not wait: without Node's streams a process starts 8 ms sooner. */
function openWithoutBlocking(): number | undefined {
  try {
    return openSync('/dev/stdin', constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    // A socket, or somebody else's pipe.
    return undefined;
  }
}

async function* chunksOf(fd: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  let pauseMs = 1;
  try {
    while (!signal.aborted) {
      const chunk = readSome(fd);
      if (chunk?.length === 0) return;
      if (chunk !== undefined) yield chunk;
      else await wait(pauseMs);
      pauseMs = Math.min(pauseMsMax, pauseMs * 2);
    }
  } finally {
    closeSync(fd);
  }
}

/** Undefined where nothing has come yet; empty at the end. */
function readSome(fd: number): Buffer | undefined {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  try {
    return chunk.subarray(0, readSync(fd, chunk));
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return undefined;
    throw error;
  }
}
