import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { hasCode } from '../platform/system-error.ts';

/** The right to do something alone on this machine. */
export interface Turn {
  release(): void;
}

export interface TurnOptions {
  /** How long to wait for others, all of them together. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
  /** Whether what the turn was wanted for has been done by somebody else. */
  readonly isDone: () => boolean;
}

const retryMs = 5;

/**
 * Waits for a turn; undefined where it is not needed any more, or did not come in time. It is an abstract Unix socket:
 * the kernel gives it to one process, and takes it back when that ends, however it ends. So none is ever left behind, by
 * SIGKILL or by a reboot; who is stopped keeps it, and is waited for so long and no longer. Who waits is connected to
 * the holder, and hears its end at once.
 */
export async function takeTurn(name: string, { waitMs, signal, isDone }: TurnOptions): Promise<Turn | undefined> {
  const path = `\0oci-connector/${createHash('sha256').update(name).digest('hex')}`;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
  while (!patience.aborted) {
    const turn = await tryTurn(path);
    if (turn !== 'taken') return turn;
    await holderLeaves(path, patience);
    if (isDone()) return undefined;
    if (!patience.aborted) await wait(retryMs * Math.random());
  }
  signal.throwIfAborted();
  return undefined;
}

async function tryTurn(path: string): Promise<Turn | 'taken' | undefined> {
  const waiting = new Set<Socket>();
  const server = createServer((socket) => {
    waiting.add(socket);
    socket.on('error', () => {}).on('close', () => waiting.delete(socket));
    socket.resume().unref();
  });
  try {
    server.listen(path);
    await once(server, 'listening');
  } catch (error) {
    // Where there are no such sockets everybody asks for himself.
    return hasCode(error, 'EADDRINUSE') ? 'taken' : undefined;
  }
  server.unref();
  return {
    release: () => {
      server.close();
      for (const socket of waiting) socket.destroy();
    },
  };
}

/** Resolves when the connection to the holder ends, or cannot be made, or nobody waits for it any more. */
async function holderLeaves(path: string, signal: AbortSignal): Promise<void> {
  const socket = connect(path);
  const destroy = (): void => void socket.destroy();
  signal.addEventListener('abort', destroy, { once: true });
  if (signal.aborted) destroy();
  socket.on('error', () => {}).resume();
  await once(socket, 'close').catch(() => {});
  signal.removeEventListener('abort', destroy);
}
