import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

export interface Dials extends Disposable {
  /** `address:port` of every connection that this process began, whether it came about or not. */
  readonly begun: readonly string[];
}

/** Watches the connections that this process makes. */
export function watchDials(): Dials {
  const begun: string[] = [];
  const onSocket = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    socket.on('connectionAttempt', (address: string, port: number) => void begun.push(`${address}:${port}`));
  };
  subscribe('net.client.socket', onSocket);
  return { begun, [Symbol.dispose]: () => void unsubscribe('net.client.socket', onSocket) };
}
