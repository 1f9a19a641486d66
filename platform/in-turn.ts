import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';

/** No registry client sends so many requests without waiting for an answer. */
const waitingMax = 64;
const waiting = new WeakMap<Socket, number>();

/**
 * One request at a time on a connection. Of those that are sent on without waiting, Node would have all served at once:
 * a push beside what comes behind it, and a thousand pulls for one caller who reads none of them. A connection on which
 * more than 64 wait is cut.
 */
export const inTurn =
  (listener: RequestListener): RequestListener =>
  (request, response) => {
    if (response.socket !== null) return listener(request, response);
    const { socket } = request;
    const count = (waiting.get(socket) ?? 0) + 1;
    if (count > waitingMax) return void socket.destroy();
    waiting.set(socket, count);
    // It gets its connection when the answer before it has been sent.
    response.once('socket', () => {
      waiting.set(socket, (waiting.get(socket) ?? 1) - 1);
      listener(request, response);
    });
  };
