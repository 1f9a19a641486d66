import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http';
import { request as httpsRequest } from 'node:https';

export interface CallOptions {
  readonly method?: string;
  /** The request target, where it is not that of the URL. */
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
  /** For https: the authority to trust. */
  readonly ca?: string | Buffer;
}

/** What came of a call, as far as it came. */
export interface CallResult {
  /** Undefined when no answer began. */
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  /** The body, or what came of it before it broke. */
  readonly body: Buffer;
  /** Code of the error that the connection broke with: `ECONNRESET`, `HPE_…`; undefined for a complete answer. */
  readonly failure: string | undefined;
}

/** One HTTP request on a connection of its own: redirects are not followed, and a broken answer is a result. */
export function call(url: string, options: CallOptions = {}): Promise<CallResult> {
  const { method = 'GET', path, headers = {}, body, signal, ca } = options;
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let begun: IncomingMessage | undefined;
    const settle = (failure?: NodeJS.ErrnoException) =>
      resolve({
        status: begun?.statusCode,
        headers: begun?.headers ?? {},
        body: Buffer.concat(chunks),
        failure: failure && (failure.code ?? failure.message),
      });
    const request = send(url, {
      method,
      headers,
      agent: false,
      ...(path && { path }),
      ...(signal && { signal }),
      ...(ca && { ca }),
    });
    // A reset in the middle of an answer is an error of the request, a close in the middle one of the response.
    request.on('error', settle);
    request.on('response', (response) => {
      begun = response;
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', settle);
      response.on('end', () => settle());
    });
    request.end(body);
  });
}

/** An Authorization header with a user and password. */
export function basic(username: string, password: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}
