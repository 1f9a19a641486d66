import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { Readable } from 'node:stream';
import { readBounded } from '../read-bounded.ts';
import { unlessAborted } from '../unless-aborted.ts';
import type { ApiAccess } from './access.ts';
import { withDeadline } from './deadline.ts';
import { statusError } from './error.ts';
import { unreachable } from './requests.ts';

export interface WatchConnectionsOptions {
  readonly server: URL;
  readonly access: () => Promise<ApiAccess>;
  /** Called on 401: the next access is to be read anew. */
  readonly renew: () => void;
  /** How long a connection, and then a watch's headers, may take. */
  readonly timeoutMs: number;
  readonly pingMs: number;
}

interface Connection {
  readonly session: ClientHttp2Session;
  /** Streams that the server allows at once: 100 of a kube-apiserver as it comes. */
  readonly limit: number;
  streams: number;
  isLeaving: boolean;
}

const noProtocol = 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL';
const noHttp2 = 'it does not speak HTTP/2, which watches need';

/** 100 streams each are 25,600 watches; beyond that a watch fails as if the server had no room. */
const mostConnections = 256;
/** Of a server that sets no limit: what breaks with one connection is bounded. */
const mostStreams = 1000;

/**
 * Watches over HTTP/2, many to a connection: each would else need one of its own. Connections are made as watches come
 * and ended as they go. A peer that does not answer a ping is dead: the connection is cut, so that its watches end and
 * begin again elsewhere.
 */
export class WatchConnections {
  readonly #options: WatchConnectionsOptions;
  readonly #connections = new Set<Connection>();
  readonly #closing = new AbortController();
  #opening: Promise<void> | undefined;

  constructor(options: WatchConnectionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#connections.size;
  }

  /** The body of a watch that the server has accepted. Rejects with a KubernetesError, or the signal's reason. */
  async open(path: string, subject: string, signal: AbortSignal): Promise<Readable> {
    try {
      return await withDeadline([signal, this.#closing.signal], this.#options.timeoutMs, (either) =>
        this.#request(path, subject, either),
      );
    } catch (error) {
      signal.throwIfAborted();
      this.#closing.signal.throwIfAborted();
      throw error instanceof Error && error.name === 'KubernetesError' ? error : unreachable(subject, error);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new DOMException('the client is closed', 'AbortError'));
    for (const { session } of this.#connections) session.destroy(new Error('the client is closed'));
    await this.#opening?.catch(() => {});
  }

  async #request(path: string, subject: string, signal: AbortSignal): Promise<Readable> {
    const connection = await this.#takeRoom(signal);
    let stream: ClientHttp2Stream;
    try {
      const { headers } = await this.#options.access();
      signal.throwIfAborted();
      stream = connection.session.request({ ':path': path, accept: 'application/json', ...headers });
    } catch (error) {
      this.#release(connection);
      throw error;
    }
    stream.once('close', () => this.#release(connection));
    return this.#answer(stream, subject, signal);
  }

  /** The stream, once its headers say that it is a watch. */
  async #answer(stream: ClientHttp2Stream, subject: string, signal: AbortSignal): Promise<Readable> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; retryAfter: string | undefined }>();
    const onAbort = (): void => {
      reject(signal.reason);
      // What is left of a refusal is not waited for either.
      stream.destroy();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    stream.on('error', reject);
    stream.once('close', () => reject(new Error('the connection was closed')));
    stream.once('response', (headers) =>
      resolve({ status: Number(headers[':status']), retryAfter: headers['retry-after'] }),
    );
    try {
      const { status, retryAfter } = await promise;
      if (status === 200) return stream;
      if (status === 401) this.#options.renew();
      throw statusError(subject, status, await textOf(stream), retryAfter);
    } catch (error) {
      stream.destroy();
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** A place on a connection: taken before anybody else can look. */
  async #takeRoom(signal: AbortSignal): Promise<Connection> {
    for (;;) {
      signal.throwIfAborted();
      const free = [...this.#connections].find(
        ({ session, streams, limit, isLeaving }) => streams < limit && !isLeaving && !session.destroyed,
      );
      if (free !== undefined) {
        free.streams += 1;
        return free;
      }
      // One at a time: whoever waits looks again when it is there.
      this.#opening ??= this.#connect().finally(() => {
        this.#opening = undefined;
      });
      await unlessAborted(this.#opening, signal);
    }
  }

  async #connect(): Promise<void> {
    if (this.#connections.size >= mostConnections) throw new Error(`${mostConnections} connections are in use`);
    const { server, access, timeoutMs } = this.#options;
    const { tls } = await access();
    const session = connect(server.origin, { ...tls, settings: { enablePush: false } });
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    promise.catch(() => {});
    session.on('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === noProtocol ? new Error(noHttp2) : error),
    );
    session.once('connect', () => {
      // Not a string where nothing was agreed on, whatever its type says.
      if (!String(session.alpnProtocol).startsWith('h2')) reject(new Error(noHttp2));
    });
    session.once('close', () => reject(new Error('the connection was closed')));
    session.once('remoteSettings', (settings) => resolve(settings.maxConcurrentStreams ?? 100));
    try {
      const limit = await withDeadline([this.#closing.signal], timeoutMs, (signal) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        return promise;
      });
      this.#closing.signal.throwIfAborted();
      this.#adopt({ session, limit: Math.min(mostStreams, Math.max(1, limit)), streams: 0, isLeaving: false });
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  #adopt(connection: Connection): void {
    const { session } = connection;
    this.#connections.add(connection);
    const stopPings = keepAlive(session, this.#options.pingMs, () => {
      // Before its end, which takes time where nothing arrives.
      this.#connections.delete(connection);
    });
    session.once('goaway', () => {
      connection.isLeaving = true;
    });
    session.once('close', () => {
      stopPings();
      this.#connections.delete(connection);
    });
  }

  /** A connection without watches is kept only when no other has room for the next one. */
  #release(connection: Connection): void {
    connection.streams -= 1;
    if (connection.streams > 0) return;
    const others = [...this.#connections].filter((other) => other !== connection && !other.isLeaving);
    if (connection.isLeaving || others.some(({ streams, limit }) => streams < limit)) connection.session.close();
  }
}

/** Pings the peer, and cuts the connection when half the time between pings brings no answer. The function returned ends that. */
function keepAlive(session: ClientHttp2Session, pingMs: number, onDead: () => void): () => void {
  let deadline: NodeJS.Timeout | undefined;
  const stop = (): void => {
    clearInterval(interval);
    clearTimeout(deadline);
  };
  const cut = (): void => {
    stop();
    onDead();
    session.destroy(new Error('the API server does not answer pings'));
  };
  const interval = setInterval(() => {
    if (session.destroyed) return;
    deadline = setTimeout(cut, pingMs / 2);
    const isSent = session.ping((error) => {
      if (error === null) clearTimeout(deadline);
    });
    if (!isSent) cut();
  }, pingMs);
  return stop;
}

/** What the server says about a refusal, at most 64 KiB of it. */
const textOf = async (stream: Readable): Promise<string> =>
  (await readBounded(stream as AsyncIterable<Buffer>, 65_536)).bytes.toString('utf8');
