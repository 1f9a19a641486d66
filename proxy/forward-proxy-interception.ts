import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { quietMs } from '../platform/drain.ts';

/** Whoever has certificates for the hosts of registries; see certs/interception.ts. */
export interface HostCertificates {
  /** Of a DNS name, or of an IP address without brackets. */
  secureContextFor(host: string): Promise<SecureContext>;
}

/** From the answer to CONNECT until HTTP can begin: the first byte, and the TLS handshake where that is one. */
const handshakeMs = 15_000;
const idleCheckMs = 50;
/** Of a TLS record that begins a handshake (RFC 8446, section 5.1). HTTP begins with a letter. */
const tlsHandshake = 0x16;

export interface InterceptionsOptions<T> {
  /** A server with the limits of the listener, which is never made to listen. */
  openServer(listener: RequestListener): Server;
  /** Serves a request within a tunnel; `about` is what the tunnel was taken with. */
  serve(request: IncomingMessage, response: ServerResponse, about: T): void;
  /** A handshake failed: most often the client does not trust the authority. */
  onTlsError(about: T, error: Error): void;
}

/** Tunnels that end here: the HTTP within them, by TLS or without, is served instead of being carried on. */
export class Interceptions<T> {
  readonly #server: Server;
  readonly #options: InterceptionsOptions<T>;
  readonly #tunnels = new WeakMap<Socket, { readonly about: T }>();
  /** What has not come as far as HTTP, and since when. */
  readonly #beginnings = new Map<Socket, number>();

  constructor(options: InterceptionsOptions<T>) {
    this.#options = options;
    this.#server = options.openServer((request, response) => {
      const tunnel = this.#tunnels.get(request.socket);
      if (tunnel === undefined) return void request.socket.destroy();
      options.serve(request, response, tunnel.about);
    });
    // It never listens, and yet has to look for heads that do not end: that begins here.
    this.#server.emit('listening');
  }

  /** Takes a connection whose CONNECT has just been answered. */
  take(socket: Socket, about: T, secureContext: SecureContext): void {
    this.#beginnings.set(socket, performance.now());
    const late = setTimeout(() => socket.destroy(), handshakeMs);
    const onEnd = (): void => void socket.destroy();
    const begun = (): void => {
      clearTimeout(late);
      this.#beginnings.delete(socket);
      socket.off('end', onEnd);
    };
    socket.once('close', begun);
    socket.once('end', onEnd);
    const onReadable = (): void => {
      const first: Buffer | null = socket.read(1);
      if (first === null) return;
      socket.off('readable', onReadable);
      socket.unshift(first);
      if (first[0] === tlsHandshake) {
        this.#secure(socket, about, secureContext, begun);
      } else {
        begun();
        this.#serve(socket, about);
      }
    };
    socket.on('readable', onReadable);
  }

  #secure(socket: Socket, about: T, secureContext: SecureContext, begun: () => void): void {
    const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
    secure.once('close', () => socket.destroy());
    secure.on('error', (error) => {
      if (this.#beginnings.has(socket)) this.#options.onTlsError(about, error);
      secure.destroy();
    });
    secure.once('secure', () => {
      begun();
      this.#serve(secure, about);
    });
  }

  #serve(socket: Socket, about: T): void {
    this.#tunnels.set(socket, { about });
    this.#server.emit('connection', socket);
  }

  /** Ends tunnels without a request under way, now and until the function returned is called. */
  endIdle(): () => void {
    let idle: NodeJS.Timeout | undefined;
    const first = setTimeout(() => {
      // Right after requests were read, as in platform/drain.ts.
      idle = setInterval(() => setImmediate(() => this.#closeIdle()), idleCheckMs);
    }, quietMs);
    return () => {
      clearTimeout(first);
      clearInterval(idle);
      // It ends the timer of heads.
      this.#server.close();
    };
  }

  #closeIdle(): void {
    const early = performance.now() - quietMs;
    for (const [socket, since] of this.#beginnings) if (since < early) socket.destroy();
    this.#server.closeIdleConnections();
  }
}
