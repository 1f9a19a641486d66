import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { dialer } from '../../../platform/http1/connect.ts';
import { type Connect, OriginPool, type OriginPoolOptions } from '../../../platform/http1/origin-pool.ts';
import type { Http1DispatchOptions } from '../../../platform/http1/request.ts';
import { ReadBuffers } from '../../../platform/read-buffers.ts';

/** The server's end of one connection. */
export interface Peer {
  readonly socket: Socket;
  /** All that came, so far. */
  readonly received: () => string;
  /** Waits until what came matches. */
  until(pattern: RegExp): Promise<string>;
  /** How the connection ended. */
  readonly closed: Promise<unknown>;
}

export const answer = (body: string, ...headers: string[]): string =>
  `${['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...headers].join('\r\n')}\r\n\r\n${body}`;

/**
 * A server that does what the test says, connection by connection, and a pool of connections to it.
 * @param options of the pool; a function where they are made of how connections are opened otherwise
 */
export async function startPeers(
  serve: (peer: Peer, index: number) => void,
  options: Partial<OriginPoolOptions> | ((connect: Connect) => Partial<OriginPoolOptions>) = {},
): Promise<{ peers: Peer[]; pool: OriginPool; origin: string }> {
  const peers: Peer[] = [];
  const server = createServer((socket) => {
    let text = '';
    const peer: Peer = {
      socket,
      received: () => text,
      async until(pattern) {
        while (!pattern.test(text)) await once(socket, 'data');
        return text;
      },
      closed: new Promise((resolve) => socket.once('close', resolve)),
    };
    socket.setEncoding('latin1').on('error', () => {});
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    peers.push(peer);
    serve(peer, peers.length - 1);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const connect = dialer({ origin: new URL(origin), connectMs: 5_000, readBuffers: new ReadBuffers() });
  const given = typeof options === 'function' ? options(connect) : options;
  const pool = new OriginPool(origin, { connect, headersMs: 20_000, idleBodyMs: 20_000, ...given });
  onTestFinished(async () => {
    await pool.destroy();
    for (const { socket } of peers) socket.destroy();
    server.close();
  });
  return { peers, pool, origin };
}

/** Answers each request of a connection, which has no body, with what `reply` says. */
export const answering =
  (reply: (request: string, count: number) => string) =>
  (peer: Peer): void => {
    let [at, count] = [0, 0];
    peer.socket.on('data', () => {
      for (let end = peer.received().indexOf('\r\n\r\n', at); end >= 0; end = peer.received().indexOf('\r\n\r\n', at)) {
        const request = peer.received().slice(at, end);
        at = end + 4;
        peer.socket.write(reply(request, count++), 'latin1');
      }
    });
  };

/** What a handler heard. */
export interface Heard {
  readonly events: string[];
  status: number;
  body: string;
  error: (Error & { code?: string; isStale?: boolean }) | undefined;
  readonly over: Promise<Heard>;
  readonly started: Promise<Heard>;
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}

export interface Hooks {
  onStart?(heard: Heard): void;
  onHead?(heard: Heard): void;
  onData?(heard: Heard): void;
  onEnd?(heard: Heard): void;
}

/** Sends a request, and records what the handler hears. */
export function ask(pool: OriginPool, options: Partial<Http1DispatchOptions> = {}, hooks: Hooks = {}): Heard {
  const over = Promise.withResolvers<Heard>();
  const started = Promise.withResolvers<Heard>();
  let controller: { pause(): void; resume(): void; abort(reason: Error): void } | undefined;
  const heard: Heard = {
    events: [],
    status: 0,
    body: '',
    error: undefined,
    over: over.promise,
    started: started.promise,
    pause: () => controller?.pause(),
    resume: () => controller?.resume(),
    abort: (reason) => controller?.abort(reason),
  };
  const hear = (event: string, hook: ((heard: Heard) => void) | undefined) => {
    heard.events.push(event);
    hook?.(heard);
  };
  pool.dispatch({ method: 'GET', path: '/', ...options } as Http1DispatchOptions, {
    onRequestStart(given) {
      controller = given;
      hear('start', hooks.onStart);
    },
    onResponseStart(_controller, status) {
      heard.status = status;
      started.resolve(heard);
      hear('head', hooks.onHead);
    },
    onResponseData(_controller, chunk) {
      heard.body += chunk.toString('latin1');
      hear('data', hooks.onData);
    },
    onResponseEnd() {
      over.resolve(heard);
      hear('end', hooks.onEnd);
    },
    onResponseError(_controller, error) {
      heard.error = error;
      over.resolve(heard);
      hear('error', undefined);
    },
  });
  return heard;
}
