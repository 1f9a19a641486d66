import type { IncomingHttpHeaders } from 'node:http';

/** One `type:name:actions` of a token (distribution, «Token Scope Documentation»). */
export interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** What a server saw of a request, and what became of it. */
export interface RecordedRequest {
  /** Milliseconds since 1970 on the server's clock, when the headers had arrived. */
  readonly at: number;
  readonly method: string;
  /** Path and query exactly as they came. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** The status that was answered; undefined before the answer, and where a fault sent none. */
  readonly status: number | undefined;
  /** Name of the fault that the request met. */
  readonly fault: string | undefined;
  /** Body bytes that were handed to the connection. */
  readonly bytesSent: number;
  /** `complete` when the whole answer was handed to the kernel, `broken` when the connection ended before. */
  readonly ended: Promise<'complete' | 'broken'>;
  /** On a registry: the repository in the path. */
  readonly repository?: string;
  /** On a registry: the access in the request's valid bearer token. */
  readonly tokenAccess?: readonly Access[];
}

/** A request to a token endpoint; the endpoint's parameters are in `query` (GET) or `form` (POST). */
export interface TokenRequest extends RecordedRequest {
  readonly query: URLSearchParams;
  readonly form: URLSearchParams | undefined;
  readonly authorization: string | undefined;
}

/** A view of a record that the server which made it may still complete. */
export type Mutable<T> = { -readonly [key in keyof T]: T[key] };

/** Requests in the order of arrival, and a way to wait for one without polling. */
export class RequestLog<T extends RecordedRequest> {
  readonly entries: T[] = [];
  readonly #waiting = new Set<() => void>();

  add(entry: T): void {
    this.entries.push(entry);
    for (const check of [...this.#waiting]) check();
  }

  /** Resolves with the `count`th entry that matches, as soon as it has arrived. */
  async arrival(matches: (entry: T) => boolean, count = 1): Promise<T> {
    return new Promise((resolve) => {
      const check = () => {
        const entry = this.entries.filter(matches)[count - 1];
        if (entry === undefined) return;
        this.#waiting.delete(check);
        resolve(entry);
      };
      this.#waiting.add(check);
      check();
    });
  }
}
