import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** A request as it stood on the wire. */
export interface WireRequest {
  readonly method: string;
  readonly target: string;
  /** As they came, names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** Which of the registry's connections it came by, from 1. */
  readonly connection: number;
}

export interface WireRegistryOptions {
  /** Bytes to answer with, Latin-1; undefined for silence. */
  readonly answer?: (request: WireRequest, socket: Socket) => string | undefined;
  /** What is said before anything is asked. */
  readonly greeting?: string;
}

export interface WireRegistry extends AsyncDisposable {
  readonly origin: string;
  readonly port: number;
  /** Every request, but those for `/v2/` itself. */
  readonly requests: readonly WireRequest[];
  /** What came that is no request in the strictest reading. */
  readonly violations: readonly string[];
  /** All bytes that came, in their order by connection. */
  readonly bytes: () => string;
  readonly connections: () => number;
}

export const valuesOf = (request: WireRequest, name: string): string[] =>
  request.headers.filter(([one]) => one === name).map(([, value]) => value);

/** `PUT /v2/app/manifests/v1 hello`: what a request asks for. */
export const lineOf = ({ method, target, body }: WireRequest): string =>
  `${method} ${target}${body === '' ? '' : ` ${body}`}`;

export function httpAnswer(status: string, headers: Readonly<Record<string, string>> = {}, body = ''): string {
  const lines = Object.entries({ 'Content-Length': String(body.length), ...headers }).map((line) => line.join(': '));
  return `HTTP/1.1 ${[status, ...lines].join('\r\n')}\r\n\r\n${body}`;
}

/** What a registry with Basic authentication says, as far as it matters here. */
export function plainAnswer(request: WireRequest): string {
  if (valuesOf(request, 'authorization').length === 0) {
    return httpAnswer('401 Unauthorized', { 'WWW-Authenticate': 'Basic realm="registry"' });
  }
  const { method, target } = request;
  if (method === 'HEAD') return httpAnswer('200 OK', { 'Content-Length': '5' });
  if (method === 'GET') return httpAnswer('200 OK', { 'Content-Type': 'application/json' }, 'found');
  if (method === 'POST' && !target.includes('digest=')) {
    return httpAnswer('202 Accepted', { Location: '/v2/team/app/blobs/uploads/1?_state=a%2Fb', Range: '0-0' });
  }
  if (method === 'PATCH') return httpAnswer('202 Accepted', { Location: '/v2/team/app/blobs/uploads/1?_state=c' });
  return httpAnswer(method === 'DELETE' ? '202 Accepted' : '201 Created', { Location: target.replace(/\?.*/, '') });
}

/** Starts a registry that reads strictly and remembers every byte, on a free port of 127.0.0.1. */
export async function startWireRegistry(options: WireRegistryOptions = {}): Promise<WireRegistry> {
  const { answer = plainAnswer, greeting } = options;
  const requests: WireRequest[] = [];
  const violations: string[] = [];
  const received: string[] = [];
  const sockets = new Set<Socket>();
  /** Takes what a reader found; false where there is nothing more to read. */
  const take = (found: ReturnType<StrictReader['next']>, socket: Socket, connection: number): boolean => {
    if (found === undefined) return false;
    if (found === 'continue') {
      socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      return true;
    }
    if (typeof found === 'string') {
      violations.push(found);
      socket.destroy();
      return false;
    }
    const request = { ...found, connection };
    if (found.target !== '/v2/') requests.push(request);
    const said = answer(request, socket);
    if (said !== undefined) socket.write(said, 'latin1');
    return true;
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    const connection = received.push('');
    const reader = new StrictReader();
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    if (greeting !== undefined) socket.write(greeting, 'latin1');
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      received[connection - 1] += text;
      reader.text += text;
      while (take(reader.next(), socket, connection));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    requests,
    violations,
    bytes: () => received.join('\n'),
    connections: () => sockets.size,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const headForm = /^([A-Z]+) (\/[!-~]*) HTTP\/1\.1((?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*)+)\r\n\r\n/;

/** Reads requests one behind the other, and takes nothing that another reader could read in another way. */
class StrictReader {
  text = '';
  #hasContinued = false;

  /** A request, undefined where more has to come, `continue` where a body is waited for, or what is wrong. */
  next(): Omit<WireRequest, 'connection'> | 'continue' | string | undefined {
    const end = this.text.indexOf('\r\n\r\n');
    if (end === -1) return undefined;
    const [head, method = '', target = '', lines = ''] = headForm.exec(this.text) ?? [];
    if (head?.length !== end + 4) return `no head: ${JSON.stringify(this.text.slice(0, end + 4))}`;
    const headers = lines
      .split('\r\n')
      .slice(1)
      .map(
        (line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()] as const,
      );
    const values = (name: string) => headers.filter(([one]) => one === name).map(([, value]) => value);
    const [lengths, codings] = [values('content-length'), values('transfer-encoding')];
    if (values('host').length !== 1) return `not one host: ${head}`;
    if (lengths.length + codings.length > 1) return `two framings: ${head}`;
    if (lengths.some((length) => !/^\d+$/.test(length)) || codings.some((coding) => coding !== 'chunked')) {
      return `no framing: ${head}`;
    }
    const rest = this.text.slice(head.length);
    const body = codings.length > 0 ? chunked(rest) : sized(rest, Number(lengths[0] ?? 0));
    if (typeof body === 'string') return `no chunks: ${JSON.stringify(rest)}`;
    if (body === undefined) {
      const isWaiting = rest === '' && !this.#hasContinued && values('expect').includes('100-continue');
      this.#hasContinued ||= isWaiting;
      return isWaiting ? 'continue' : undefined;
    }
    this.#hasContinued = false;
    this.text = rest.slice(body.used);
    return { method, target, headers, body: body.content };
  }
}

interface Body {
  readonly content: string;
  readonly used: number;
}

const sized = (text: string, length: number): Body | undefined =>
  text.length < length ? undefined : { content: text.slice(0, length), used: length };

function chunked(text: string): Body | string | undefined {
  let content = '';
  for (let at = 0; ; ) {
    const end = text.indexOf('\r\n', at);
    if (end === -1) return undefined;
    const size = text.slice(at, end);
    if (!/^[0-9a-f]{1,8}$/.test(size)) return size;
    const length = Number.parseInt(size, 16);
    const next = end + 2 + length + 2;
    if (text.length < next) return undefined;
    if (text.slice(next - 2, next) !== '\r\n') return size;
    if (length === 0) return { content, used: next };
    content += text.slice(end + 2, next - 2);
    at = next;
  }
}
