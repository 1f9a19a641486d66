import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** One connection as a registry sees it, byte by byte. */
export interface RawConnection {
  readonly socket: Socket;
  /** Latin-1. */
  readonly received: string;
  /** Resolves as soon as what has come matches. */
  until(pattern: RegExp): Promise<void>;
  /** How the connection ended. */
  readonly ended: Promise<'closed' | 'reset'>;
}

/** An open registry that asks for bodies and answers nothing but what a test says. */
export interface RawRegistry extends AsyncDisposable {
  readonly origin: string;
  /** The `count`th connection whose request is no probe (GET, HEAD), as soon as it has come. */
  connection(count?: number): Promise<RawConnection>;
}

export interface RawRegistryOptions {
  /** No more than the head is read. */
  readonly isDeaf?: boolean;
  /** What becomes of the first request that is no probe, before its body is asked for: these bytes, then a close. */
  readonly refusal?: string;
}

/** Starts a registry whose requests a test reads as bytes. `GET` and `HEAD` are answered with 200 and nothing. */
export async function startRawRegistry({ isDeaf = false, refusal }: RawRegistryOptions = {}): Promise<RawRegistry> {
  const connections: RawConnection[] = [];
  const sockets = new Set<Socket>();
  const waiting = new Set<() => void>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    const onHead = (chunk: Buffer): void => {
      const head = chunk.toString('latin1');
      if (/^(?:GET|HEAD) /.test(head)) {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      socket.off('data', onHead);
      if (isDeaf) socket.pause();
      connections.push(watch(socket, head));
      for (const look of [...waiting]) look();
      if (refusal !== undefined && connections.length === 1) {
        socket.end(refusal);
        return;
      }
      if (/^expect: 100-continue\r$/im.test(head)) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    };
    socket.on('data', onHead);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connection: (count = 1) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = connections[count - 1];
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function watch(socket: Socket, head: string): RawConnection {
  let received = head;
  let isReset = false;
  const looks = new Set<() => void>();
  const ended = Promise.withResolvers<'closed' | 'reset'>();
  if (!socket.isPaused()) {
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      for (const look of [...looks]) look();
    });
  }
  socket.on('error', () => {
    isReset = true;
  });
  socket.on('close', () => ended.resolve(isReset ? 'reset' : 'closed'));
  return {
    socket,
    get received() {
      return received;
    },
    until: (pattern) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!pattern.test(received)) return;
          looks.delete(look);
          resolve();
        };
        looks.add(look);
        look();
      }),
    ended: ended.promise,
  };
}
