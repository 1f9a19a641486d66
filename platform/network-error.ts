import { ProxyError } from './errors.ts';
import { HttpProxyError } from './http1/errors.ts';
import { TargetForbiddenError } from './transport.ts';

const timeouts: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ERR_REQUEST_BODY_TIMEOUT',
  'ETIMEDOUT',
]);

const sentences: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ENOTFOUND: 'its name cannot be resolved',
    EAI_AGAIN: 'its name cannot be resolved at the moment',
    ECONNREFUSED: 'the connection was refused',
    ECONNRESET: 'the connection was reset',
    EHOSTUNREACH: 'there is no route to it',
    ENETUNREACH: 'there is no route to it',
    EPIPE: 'the connection was closed',
    ETIMEDOUT: 'no answer came in time',
    UND_ERR_SOCKET: 'the connection was closed',
    UND_ERR_CONNECT_TIMEOUT: 'the connection was not made in time',
    UND_ERR_HEADERS_TIMEOUT: 'no answer came in time',
    UND_ERR_BODY_TIMEOUT: 'the body stopped coming',
    ERR_REQUEST_BODY_TIMEOUT: 'it stopped taking the body',
    UND_ERR_HEADERS_OVERFLOW: 'the headers of the answer are too large',
    HPE_INVALID_CONSTANT: 'the answer is not HTTP',
    DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
    SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is signed by an unknown CA',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is signed by an unknown CA',
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is signed by an unknown CA',
    CERT_HAS_EXPIRED: 'its certificate has expired',
    ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
    UND_ERR_PRX_TLS: 'the certificate of the HTTP proxy is for another name',
    UND_ERR_PRX_CONN: 'the HTTP proxy closed the connection',
    EPROTO: 'TLS failed: does it speak https?',
    ERR_SSL_WRONG_VERSION_NUMBER: 'TLS failed: does it speak https?',
  }),
);

/** What to do about a certificate that nobody here trusts: a connector may name its CA. */
const caHints: ReadonlyMap<string, string> = new Map([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', ': name its CA in caCertSecretRef'],
  ['SELF_SIGNED_CERT_IN_CHAIN', ': name it in caCertSecretRef'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', ': name it in caCertSecretRef'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', ': name it in caCertSecretRef'],
]);

/** Code of a network failure, the cause's where several addresses failed together. */
export function networkErrorCode(error: unknown): string {
  let inner = error;
  for (let depth = 0; depth < 8 && typeof inner === 'object' && inner !== null; depth += 1) {
    const { name, code, cause, errors } = inner as {
      name?: unknown;
      code?: unknown;
      cause?: unknown;
      errors?: unknown[];
    };
    if (typeof code === 'string' && code !== '') return code;
    // undici names some of what its parser refuses by a code, and some not.
    if (name === 'HTTPParserError') return 'HPE_INVALID_CONSTANT';
    if (name === 'TimeoutError') return 'ETIMEDOUT';
    inner = errors?.[0] ?? cause;
  }
  return 'UNKNOWN';
}

/** What a code of a network failure means, for people: it stands behind the name of the host. */
export function networkErrorSentence(code: string): string {
  return sentences.get(code) ?? (code.startsWith('HPE_') ? 'the answer is not HTTP' : `the request failed (${code})`);
}

/** What failed on the way to `host`, as an answer for callers. Errors that already are one, and aborts, stay as they are. */
export function toProxyError(error: unknown, host: string): Error {
  if (error instanceof ProxyError) return error;
  if (error instanceof TargetForbiddenError) return new ProxyError('TARGET_FORBIDDEN', error.message, { cause: error });
  if (error instanceof Error && error.name === 'AbortError') return error;
  // A parser may keep what it could not read, and that may repeat what we said.
  if (error instanceof Error && 'data' in error) error.data = undefined;
  const code = networkErrorCode(error);
  const sentence = refusalOf(error) ?? `${networkErrorSentence(code)}${caHints.get(code) ?? ''}`;
  return new ProxyError(timeouts.has(code) ? 'UPSTREAM_TIMEOUT' : 'UPSTREAM_UNREACHABLE', `${host}: ${sentence}`, {
    cause: error,
  });
}

const refusalOf = (error: unknown): string | undefined => (error instanceof HttpProxyError ? error.message : undefined);
