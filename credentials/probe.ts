import { ProxyError } from '../platform/errors.ts';
import { networkErrorCode } from '../platform/network-error.ts';
import type { RegistryTransport } from '../platform/transport.ts';
import type { Challenge } from './challenge.ts';
import type { Credential } from './credential.ts';
import { ping } from './ping.ts';

export type LivenessReason =
  | 'AddressUnresolvable'
  | 'AddressForbidden'
  | 'ConnectionRefused'
  | 'Unreachable'
  | 'TLSInvalid'
  | 'NotARegistry'
  | 'RateLimited'
  | 'ServerError'
  | 'Timeout';

/** That a probe failed: a reason for machines, a sentence for people that says what to do and holds no credential. */
export interface ProbeFailure<Reason extends string> {
  readonly ok: false;
  readonly reason: Reason;
  readonly message: string;
  /** When the registry wants to be asked again, where it says so. */
  readonly retryAfterMs?: number;
}

/** A registry that answers, and how it wants to be authenticated to: no challenge where it is open. */
export interface Alive {
  readonly ok: true;
  readonly challenges: readonly Challenge[];
}

export interface ProbeLimits {
  readonly signal: AbortSignal;
  /** For the probe as a whole, by default 10 seconds. */
  readonly timeoutMs?: number;
}

const defaultTimeoutMs = 10_000;
const unresolved: ReadonlySet<string> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'ENODATA']);
const tlsCodes =
  /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_|ERR_TLS_|ERR_SSL_|EPROTO$)/;

const advice: Readonly<Record<LivenessReason, string>> = {
  AddressUnresolvable: 'check the host in spec.address, and that the DNS of the cluster knows it',
  AddressForbidden: 'write an address into spec.address that a registry can have',
  ConnectionRefused: 'check host and port in spec.address, and that the registry runs',
  Unreachable: 'check the network, its policies and the HTTP proxy between the controller and the registry',
  TLSInvalid: 'check the certificate of the registry, spec.caCertSecretRef, and the scheme in spec.address',
  NotARegistry: 'check scheme, host and port in spec.address: an OCI registry answers at /v2/',
  RateLimited: 'it is asked again later',
  ServerError: 'the fault is in the registry; it is asked again soon',
  Timeout: 'check that the registry runs, and that no firewall swallows the connection',
};

/**
 * Whether a registry is there: `/v2/` answers 200, or 401 with a challenge. `credential` is not sent: it is kept out of
 * what is told of a failure. Rejects when the signal aborts, and with what is no answer to the question (a defect).
 */
export async function probeLiveness(
  transport: RegistryTransport,
  credential: Credential | undefined,
  limits: ProbeLimits,
): Promise<Alive | ProbeFailure<LivenessReason>> {
  try {
    const challenges = await limited(limits, (signal) => ping(transport, credential, signal));
    return { ok: true, challenges };
  } catch (error) {
    limits.signal.throwIfAborted();
    const failed = failureOf(error, new URL(transport.origin).host);
    return { ...failed, message: `${failed.message}: ${advice[failed.reason]}` };
  }
}

/** Runs `probe` until `timeoutMs` are over, when it rejects with a ProxyError UPSTREAM_TIMEOUT. */
export async function limited<T>(limits: ProbeLimits, probe: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { signal, timeoutMs = defaultTimeoutMs } = limits;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    return await probe(AbortSignal.any([signal, timeout]));
  } catch (error) {
    if (signal.aborted || !timeout.aborted) throw error;
    throw new ProxyError('UPSTREAM_TIMEOUT', `no answer came within ${timeoutMs / 1000} s`, { cause: error });
  }
}

/**
 * What an error on the way to the registry, or from it, says of the registry.
 * @throws what is no ProxyError
 */
export function failureOf(error: unknown, host: string): ProbeFailure<LivenessReason> {
  if (!(error instanceof ProxyError)) throw error;
  const message = error.message.includes(host) ? error.message : `${host}: ${error.message}`;
  const retryAfterMs = retryAfterMsOf(error.headers['retry-after']);
  const reason = reasonOf(error);
  return { ok: false, reason, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

function reasonOf(error: ProxyError): LivenessReason {
  if (error.code === 'TARGET_FORBIDDEN') return 'AddressForbidden';
  if (error.code === 'UPSTREAM_LIMITED') return 'RateLimited';
  if (error.code === 'UPSTREAM_TIMEOUT') return 'Timeout';
  if (error.code !== 'UPSTREAM_UNREACHABLE') return 'NotARegistry';
  // Without a cause the registry did answer, and with a status that tells of its own trouble.
  return error.cause === undefined ? 'ServerError' : networkReason(networkErrorCode(error.cause));
}

function networkReason(code: string): LivenessReason {
  if (unresolved.has(code)) return 'AddressUnresolvable';
  if (code === 'ECONNREFUSED') return 'ConnectionRefused';
  if (tlsCodes.test(code)) return 'TLSInvalid';
  return code.startsWith('HPE_') ? 'NotARegistry' : 'Unreachable';
}

/** Seconds only: a date would need the registry's clock to be ours. */
function retryAfterMsOf(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,6}$/.test(value.trim()) ? Number(value) * 1000 : undefined;
}
