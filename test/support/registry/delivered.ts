import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * Waits until the peer's kernel has everything that was written. A reset discards what still waits on this side, and a
 * test that counts bytes would depend on luck. Only Linux tells how much that is; elsewhere this returns at once.
 */
export async function delivered(socket: Socket, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await unacknowledgedBytes(socket)) > 0) await wait(1);
}

async function unacknowledgedBytes({ localPort, remotePort }: Socket): Promise<number> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => '')),
  );
  const ports = new RegExp(`: [0-9A-F]+:${hexPort(localPort)} [0-9A-F]+:${hexPort(remotePort)} \\w+ ([0-9A-F]+):`);
  const [, bytes = '0'] = ports.exec(tables.join('')) ?? [];
  return Number.parseInt(bytes, 16);
}

function hexPort(port = 0): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}
