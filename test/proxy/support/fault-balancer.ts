import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What is sent to the next replica in turn. */
export type Balanced = 'connection' | 'request';

/** A load balancer on 127.0.0.1 that knows nothing of uploads, as a Service of Kubernetes. */
export interface Balancer extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly host: string;
  readonly origin: string;
  /** From now on these ports are sent to; connections that there are stay where they are. */
  lead(...ports: readonly number[]): void;
}

/** Starts a balancer that gives each of what is `balanced` to the next port, the first one first. */
export async function startBalancer(balanced: Balanced, ...ports: readonly number[]): Promise<Balancer> {
  let replicas = ports;
  let turns = 0;
  const next = (): number => {
    const port = replicas[turns % replicas.length];
    turns += 1;
    return port ?? 0;
  };
  const sockets = new Set<Socket>();
  const track = (socket: Socket): void => {
    socket.on('error', () => {});
    sockets.add(socket.once('close', () => sockets.delete(socket)));
  };
  const server: Server =
    balanced === 'connection'
      ? createServer({ allowHalfOpen: true }, (socket) => join(socket, next(), track))
      : createHttpServer((asked, response) => passOn(asked, response, next()));
  if (balanced === 'request') server.on('connection', track);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    origin: `http://${host}`,
    lead: (...leading) => {
      replicas = leading;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function join(socket: Socket, port: number, track: (socket: Socket) => void): void {
  const onward = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  for (const [end, other] of [
    [socket, onward],
    [onward, socket],
  ] as const) {
    track(end);
    end.pipe(other);
    end.once('close', () => other.destroy());
  }
}

/** Each request on a connection of its own. */
function passOn(asked: IncomingMessage, response: ServerResponse, port: number): void {
  const { connection: _, ...headers } = asked.headers;
  const { method, url } = asked;
  const onward = request({ host: '127.0.0.1', port, method, path: url, headers, agent: false });
  onward.on('error', () => response.destroy());
  onward.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 0, answer.headers);
    answer.pipe(response);
  });
  asked.pipe(onward);
}
