import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { Server as NetServer, type Socket } from 'node:net';
import { cutOff } from './cut-off.ts';

/** Connections that have just been opened get this long for their first request. */
const firstRequestMs = 500;

/**
 * Prepares a server for its end. The function returned takes no new connection, lets answers under way end for at most
 * `graceMs`, and then cuts whatever is still there: also connections that never sent a whole request, or never ended
 * their TLS handshake, of which Node's own `closeAllConnections` knows nothing. As soon as `server.listening` is false,
 * answers should end their connections.
 */
export function drainable(server: HttpServer | HttpsServer): (graceMs: number) => Promise<void> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const drain = (graceMs: number, resolve: () => void): void => {
    // Not Node's own close of an HTTP server, which cuts connections that have not sent their first request yet.
    NetServer.prototype.close.call(server, () => {
      clearTimeout(firstRequests);
      clearInterval(idle);
      clearTimeout(cut);
      // It ends timers as well.
      server.close();
      resolve();
    });
    let idle: NodeJS.Timeout | undefined;
    const firstRequests = setTimeout(() => {
      idle = setInterval(() => server.closeIdleConnections(), 50);
    }, firstRequestMs);
    const cut = setTimeout(() => {
      for (const socket of sockets) cutOff(socket);
    }, graceMs);
  };
  return (graceMs) =>
    new Promise((resolve) => {
      // Connections that wait in the kernel are taken first: it resets them with the listener, whoever else has the port.
      setImmediate(() => setImmediate(() => drain(graceMs, resolve)));
    });
}
