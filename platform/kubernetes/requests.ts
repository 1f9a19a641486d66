import { Agent, buildConnector } from 'undici';
import { networkErrorCode } from '../network-error.ts';
import type { ApiAccess } from './access.ts';
import { backoffMs } from './backoff.ts';
import { withDeadline } from './deadline.ts';
import { KubernetesError, statusError } from './error.ts';
import type { Resource } from './object.ts';
import { sleepWith, type Timers } from './timers.ts';

export type Verb = 'get' | 'list' | 'create' | 'replace' | 'patch' | 'delete';

/** One request, but for the attempts that it takes. */
export interface ApiCall {
  readonly verb: Verb;
  /** What the request is about, for messages; the path where absent. */
  readonly resource?: Resource;
  readonly key?: { readonly namespace?: string | undefined; readonly name?: string };
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string | undefined;
  /** Whether it may be sent again when nobody knows what became of it; else by its verb. */
  readonly isIdempotent?: boolean;
  /** A 404 for the object itself is answered as undefined. */
  readonly mayBeAbsent?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface ApiRequestsOptions {
  readonly server: URL;
  readonly access: () => Promise<ApiAccess>;
  /** Called on 401: the next access is to be read anew. */
  readonly renew: () => void;
  readonly timeoutMs: number;
  readonly connections: number;
  readonly random: () => number;
  /** For the waits between attempts; deadlines are real. */
  readonly timers: Timers;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | undefined;
}

const methods = { get: 'GET', list: 'GET', create: 'POST', replace: 'PUT', patch: 'PATCH', delete: 'DELETE' } as const;
const retries = 4;
const longestWaitMs = 10_000;

/** Plain requests to the API server over HTTP/1.1: attempts, deadlines, credentials, errors. */
export class ApiRequests {
  readonly #options: ApiRequestsOptions;
  readonly #agent: Agent;
  readonly #closing = new AbortController();

  constructor(options: ApiRequestsOptions) {
    this.#options = options;
    this.#agent = new Agent({
      allowH2: false,
      connections: options.connections,
      headersTimeout: options.timeoutMs,
      bodyTimeout: options.timeoutMs,
      connect: connectorFor(options),
    });
  }

  /** The answer's JSON. */
  async send<T>(call: ApiCall): Promise<T> {
    let isRenewed = false;
    for (let attempt = 0; ; attempt += 1) {
      const outcome = await this.#attempt(call);
      if (!(outcome instanceof KubernetesError)) return outcome as T;
      // Refused before anything was done. The token may just have been replaced.
      if (outcome.status === 401 && !isRenewed) {
        isRenewed = true;
        this.#options.renew();
      } else if (attempt < retries && mayRepeat(call, outcome)) {
        await this.#wait(attempt, outcome, call.signal);
      } else {
        throw outcome;
      }
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new DOMException('the client is closed', 'AbortError'));
    await this.#agent.destroy();
  }

  async #attempt(call: ApiCall): Promise<unknown> {
    const subject = subjectOf(call);
    const { timeoutMs } = this.#options;
    try {
      const answer = await withDeadline([call.signal, this.#closing.signal], timeoutMs, (signal) =>
        this.#exchange(call, signal),
      );
      if (answer.status >= 200 && answer.status < 300) return parseBody(subject, answer.body);
      if (call.mayBeAbsent === true && isObjectAbsent(answer)) return undefined;
      return statusError(subject, answer.status, answer.body, answer.retryAfter);
    } catch (error) {
      if (error instanceof KubernetesError) return error;
      call.signal?.throwIfAborted();
      this.#closing.signal.throwIfAborted();
      return unreachable(subject, error);
    }
  }

  async #exchange(call: ApiCall, signal: AbortSignal): Promise<Answer> {
    const { server, access } = this.#options;
    const { headers } = await access();
    const {
      statusCode,
      headers: answered,
      body,
    } = await this.#agent.request({
      origin: server.origin,
      path: pathWithQuery(server, call.path, call.query),
      method: methods[call.verb],
      headers: {
        ...headers,
        accept: 'application/json',
        ...(call.body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      signal,
    });
    const retryAfter = answered['retry-after'];
    return { status: statusCode, body: await body.text(), retryAfter: [retryAfter].flat()[0] };
  }

  async #wait(attempt: number, error: KubernetesError, signal: AbortSignal | undefined): Promise<void> {
    const { random, timers } = this.#options;
    const backoff = backoffMs(attempt + 1, { firstMs: 250, mostMs: longestWaitMs, random });
    const ms = Math.min(longestWaitMs, Math.max(backoff, error.retryAfterMs ?? 0));
    // A deadline far beyond the wait: it is here for the two signals.
    await withDeadline([signal, this.#closing.signal], 10 * longestWaitMs, (either) => sleepWith(timers, ms, either));
  }
}

/** A path of the API below the server's own, which is not always `/`: `https://rancher/k8s/clusters/c-1`. */
export function pathWithQuery(server: URL, path: string, query: ApiCall['query'] = {}): string {
  const entries = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  const root = server.pathname.replace(/\/$/, '');
  return entries.length === 0 ? `${root}${path}` : `${root}${path}?${new URLSearchParams(entries)}`;
}

/** That no answer came, and why as far as the network says. */
export function unreachable(subject: string, error: unknown): KubernetesError {
  const code = networkErrorCode(error);
  const detail = code === 'UNKNOWN' && error instanceof Error ? error.message : code;
  return new KubernetesError(`${subject}: no answer from the API server (${detail})`, {
    ...{ status: 0, reason: 'Unreachable', cause: error },
  });
}

/** Verb, resource and object, as messages start. */
export function subjectOf(call: Pick<ApiCall, 'resource' | 'key' | 'path'> & { verb: string }): string {
  if (call.resource === undefined) return `${call.verb} ${call.path}`;
  const { namespace, name } = call.key ?? {};
  const object = [namespace, name].filter((part) => part !== undefined).join('/');
  if (name !== undefined) return `${call.verb} ${call.resource.plural} ${object}`;
  return `${call.verb} ${call.resource.plural}${namespace === undefined ? '' : ` in ${namespace}`}`;
}

/** Certificates and authorities as they are when the connection is made. */
function connectorFor({ access }: ApiRequestsOptions): buildConnector.connector {
  const connectWith = async (...[target, callback]: Parameters<buildConnector.connector>): Promise<void> => {
    const { tls } = await access();
    // Throws where a certificate cannot be read, as one that is just being replaced.
    buildConnector({ ...tls, allowH2: false, timeout: 10_000, keepAlive: true })(target, callback);
  };
  return (target, callback) => {
    connectWith(target, callback).catch((error: unknown) =>
      callback(error instanceof Error ? error : new Error(String(error)), null),
    );
  };
}

function mayRepeat(call: ApiCall, { status, reason }: KubernetesError): boolean {
  if (status === 429) return true;
  const isIdempotent = call.isIdempotent ?? call.verb !== 'create';
  return isIdempotent && (status >= 500 || (status === 0 && reason === 'Unreachable'));
}

/** The object is not there, in contrast to a path that the server does not know: a CRD that is not installed. */
function isObjectAbsent({ status, body }: Answer): boolean {
  return status === 404 && /"details":\s*\{[^}]*"name":/.test(body);
}

function parseBody(subject: string, body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    const message = `${subject}: the answer is not JSON`;
    return new KubernetesError(message, { status: 502, reason: 'InvalidAnswer' });
  }
}
