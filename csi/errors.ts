import { status } from '@grpc/grpc-js';
import { ProxyError, type ProxyErrorCode } from '../platform/errors.ts';
import { printable } from '../platform/printable.ts';

/** gRPC carries messages in a header: one that is too long would end the connection. Events show no more than this. */
const messageMax = 1_024;

/** A refusal in the kubelet's terms. Its message is shown by `kubectl describe pod`: it holds no token. */
export class CsiError extends Error {
  readonly code: status;

  constructor(code: status, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CsiError';
    this.code = code;
  }
}

/** The kubelet calls again after these, and takes the rest for the end of the call (isFinalError of its csi_client.go). */
const unfinished: readonly status[] = [
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
  status.UNAVAILABLE,
];

/**
 * A refusal to publish where something is mounted. A kubelet that had no answer to an earlier publish would take a final
 * code for «not mounted», and never have it taken away.
 */
export class StillMounted extends CsiError {
  readonly reason: CsiError;

  constructor(reason: CsiError) {
    const { code, message } = reason;
    if (unfinished.includes(code)) super(code, message);
    else super(status.ABORTED, `${status[code]}: ${message}; the volume stays mounted as it is`);
    this.reason = reason;
  }
}

export const invalidArgument = (message: string): CsiError => new CsiError(status.INVALID_ARGUMENT, message);

/** What the centre refuses, and goes on refusing until somebody changes something. */
const refusals: Partial<Readonly<Record<ProxyErrorCode, status>>> = {
  TOKEN_REQUIRED: status.UNAUTHENTICATED,
  CALLER_UNKNOWN: status.UNAUTHENTICATED,
  ACCESS_DENIED: status.PERMISSION_DENIED,
  CONNECTOR_UNKNOWN: status.NOT_FOUND,
  CONFIGURATION_UNKNOWN: status.NOT_FOUND,
  CONNECTOR_UNUSABLE: status.FAILED_PRECONDITION,
  CONNECTOR_NOT_READY: status.FAILED_PRECONDITION,
  CONFIGURATION_INVALID: status.FAILED_PRECONDITION,
  CONFIGURATION_TOO_LARGE: status.RESOURCE_EXHAUSTED,
  REQUEST_INVALID: status.INVALID_ARGUMENT,
};

/** What goes by without anybody's doing. */
const troubles: Partial<Readonly<Record<ProxyErrorCode, status>>> = {
  CALLER_LIMITED: status.RESOURCE_EXHAUSTED,
  CENTRE_UNREACHABLE: status.UNAVAILABLE,
  ACCESS_UNAVAILABLE: status.UNAVAILABLE,
  // The centre does not know this node's agent: its token, not the pod's.
  AGENT_UNKNOWN: status.UNAVAILABLE,
  REQUEST_TIMEOUT: status.UNAVAILABLE,
  UPSTREAM_LIMITED: status.UNAVAILABLE,
  UPSTREAM_TIMEOUT: status.UNAVAILABLE,
  UPSTREAM_UNREACHABLE: status.UNAVAILABLE,
};

/** Whether the centre refused, rather than being unable to answer. */
export const isRefusal = (error: unknown): boolean => error instanceof ProxyError && error.code in refusals;

/** The gRPC status and message of any error; what nobody foresaw is INTERNAL and says nothing of itself. */
export function asCsiError(error: unknown): CsiError {
  if (error instanceof CsiError) return error;
  if (error instanceof ProxyError) {
    const code = refusals[error.code] ?? troubles[error.code] ?? status.INTERNAL;
    return new CsiError(code, printable(error.message, messageMax), { cause: error });
  }
  return new CsiError(status.INTERNAL, 'the driver failed; its log tells why', { cause: error });
}
