import { parseJsonObject } from '../json.ts';

/** What the API server says of a failure (`metav1.Status`), as far as it is used here. */
export interface Status {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

export interface KubernetesErrorOptions extends ErrorOptions {
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs?: number | undefined;
}

/**
 * A request to the API server that had no success. `reason` is the one of its Status: `NotFound`, `AlreadyExists`,
 * `Conflict`, `Forbidden`, `Expired`, …; where no answer came, `status` is 0 and `reason` is `Unreachable`.
 * The message names verb, resource and object, and never holds a token.
 */
export class KubernetesError extends Error {
  override readonly name = 'KubernetesError';
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs?: number;

  constructor(message: string, { status, reason, retryAfterMs, ...options }: KubernetesErrorOptions) {
    super(withoutTokens(message), options);
    this.status = status;
    this.reason = reason;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}

/** Whether the version that was asked for is no longer kept, so that everything is to be listed again. */
export function isGone(error: unknown): boolean {
  return error instanceof KubernetesError && error.status === 410;
}

/** Whether no answer came, so that it is the way to the API server, or the server itself, that is broken. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof KubernetesError && error.status === 0;
}

/** An error from the Status in the body of an answer, or in an event of a watch. */
export function statusError(subject: string, httpStatus: number, body: string, retryAfter?: string): KubernetesError {
  const answer = readStatus(body);
  const status = answer?.code ?? httpStatus;
  const reason = answer?.reason || reasons.get(status) || 'Unknown';
  const message = answer?.message || (body === '' ? 'no reason given' : `not a Status: ${body.slice(0, 200)}`);
  const seconds = retryAfterSeconds(retryAfter) ?? answer?.details?.retryAfterSeconds;
  const retryAfterMs = seconds === undefined ? undefined : seconds * 1000;
  return new KubernetesError(`${subject}: ${status} ${reason}: ${message}`, { status, reason, retryAfterMs });
}

/** Reasons of answers that came from before the API server: a balancer, the authentication filter. */
const reasons: ReadonlyMap<number, string> = new Map([
  [400, 'BadRequest'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'NotFound'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [422, 'Invalid'],
  [429, 'TooManyRequests'],
  [500, 'InternalError'],
  [503, 'ServiceUnavailable'],
  [504, 'Timeout'],
]);

function readStatus(body: string): Status | undefined {
  const status = parseJsonObject(body);
  return status !== undefined && 'message' in status ? (status as Status) : undefined;
}

/** The API server sends seconds only. */
function retryAfterSeconds(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : undefined;
}

/** Whatever looks like a JWT, or follows `Bearer`: something on the way may repeat what it was sent. */
function withoutTokens(message: string): string {
  return message
    .replace(/\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?/g, '[token]')
    .replace(/\b(Bearer|Basic)\s+[^\s"',]+/gi, '$1 [token]');
}
