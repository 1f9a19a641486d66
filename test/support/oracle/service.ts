import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';

export interface ServiceAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How a service goes wrong. */
export type Misbehaviour =
  | ({ readonly kind: 'answer' } & ServiceAnswer)
  /** The request is taken and never answered. */
  | { readonly kind: 'hang' }
  /** Half of a body, and then nothing more. */
  | { readonly kind: 'half' }
  /** Half of a body, and then the end of the connection. */
  | { readonly kind: 'cut' }
  /** The right answer, late. */
  | { readonly kind: 'slow'; readonly ms: number };

export interface ServiceRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** One service of the cloud, on a port of its own. */
export interface Service {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  /** `127.0.0.1:port` */
  readonly authority: string;
  /** Every request so far. */
  readonly requests: readonly ServiceRequest[];
  /** From now on, for `times` requests (by default all) whose path matches. */
  misbehave(how: Misbehaviour, options?: { readonly times?: number; readonly path?: RegExp }): void;
  behave(): void;
  /** Resolves as soon as `count` requests have arrived. */
  arrivals(count: number): Promise<void>;
  close(): Promise<void>;
}

export interface ServiceOptions {
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Of the `Date` header; milliseconds since the epoch. */
  readonly now: () => number;
  /** Undefined where the answer has been given already. */
  answer(exchange: Exchange): ServiceAnswer | undefined | Promise<ServiceAnswer | undefined>;
}

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: string;
  readonly authority: string;
}

export async function startService({ tls, now, answer }: ServiceOptions): Promise<Service> {
  const server = tls === undefined ? createServer() : createTlsServer(tls);
  const requests: ServiceRequest[] = [];
  const waiting = new Set<() => void>();
  const sockets = new Set<Socket>();
  let plan: { how: Misbehaviour; times: number; path: RegExp } | undefined;
  let authority = '';

  const take = (path: string): Misbehaviour | undefined => {
    if (plan === undefined || plan.times <= 0 || !plan.path.test(path)) return undefined;
    plan.times -= 1;
    return plan.how;
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // Bodies of pushes are passed on, not held.
    const isHeld = request.method === 'GET' || (request.method === 'POST' && !request.url?.startsWith('/v2/'));
    const body = isHeld ? await text(request) : '';
    const { method = '', url: path = '', headers } = request;
    requests.push({ method, path, headers, body });
    for (const look of waiting) look();
    response.setHeader('date', new Date(now()).toUTCString());
    const how = take(path);
    if (how !== undefined && (await inflict(how, response))) return;
    const answered = await answer({ request, response, body, authority });
    if (answered !== undefined) write(response, answered);
  };
  server.on('request', (request, response) => {
    serve(request, response).catch((error: Error) => response.destroy(error));
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  authority = `127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url: `${tls === undefined ? 'http' : 'https'}://${authority}`,
    authority,
    requests,
    misbehave: (how, { times = Number.POSITIVE_INFINITY, path = /^/ } = {}) => {
      plan = { how, times, path };
    },
    behave: () => {
      plan = undefined;
    },
    arrivals: (count) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (requests.length < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Whether the request has been dealt with. */
async function inflict(how: Misbehaviour, response: ServerResponse): Promise<boolean> {
  if (how.kind === 'answer') {
    write(response, how);
    return true;
  }
  if (how.kind === 'hang') return true;
  if (how.kind === 'slow') {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, how.ms);
      response.once('close', () => clearTimeout(timer));
    });
    return false;
  }
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
  response.write('{"token": "');
  if (how.kind === 'cut') setImmediate(() => response.destroy());
  return true;
}

function write(response: ServerResponse, { status, body, headers = {} }: ServiceAnswer): void {
  const isText = typeof body === 'string';
  const content = body === undefined ? '' : isText ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': isText ? 'text/plain' : 'application/json', ...headers });
  response.end(content);
}

/** An error as Oracle's services say it. */
export const serviceError = (status: number, code: string, message = 'of no matter'): ServiceAnswer => ({
  status,
  body: { code, message },
  headers: { 'opc-request-id': 'A1B2C3' },
});
