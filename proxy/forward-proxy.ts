import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectorKey } from '../connectors/address.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { ProxyError } from '../platform/errors.ts';
import { printable } from '../platform/printable.ts';
import type { Access, Call } from './access.ts';
import type { CallOrigin } from './caller.ts';
import { established, proxyChallenge, refuseConnect } from './forward-proxy-answer.ts';
import { type Authority, formatAuthority, isSameAuthority, parseAuthority } from './forward-proxy-authority.ts';
import { type HostCertificates, Interceptions } from './forward-proxy-interception.ts';
import { interceptedRoute } from './forward-proxy-route.ts';
import { connectorsAt, openScope, refusalAt, type Scope, tunnelAt } from './forward-proxy-scope.ts';
import { noteBreak, noteRefusal, type Operation, type OperationObserver } from './operation.ts';
import { parseProxyAuthorization } from './proxy-authorization.ts';
import type { Route } from './route.ts';
import type { TunnelEnd } from './tunnel.ts';
import { Tunnels, type TunnelsOptions } from './tunnels.ts';

export interface ForwardProxyOptions {
  /** For the hosts of connectors. */
  readonly certificates: HostCertificates;
  /** For hosts of no connector, where a ConnectorClass allows them. */
  readonly tunnels?: TunnelsOptions;
}

/** What the listener lends. */
export interface ForwardProxyParts {
  readonly access: Access;
  readonly observe: OperationObserver | undefined;
  /** A connection on which nothing moves for this long is cut. */
  readonly idleMs: number;
  /** A server with the limits of the listener, which is never made to listen. */
  openServer(listener: RequestListener): Server;
  /** Serves a request of the registry API; `locate` says what it is about, or throws why it is refused. */
  serve(
    request: IncomingMessage,
    response: ServerResponse,
    call: Call,
    locate: (signal: AbortSignal) => Promise<Route>,
  ): void;
  /** No new connection is taken: those there are end with their next answer. */
  isEnding(): boolean;
}

/** A tunnel that ends here: who opened it, and what for. Rights are asked for with each request in it. */
interface Interception {
  readonly authority: Authority;
  readonly call: Call;
  /** Name of the caller. */
  readonly caller: string;
  /** Those at this host that it may use. */
  readonly connectors: readonly ConnectorKey[];
}

/** A CONNECT that has not been answered yet. */
interface Opening {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  readonly head: Buffer;
  readonly signal: AbortSignal;
  readonly operation: Operation;
}

const absoluteForm = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^#]*)$/i;

/**
 * The forward proxy: images keep the registry's own name, and clients come by `HTTPS_PROXY`. TLS to the hosts of the
 * connectors that a client names ends here, and the requests in it are served as those of the reverse proxy are.
 */
export class ForwardProxy {
  readonly #options: ForwardProxyOptions;
  readonly #parts: ForwardProxyParts;
  readonly #interceptions: Interceptions<Interception>;
  readonly #tunnels: Tunnels;
  /** The last answer on each connection. */
  readonly #answers = new WeakMap<Socket, ServerResponse>();

  constructor(options: ForwardProxyOptions, parts: ForwardProxyParts) {
    this.#options = options;
    this.#parts = parts;
    this.#tunnels = new Tunnels(parts.idleMs, options.tunnels);
    this.#interceptions = new Interceptions({
      openServer: (listener) => parts.openServer(listener),
      serve: (request, response, interception) => this.#serveWithin(request, response, interception),
      onTlsError: (interception, error) => parts.observe?.(failedHandshake(interception), handshakeCause(error)),
    });
  }

  /** Keeps in mind that a request came: until it is answered, no tunnel can begin on its connection. */
  note({ socket }: IncomingMessage, response: ServerResponse): void {
    this.#answers.set(socket, response);
  }

  /** Answers a CONNECT, for the event of that name. */
  connect(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const startedAt = performance.now();
    const operation = connectOperation(request.url ?? '');
    const departure = new AbortController();
    const onClose = (): void => departure.abort(new DOMException('the caller went away', 'AbortError'));
    // What breaks the connection closes it as well.
    socket.on('error', () => {});
    // Node does not wait: its answer would stand before, or within, the one that is due.
    if (this.#answers.get(socket)?.writableFinished === false) return void socket.destroy();
    socket.once('close', onClose);
    const observe = (cause: unknown): void => {
      operation.durationMs = performance.now() - startedAt;
      this.#parts.observe?.(operation, cause);
    };
    this.#open({ request, socket, head, signal: departure.signal, operation })
      .then(
        // What goes through an interception is told request by request.
        (end) => end && observe(end.error),
        (error: unknown) => observe(refuse(socket, operation, error)),
      )
      .finally(() => socket.off('close', onClose));
  }

  /** Answers a request whose target is an absolute URL: one to a registry without TLS. */
  answer(request: IncomingMessage, response: ServerResponse): void {
    const parsed = parseProxyAuthorization(request.headers['proxy-authorization']);
    const call = { token: parsed.ok ? parsed.authorization.token : undefined, origin: originOf(request.socket) };
    withoutCredentials(request);
    this.#parts.serve(request, response, call, async (signal) => {
      if (!parsed.ok) throw unidentified(parsed.reason);
      return this.#routeOfUrl(request.url ?? '', call, parsed.authorization.connectors, signal);
    });
  }

  /** Ends connections without a request under way, now and until the function returned is called. */
  endIdle(): () => void {
    this.#tunnels.endIdle();
    return this.#interceptions.endIdle();
  }

  async #open({ request, socket, head, signal, operation }: Opening): Promise<TunnelEnd | undefined> {
    const parsed = parseProxyAuthorization(request.headers['proxy-authorization']);
    if (!parsed.ok) throw unidentified(parsed.reason);
    const { connectors, token } = parsed.authorization;
    const [first, ...others] = connectors;
    if (first !== undefined && others.length === 0) operation.connector = first;
    const call = { token, origin: originOf(socket) };
    const scope = await openScope(this.#parts.access, call, connectors, signal).catch(asProxy);
    operation.caller = scope.caller.name;
    const authority = parseAuthority(request.url ?? '');
    if (authority === undefined) throw new ProxyError('REQUEST_INVALID', 'CONNECT wants host:port');
    if (head.length > 0) socket.unshift(head);
    const served = connectorsAt(scope, authority).map(({ key }) => key);
    if (served.length === 0) return this.#tunnel(socket, authority, scope, operation, signal);
    // Before the answer: what cannot be done has to be said by then.
    const context = await this.#options.certificates.secureContextFor(authority.host);
    signal.throwIfAborted();
    socket.setTimeout(0);
    socket.write(established);
    this.#interceptions.take(socket, { authority, call, caller: scope.caller.name, connectors: served }, context);
    return undefined;
  }

  async #tunnel(
    socket: Socket,
    authority: Authority,
    scope: Scope,
    operation: Operation,
    signal: AbortSignal,
  ): Promise<TunnelEnd> {
    const found = tunnelAt(scope, authority);
    if (found === undefined) throw refusalAt(scope, authority);
    operation.connector = found.connector.key;
    operation.isAdmitted = true;
    const want = { authority, isWildcard: found.entry.isWildcard, caller: scope.caller.name };
    const end = await this.#tunnels.run(socket, want, signal, () => {
      operation.status = 200;
      socket.write(established);
    });
    operation.bytes = end.bytes;
    operation.received = end.received;
    if (end.brokenBy === 'client') operation.error = 'CANCELLED';
    if (end.brokenBy === 'host') operation.error = 'BROKEN';
    return end;
  }

  #serveWithin(request: IncomingMessage, response: ServerResponse, interception: Interception): void {
    if (this.#parts.isEnding()) response.shouldKeepAlive = false;
    const { authority, call, connectors } = interception;
    withoutCredentials(request);
    this.#parts.serve(request, response, call, async (signal) => {
      const host = parseAuthority(request.headers.host ?? '', authority.port);
      if (host === undefined || !isSameAuthority(host, authority)) {
        throw new ProxyError(
          'HOST_MISDIRECTED',
          `this tunnel is to ${formatAuthority(authority)} and to no other host`,
        );
      }
      const scope = await openScope(this.#parts.access, call, connectors, signal).catch(asWithin);
      return interceptedRoute(request.url ?? '', servedAt(scope, authority), scope.caller);
    });
  }

  async #routeOfUrl(url: string, call: Call, connectors: readonly ConnectorKey[], signal: AbortSignal): Promise<Route> {
    const scope = await openScope(this.#parts.access, call, connectors, signal).catch(asProxy);
    const [, scheme = '', host = '', path = ''] = absoluteForm.exec(url) ?? [];
    const authority = scheme.toLowerCase() === 'http' ? parseAuthority(host, 80) : undefined;
    if (authority === undefined) {
      throw new ProxyError(
        'REQUEST_INVALID',
        'a request to a proxy is for http://host[:port]/…, or a CONNECT for https',
      );
    }
    const served = servedAt(scope, authority);
    const plain = served.filter(({ address }) => address.origin.startsWith('http:'));
    if (plain.length > 0) return interceptedRoute(path === '' ? '/' : path, plain, scope.caller);
    const message = `${formatAuthority(authority)} is reached by https: set HTTPS_PROXY, so that the client sends CONNECT`;
    throw new ProxyError('HOST_FORBIDDEN', message, { caller: scope.caller.name });
  }
}

function connectOperation(asked: string): Operation {
  const operation: Operation = { method: 'CONNECT', status: 0, bytes: 0, durationMs: 0 };
  // Who mistakes the target for a URL puts a token before the @.
  const target = asked.slice(asked.lastIndexOf('@') + 1);
  return parseAuthority(target) === undefined ? operation : { ...operation, target: printable(target) };
}

function failedHandshake({ authority, caller, connectors }: Interception): Operation {
  const operation = { ...connectOperation(formatAuthority(authority)), status: 200, error: 'TLS_FAILED', caller };
  const [connector, ...others] = connectors;
  // Which of several it would have been, the request would have said.
  return connector === undefined || others.length > 0 ? operation : { ...operation, connector, isAdmitted: true };
}

/** What clients say who do not trust who signs: bad_certificate, certificate_unknown, unknown_ca (RFC 8446, section 6). */
const distrust = /SSL alert number (?:42|46|48)\b/;

const handshakeCause = (error: Error): Error =>
  distrust.test(error.message) ? new Error('the client does not trust the authority', { cause: error }) : error;

const originOf = (socket: Socket): CallOrigin => ({ address: socket.remoteAddress ?? '' });

/** What a client says to the registry, or to us, is neither for the registry nor for anything behind this. */
function withoutCredentials({ headers }: IncomingMessage): void {
  delete headers.authorization;
  delete headers['proxy-authorization'];
}

function servedAt(scope: Scope, authority: Authority): readonly ResolvedConnector[] {
  const served = connectorsAt(scope, authority);
  if (served.length === 0) throw refusalAt(scope, authority);
  return served;
}

const unidentified = (reason: string): ProxyError =>
  new ProxyError('PROXY_TOKEN_REQUIRED', reason, { headers: proxyChallenge });

/** Who is not known is asked for what a proxy asks for. */
function asProxy(error: unknown): never {
  if (!(error instanceof ProxyError) || error.status !== 401) throw error;
  throw new ProxyError('PROXY_CALLER_UNKNOWN', error.message, { headers: proxyChallenge, cause: error });
}

/** Within a tunnel nobody is asked for anything: the client would answer with what it has for the registry. */
function asWithin(error: unknown): never {
  if (!(error instanceof ProxyError) || error.status !== 401) throw error;
  const headers = { connection: 'close' };
  const message = `${error.message}: it was good when this connection to the proxy was opened`;
  throw new ProxyError('ACCESS_DENIED', message, { headers, cause: error });
}

/** Refuses a CONNECT that was not answered yet. Returns what deserves a line in the log. */
function refuse(socket: Socket, operation: Operation, error: unknown): unknown {
  if (socket.destroyed || operation.status !== 0) {
    const isGone = socket.destroyed;
    noteBreak(operation, isGone);
    socket.destroy();
    return isGone ? undefined : error;
  }
  const refusal = noteRefusal(operation, error);
  refuseConnect(socket, refusal);
  return refusal.cause ?? refusal;
}
