/**
 * The one catalogue of errors that a registry client can be answered with: our code, the OCI code on the wire
 * (distribution-spec, «Error Codes») and the HTTP status.
 */
export const ociErrors = {
  TOKEN_REQUIRED: ['UNAUTHORIZED', 401],
  CALLER_UNKNOWN: ['UNAUTHORIZED', 401],
  AGENT_UNKNOWN: ['UNAUTHORIZED', 401],
  PROXY_TOKEN_REQUIRED: ['UNAUTHORIZED', 407],
  PROXY_CALLER_UNKNOWN: ['UNAUTHORIZED', 407],
  CALLER_LIMITED: ['TOOMANYREQUESTS', 429],
  ACCESS_DENIED: ['DENIED', 403],
  ACCESS_UNAVAILABLE: ['UNAVAILABLE', 503],
  NAME_INVALID: ['NAME_INVALID', 400],
  REFERENCE_INVALID: ['MANIFEST_INVALID', 400],
  REQUEST_INVALID: ['UNSUPPORTED', 400],
  HOST_FORBIDDEN: ['DENIED', 403],
  HOST_MISDIRECTED: ['UNSUPPORTED', 421],
  ROUTE_UNKNOWN: ['NAME_UNKNOWN', 404],
  REQUEST_TIMEOUT: ['UNSUPPORTED', 408],
  LOOP_DETECTED: ['UNSUPPORTED', 508],
  METHOD_UNSUPPORTED: ['UNSUPPORTED', 405],
  CONNECTOR_UNKNOWN: ['NAME_UNKNOWN', 404],
  UPLOAD_UNKNOWN: ['BLOB_UPLOAD_UNKNOWN', 404],
  REPOSITORY_OUTSIDE: ['DENIED', 403],
  CENTRE_UNREACHABLE: ['UNAVAILABLE', 503],
  CONNECTOR_UNUSABLE: ['UNAVAILABLE', 503],
  CONNECTOR_NOT_READY: ['UNAVAILABLE', 503],
  CONFIGURATION_UNKNOWN: ['UNSUPPORTED', 404],
  CONFIGURATION_INVALID: ['UNSUPPORTED', 422],
  CONFIGURATION_TOO_LARGE: ['UNSUPPORTED', 413],
  CREDENTIAL_REFUSED: ['DENIED', 403],
  GRANT_LAPSED: ['UNAVAILABLE', 503],
  UPSTREAM_DENIED: ['DENIED', 403],
  UPSTREAM_UNREACHABLE: ['UNAVAILABLE', 502],
  UPSTREAM_TIMEOUT: ['UNAVAILABLE', 504],
  UPSTREAM_PROTOCOL: ['UNAVAILABLE', 502],
  UPSTREAM_LIMITED: ['TOOMANYREQUESTS', 429],
  TARGET_FORBIDDEN: ['DENIED', 502],
  INTERNAL: ['UNKNOWN', 500],
} as const satisfies Record<string, readonly [string, number]>;

export type ProxyErrorCode = keyof typeof ociErrors;

export const isProxyErrorCode = (text: string): text is ProxyErrorCode => Object.hasOwn(ociErrors, text);

export interface ProxyErrorOptions extends ErrorOptions {
  /** Headers that belong to the answer, as `Retry-After`. */
  headers?: Readonly<Record<string, string>>;
  /** Who was refused, for the audit log. */
  caller?: string | undefined;
}

/** An error whose message may be shown to a caller: it holds no credential, and says what to do. */
export class ProxyError extends Error {
  readonly code: ProxyErrorCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly caller: string | undefined;

  constructor(code: ProxyErrorCode, message: string, options: ProxyErrorOptions = {}) {
    super(message, options);
    this.name = 'ProxyError';
    this.code = code;
    this.headers = options.headers ?? {};
    this.caller = options.caller;
  }

  get status(): number {
    return ociErrors[this.code][1];
  }

  /** The OCI error body. `connector` is the `namespace/name` the error belongs to, when it belongs to one. */
  toBody(connector?: string): string {
    const detail = { reason: this.code, ...(connector === undefined ? {} : { connector }) };
    const message = connector === undefined ? this.message : `connector ${connector}: ${this.message}`;
    return `${JSON.stringify({ errors: [{ code: ociErrors[this.code][0], message, detail }] })}\n`;
  }
}
