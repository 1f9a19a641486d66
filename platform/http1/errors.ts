/**
 * A request that failed in the client. Codes are those of undici and of llhttp (`HPE_…`) where they have one for it, so
 * that both clients read the same. No message ever holds bytes of an answer.
 */
export class Http1Error extends Error {
  readonly code: string;
  /**
   * The connection had served a request before, and ended before it brought a byte of the answer: as a server does that
   * closes an idle connection. No body source was started, so that the request may be sent again, whatever its method.
   */
  isStale?: boolean;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Http1Error';
    this.code = code;
  }
}

/** An HTTP proxy of the environment refused: a tunnel with any status, a request with 407. */
export class HttpProxyError extends Http1Error {
  readonly status: number;

  constructor(status: number) {
    super('ERR_HTTP_PROXY_REFUSED', `the HTTP proxy answered ${status}`);
    this.name = 'HttpProxyError';
    this.status = status;
  }
}

/** What was to be sent would not be the one request that it should be. */
export const invalidRequest = (what: string): Http1Error => new Http1Error('UND_ERR_INVALID_ARG', `invalid ${what}`);

export function abortError(): Http1Error {
  const error = new Http1Error('UND_ERR_ABORTED', 'the request was aborted');
  error.name = 'AbortError';
  return error;
}
