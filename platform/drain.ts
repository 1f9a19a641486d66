import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { Server as NetServer, type Socket } from 'node:net';
import { acceptWaiting } from './accept-waiting.ts';
import { cutOff } from './cut-off.ts';

/**
 * Connections without a request are served for this long after the last answer: whoever opened or kept one may be
 * sending at this moment, and would meet a reset.
 */
export const quietMs = 1_000;

/**
 * Prepares a server for its end. The function returned takes no new connection, lets answers under way end for at most
 * `graceMs`, and then cuts whatever is still there: also connections that never sent a whole request, or never ended
 * their TLS handshake, of which Node's own `closeAllConnections` knows nothing. As soon as `server.listening` is false,
 * answers should end their connections.
 */
export function drainable(server: HttpServer | HttpsServer): (graceMs: number) => Promise<void> {
  const sockets = new Set<Socket>();
  let quiet: NodeJS.Timeout | undefined;
  const putOff = (): void => void quiet?.refresh();
  server.on('request', (_request: IncomingMessage, response: ServerResponse) => void response.on('close', putOff));
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const close = (graceMs: number, resolve: () => void): void => {
    // Not Node's own close of an HTTP server, which cuts connections that have not sent their first request yet.
    NetServer.prototype.close.call(server, () => {
      clearInterval(quiet);
      clearTimeout(cut);
      // It ends timers as well.
      server.close();
      resolve();
    });
    // Right after requests were read: one that waits in the kernel would be answered with a reset.
    quiet ??= setInterval(() => setImmediate(() => server.closeIdleConnections()), quietMs);
    const cut = setTimeout(() => {
      for (const socket of sockets) cutOff(socket);
    }, graceMs);
  };
  return (graceMs) =>
    new Promise((resolve) => {
      acceptWaiting(server, () => close(graceMs, resolve));
    });
}
