import type { Server } from 'node:net';

export interface ConnectionLimit {
  /** Of all peers together. */
  readonly total: number;
  /** Of one IP address, so that one peer alone cannot keep out all the others. */
  readonly perAddress: number;
}

/** Refuses connections beyond the limit, before anything is read from them: each costs memory whatever it sends. */
export function limitConnections(server: Server, { total, perAddress }: ConnectionLimit): void {
  server.maxConnections = total;
  const counts = new Map<string, number>();
  server.on('connection', (socket) => {
    const address = socket.remoteAddress;
    if (address === undefined) return;
    const count = (counts.get(address) ?? 0) + 1;
    if (count > perAddress) return void socket.resetAndDestroy();
    counts.set(address, count);
    socket.once('close', () => {
      const left = (counts.get(address) ?? 1) - 1;
      if (left === 0) counts.delete(address);
      else counts.set(address, left);
    });
  });
}
