import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface HttpProxy extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly authority: string;
  /** What came, as `CONNECT host:port` or `GET http://host:port/path`, and `(407)` behind it where it was refused. */
  readonly requests: readonly string[];
  /** Instead of a tunnel, this status; 0 answers nothing at all. */
  tunnelStatus: number;
}

/**
 * An HTTP proxy that forwards absolute URLs and opens tunnels. All names lead to 127.0.0.1, as a proxy resolves what
 * its clients cannot. With `authorization`, the value of Proxy-Authorization that it wants.
 */
export async function startHttpProxy(authorization?: string): Promise<HttpProxy> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((incoming, response) => {
    if (admit(incoming)) forward(incoming, response);
    else response.writeHead(407).end();
  });
  const admit = ({ method, url, headers }: IncomingMessage): boolean => {
    const isKnown = authorization === undefined || headers['proxy-authorization'] === authorization;
    requests.push(`${method} ${url}${isKnown ? '' : ' (407)'}`);
    return isKnown;
  };
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
  });
  server.on('connect', (incoming: IncomingMessage, client: Socket, head: Buffer) => {
    const status = admit(incoming) ? proxy.tunnelStatus : 407;
    if (status === 200) tunnel(incoming, client, head, sockets);
    else if (status !== 0) client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = {
    authority: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    tunnelStatus: 200,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
  return proxy;
}

function forward(incoming: IncomingMessage, response: ServerResponse): void {
  const url = new URL(incoming.url ?? '');
  const { 'proxy-authorization': _, ...headers } = incoming.headers;
  const address = { host: '127.0.0.1', port: url.port, path: url.pathname + url.search };
  const outgoing = request({ ...address, headers, maxHeaderSize: 1024 * 1024 });
  outgoing.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  outgoing.on('error', () => response.writeHead(502).end());
  incoming.pipe(outgoing);
}

function tunnel(incoming: IncomingMessage, client: Socket, head: Buffer, sockets: Set<Socket>): void {
  const upstream = connect(Number(incoming.url?.split(':').at(-1)), '127.0.0.1');
  sockets.add(upstream);
  upstream.on('error', () => client.destroy());
  upstream.once('connect', () => {
    client.write('HTTP/1.1 200 OK\r\n\r\n');
    upstream.write(head);
    upstream.pipe(client).pipe(upstream);
  });
}
