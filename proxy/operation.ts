import type { ConnectorKey } from '../connectors/address.ts';
import type { Action, Caller } from '../credentials/grant.ts';
import { ProxyError } from '../platform/errors.ts';
import type { Endpoint } from './route.ts';

/** One request and how it ended: what an audit line and the metrics are made of. It holds no token and no query. */
export interface Operation {
  readonly method: string;
  /** `host:port` that a CONNECT asked for; nothing else that stood there, which may be a token. */
  target?: string;
  caller?: Caller['name'];
  connector?: ConnectorKey;
  /** The caller may use the connector, which therefore is one. */
  isAdmitted?: boolean;
  /** As the caller names it, until it is known how the registry's API does. */
  repository?: string;
  endpoint?: 'base' | Endpoint['kind'];
  /** Tag or digest that was asked for. */
  reference?: string;
  /** Digest that was answered with, where the registry said it. */
  digest?: string;
  action?: Action;
  /** Host that the caller was sent to for the bytes. */
  handedTo?: string;
  /** Status that the caller got; 0 when the connection was broken before there was one. */
  status: number;
  /** Bytes of the answer's body that went through us. */
  bytes: number;
  /** Bytes of the request's body that went to the registry. */
  received?: number;
  durationMs: number;
  /** Code of the catalogue, or `BROKEN` for an answer that was cut, or `CANCELLED` for a caller that went away. */
  error?: string;
  /** What the registry said with an error that was passed on: redacted, in one line; may be empty. */
  reason?: string;
}

/** Notes a failure that the caller can still be told of, as the refusal that comes back; its cause is for the log. */
export function noteRefusal(operation: Operation, error: unknown): ProxyError {
  const refusal =
    error instanceof ProxyError
      ? error
      : new ProxyError('INTERNAL', 'an error that should not be; the log has more', { cause: error });
  operation.error = refusal.code;
  operation.status = refusal.status;
  if (refusal.caller !== undefined) operation.caller ??= refusal.caller;
  return refusal;
}

/** Notes a failure after the answer had begun: the connection is broken, or `isGone`, so that nobody can be told. */
export function noteBreak(operation: Operation, isGone: boolean): void {
  operation.error = isGone ? 'CANCELLED' : 'BROKEN';
}

/** Whoever wants to know of each operation when it has ended. It must not throw. */
export type OperationObserver = (operation: Operation, cause?: unknown) => void;
