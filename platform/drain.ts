import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';

/**
 * Prepares a server for its end. The function returned takes no new connection, lets answers under way end for at most
 * `graceMs`, and then cuts whatever is still there: also connections that never sent a whole request, or never ended
 * their TLS handshake, of which Node's own `closeAllConnections` knows nothing.
 */
export function drainable(server: HttpServer | HttpsServer): (graceMs: number) => Promise<void> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return (graceMs) =>
    new Promise((resolve) => {
      const idle = setInterval(() => server.closeIdleConnections(), 50);
      const cut = setTimeout(() => {
        // Reset, not ended: what is cut must not look whole to a caller that reads until the end.
        for (const socket of sockets) socket.resetAndDestroy();
      }, graceMs);
      server.close(() => {
        clearInterval(idle);
        clearTimeout(cut);
        resolve();
      });
    });
}
