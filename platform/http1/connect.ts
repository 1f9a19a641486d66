import { connect as connectPlain, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import type { ReadBuffers, SocketReader } from '../read-buffers.ts';
import { Http1Error } from './errors.ts';
import type { Connect } from './origin-pool.ts';
import { openTunnel } from './tunnel.ts';

export interface DialerOptions {
  readonly origin: URL;
  /** For all of it: the name, the connection, the proxy's tunnel, TLS. */
  readonly connectMs: number;
  /** What sockets read into. */
  readonly readBuffers: ReadBuffers;
  /** Where the origin is https. */
  readonly secureContext?: SecureContext | undefined;
  readonly lookup?: LookupFunction | undefined;
  /** Refuses before anything is dialled. */
  readonly check?: (() => Promise<void>) | undefined;
  /** An HTTP proxy on the way: http origins are asked for through it, https ones through a tunnel. */
  readonly proxy?: ProxyHop | undefined;
}

export interface ProxyHop {
  readonly url: URL;
  /** Where the proxy itself is https. */
  readonly secureContext?: SecureContext | undefined;
  readonly authorization: string | undefined;
}

interface Target {
  readonly url: URL;
  /** Where TLS is spoken. */
  readonly secureContext: SecureContext | undefined;
  readonly lookup?: LookupFunction | undefined;
  /** A connection that leads there already. */
  readonly socket?: Socket | undefined;
  readonly reader?: SocketReader | undefined;
}

/** How connections to an origin are made. TLS sessions are resumed from one to the next. */
export function dialer(options: DialerOptions): Connect {
  const sessions: Sessions = new Map();
  return (receive, callback) => {
    const dial = new Dial(sessions);
    dial.run(options, receive).then(
      (socket) => dial.settle(() => callback(null, socket)),
      (error: Error) => dial.settle(() => callback(named(error, options))),
    );
    const timer = setTimeout(() => {
      const error = new Http1Error('UND_ERR_CONNECT_TIMEOUT', 'the connection was not made in time');
      dial.settle(() => callback(error));
      dial.destroy();
    }, options.connectMs);
    dial.onSettled = () => clearTimeout(timer);
    return () => {
      dial.settle(() => {});
      dial.destroy();
    };
  };
}

type Sessions = Map<string, Buffer>;

/** One connection that is being made. */
class Dial {
  readonly #sessions: Sessions;
  #socket: Socket | undefined;
  #isSettled = false;
  onSettled: () => void = () => {};

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  async run(options: DialerOptions, receive: (chunk: Buffer) => void): Promise<Socket> {
    const { origin, secureContext, lookup, proxy, check } = options;
    const reader = options.readBuffers.reader(receive);
    await check?.();
    const target = { url: origin, secureContext: origin.protocol === 'https:' ? secureContext : undefined };
    if (proxy === undefined) return this.#open({ ...target, lookup, reader });
    const isTunnelled = origin.protocol === 'https:';
    const hop = { url: proxy.url, secureContext: proxy.secureContext };
    const socket = await this.#open(isTunnelled ? hop : { ...hop, reader }).catch(ofProxy);
    if (!isTunnelled) return socket;
    await openTunnel(socket, authorityOf(origin), proxy.authorization);
    // Node reads into buffers of ours only where it made the connection itself.
    const secured = await this.#open({ ...target, socket });
    if (secured.readableLength > 0) throw new Http1Error('UND_ERR_SOCKET', 'the connection brought bytes too early');
    return secured.on('data', receive);
  }

  /** What comes after somebody has given up is closed. */
  settle(tell: () => void): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.onSettled();
    tell();
  }

  destroy(): void {
    this.#socket?.destroy();
  }

  #open(target: Target): Promise<Socket> {
    if (this.#isSettled) return Promise.reject(new Http1Error('UND_ERR_ABORTED', 'nobody waits any more'));
    const isSecure = target.secureContext !== undefined;
    const socket = isSecure ? this.#secure(target) : connectPlain({ ...addressOf(target), ...common(target) });
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    const { reader } = target;
    // Before anybody else hears of it.
    if (reader !== undefined) for (const event of ['end', 'error', 'close']) socket.on(event, reader.flush);
    return new Promise((resolve, reject) => {
      socket.once(isSecure ? 'secureConnect' : 'connect', () => resolve(socket));
      // Stays: a connection may fail between here and whoever takes it.
      socket.on('error', reject);
      socket.once('close', () => reject(new Http1Error('UND_ERR_SOCKET', 'the connection was closed')));
    });
  }

  #secure(target: Target): Socket {
    const { host, port } = addressOf(target);
    const key = `${host}:${port}`;
    const socket = connectTls({
      ...common(target),
      ...(target.socket !== undefined && { socket: target.socket }),
      ...{ host, port },
      // An address is no name (RFC 6066, section 3).
      servername: isIP(host) === 0 ? host : '',
      secureContext: target.secureContext,
      session: this.#sessions.get(key),
      ALPNProtocols: ['http/1.1'],
    });
    return socket.on('session', (session: Buffer) => this.#sessions.set(key, session));
  }
}

const common = ({ lookup, reader }: Target) => ({
  ...(lookup !== undefined && { lookup }),
  ...(reader !== undefined && { onread: reader }),
});

const addressOf = ({ url }: Pick<Target, 'url'>) => ({
  host: url.hostname.replace(/^\[|\]$/g, ''),
  port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
});

/** `host:port`, the port always there, as CONNECT wants it. */
const authorityOf = (url: URL): string => `${url.hostname}:${addressOf({ url }).port}`;

const codeOf = (error: Error): string | undefined => (error as { code?: string }).code;

/** The same words about a certificate would be about the registry's. */
function ofProxy(error: Error): never {
  if (codeOf(error) !== 'ERR_TLS_CERT_ALTNAME_INVALID') throw error;
  throw new Http1Error('UND_ERR_PRX_TLS', 'the certificate of the HTTP proxy is for another name', { cause: error });
}

/** Whoever's timer it was, ours or Node's for one of several addresses. */
function named(error: Error, { connectMs }: DialerOptions): Error {
  const { errors = [error] } = error as { errors?: readonly Error[] };
  if (!errors.some((one) => codeOf(one) === 'ETIMEDOUT')) return error;
  const message = `the connection was not made within ${connectMs} ms`;
  return new Http1Error('UND_ERR_CONNECT_TIMEOUT', message, { cause: error });
}
