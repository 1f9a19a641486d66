import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** A forward proxy that sends everything to one place, whatever host it is asked for. */
export interface ForwardProxy extends AsyncDisposable {
  readonly url: string;
  /** `CONNECT host:port`, or method and URL. */
  readonly requests: readonly string[];
  /** `Proxy-Authorization` of each. */
  readonly authorizations: readonly (string | undefined)[];
}

/** Starts a forward proxy whose connections all end at 127.0.0.1:`port`. */
export async function startForwardProxy(port: number): Promise<ForwardProxy> {
  const requests: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((asked, response) => {
    requests.push(`${asked.method} ${asked.url}`);
    authorizations.push(asked.headers['proxy-authorization']);
    const { pathname, search } = new URL(asked.url ?? '');
    const onward = request({
      host: '127.0.0.1',
      port,
      path: pathname + search,
      method: asked.method,
      headers: asked.headers,
    });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    onward.end();
  });
  server.on('connection', (socket) => sockets.add(socket));
  server.on('connect', (asked, socket: Socket) => {
    requests.push(`CONNECT ${asked.url}`);
    authorizations.push(asked.headers['proxy-authorization']);
    const onward = connect(port, '127.0.0.1');
    sockets.add(onward);
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    socket.pipe(onward).pipe(socket);
    for (const [end, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      end.on('error', () => other.destroy());
      end.on('close', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    authorizations,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
