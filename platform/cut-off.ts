import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/**
 * Breaks a connection off: reset, not ended, so that what is cut does not look whole to a peer that reads until the end.
 * Unix sockets know no reset; TLS has an end of its own, without which a peer knows that something is missing.
 */
export function cutOff(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket instanceof TLSSocket || socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
