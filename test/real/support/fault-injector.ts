import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault, FaultPlan } from './fault-plan.ts';

/** Where a request really goes, or what it is answered with instead. */
export type FaultTarget =
  | { readonly origin: string; readonly path: string; readonly headers?: OutgoingHttpHeaders }
  | { readonly status: number; readonly headers: OutgoingHttpHeaders };

export interface FaultInjectorOptions {
  /** Part of what decides about faults. */
  readonly name: string;
  readonly plan: Pick<FaultPlan, 'next'>;
  target(request: IncomingMessage): FaultTarget | Promise<FaultTarget>;
}

/** A server on 127.0.0.1 that stands before another one and makes it look bad. */
export interface FaultInjector {
  readonly port: number;
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  /** Ends the connections on which nothing is under way. */
  closeIdle(): void;
  close(): Promise<void>;
}

export async function startFaultInjector(options: FaultInjectorOptions): Promise<FaultInjector> {
  const { name, plan } = options;
  const agent = new Agent({ keepAlive: true });
  const seen = new WeakMap<Socket, { readonly connection: number; requests: number }>();
  let connections = 0;
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 120_000 });
  server.on('connection', (socket) => {
    connections += 1;
    seen.set(socket, { connection: connections, requests: 0 });
    // Half of the faults break connections.
    socket.on('error', () => {});
  });
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const counted = seen.get(request.socket) ?? { connection: 0, requests: 0 };
    const fault = plan.next(name, counted.connection, counted.requests);
    counted.requests += 1;
    new Passage(request, response, agent, fault, counted.requests > 1)
      .run(options.target)
      .catch(() => void request.socket.destroy());
  };
  server.on('request', onRequest);
  server.on('checkContinue', onRequest);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    closeIdle: () => server.closeIdleConnections(),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      agent.destroy();
    },
  };
}

const hopByHop: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade']);
/** Only an error: whoever took it for the answer to its next request must not take anything wrong for right. */
const unasked = 'HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 7\r\n\r\nunasked';

/** One request on its way through. */
class Passage {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #agent: Agent;
  readonly #fault: Fault;
  readonly #isUsedAgain: boolean;
  readonly #departure = new AbortController();

  constructor(request: IncomingMessage, response: ServerResponse, agent: Agent, fault: Fault, isUsedAgain: boolean) {
    this.#request = request;
    this.#response = response;
    this.#agent = agent;
    this.#fault = fault;
    this.#isUsedAgain = isUsedAgain;
    response.once('close', () => {
      if (!response.writableFinished) this.#departure.abort();
    });
  }

  async run(target: FaultInjectorOptions['target']): Promise<void> {
    const fault = this.#fault;
    const { socket } = this.#request;
    const { signal } = this.#departure;
    if (fault.kind === 'reset') return void socket.resetAndDestroy();
    if (fault.kind === 'close') return void socket.destroy();
    if (fault.kind === 'closeWhenUsedAgain' && this.#isUsedAgain) return void socket.destroy();
    if (fault.kind === 'status') return this.#answerStatus(fault.status, fault.hasBody, {});
    if (fault.kind === 'limited') {
      return this.#answerStatus(429, true, { 'retry-after': String(fault.retryAfterSeconds) });
    }
    if (fault.kind === 'silent') {
      await delay(fault.ms, undefined, { signal });
      return void socket.resetAndDestroy();
    }
    if (fault.kind === 'stalled') await delay(fault.ms, undefined, { signal });
    const found = await target(this.#request);
    if ('status' in found) this.#response.writeHead(found.status, found.headers).end();
    else await this.#forward(found);
  }

  #answerStatus(status: number, hasBody: boolean, headers: OutgoingHttpHeaders): void {
    const code = status === 429 ? 'TOOMANYREQUESTS' : 'UNAVAILABLE';
    const body = hasBody ? JSON.stringify({ errors: [{ code, message: 'by the fault injector' }] }) : '';
    const isUnread = !this.#request.complete;
    this.#response.writeHead(status, {
      ...headers,
      ...(hasBody && { 'content-type': 'application/json' }),
      ...(isUnread && { connection: 'close' }),
      'content-length': Buffer.byteLength(body),
    });
    this.#response.end(this.#request.method === 'HEAD' ? '' : body);
  }

  async #forward({ origin, path, headers }: Exclude<FaultTarget, { status: number }>): Promise<void> {
    const request = this.#request;
    const kept = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !hopByHop.has(name)));
    const isChunked = request.headers['transfer-encoding'] !== undefined;
    const onward = httpRequest(`${origin}${path}`, {
      method: request.method,
      agent: this.#agent,
      headers: { ...kept, ...headers, ...(isChunked && { 'transfer-encoding': 'chunked' }) },
      signal: this.#departure.signal,
    });
    const answered = once(onward, 'response') as Promise<[IncomingMessage]>;
    // Told by `answered`, and here once more where the answer has come.
    onward.on('error', () => void request.socket.destroy());
    if (request.headers.expect === undefined) {
      this.#sendBody(onward);
    } else {
      onward.once('continue', () => {
        this.#response.writeContinue();
        this.#sendBody(onward);
      });
      onward.flushHeaders();
    }
    const [answer] = await answered;
    if (this.#fault.kind === 'answerLost') {
      await answer.toArray();
      return void request.socket.resetAndDestroy();
    }
    await this.#pass(answer);
  }

  #sendBody(onward: ReturnType<typeof httpRequest>): void {
    const fault = this.#fault;
    let left = fault.kind === 'resetInRequest' ? fault.bytes : Number.POSITIVE_INFINITY;
    this.#request.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left >= 0) return;
      onward.destroy();
      this.#request.socket.resetAndDestroy();
    });
    this.#request.pipe(onward);
  }

  async #pass(answer: IncomingMessage): Promise<void> {
    const response = this.#response;
    const fault = this.#fault;
    const headers = Object.entries(answer.headers).filter(([name]) => !hopByHop.has(name));
    response.writeHead(answer.statusCode ?? 0, Object.fromEntries(headers) as OutgoingHttpHeaders);
    for await (const piece of this.#pieces(answer)) {
      if (!response.write(piece)) await once(response, 'drain', { signal: this.#departure.signal });
    }
    if (this.#departure.signal.aborted) return;
    const { socket } = this.#request;
    response.end();
    if (fault.kind !== 'unasked') return;
    await once(response, 'finish');
    if (fault.afterMs > 0) await delay(fault.afterMs);
    // The answers on a connection that went on would be those to earlier requests: no client of HTTP/1.1 can tell.
    if (!socket.destroyed) socket.end(unasked);
  }

  /** What the answer's body comes in; a fault that ends it ends the connection, and this as well. */
  async *#pieces(answer: IncomingMessage): AsyncGenerator<Buffer> {
    const fault = this.#fault;
    const { signal } = this.#departure;
    let at = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      const border = 'bytes' in fault ? fault.bytes - at : Number.POSITIVE_INFINITY;
      at += chunk.length;
      if (border < 0 || border >= chunk.length || fault.kind === 'resetInRequest') {
        yield* fault.kind === 'slow' ? this.#slowly(chunk, fault) : [chunk];
        continue;
      }
      if (border > 0) yield chunk.subarray(0, border);
      if (fault.kind === 'stalledInAnswer') {
        this.#response.flushHeaders();
        await delay(fault.ms, undefined, { signal });
        yield chunk.subarray(border);
        continue;
      }
      await this.#breakOff(fault.kind === 'resetInAnswer');
      return;
    }
  }

  async *#slowly(chunk: Buffer, { pieceBytes, everyMs }: Extract<Fault, { kind: 'slow' }>): AsyncGenerator<Buffer> {
    for (let at = 0; at < chunk.length; at += pieceBytes) {
      yield chunk.subarray(at, at + pieceBytes);
      await delay(everyMs, undefined, { signal: this.#departure.signal });
    }
  }

  /** What was written goes out first: a reset throws away what the kernel has not sent. */
  async #breakOff(isReset: boolean): Promise<void> {
    const { socket } = this.#request;
    this.#response.flushHeaders();
    await new Promise((resolve) => this.#response.write('', resolve));
    this.#departure.abort();
    if (!isReset) socket.end();
    else socket.resetAndDestroy();
  }
}
