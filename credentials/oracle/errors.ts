/** Where on the way to a credential it went wrong. */
export type OracleStep = 'configuration' | 'metadata' | 'federation' | 'token' | 'vault' | 'content';

/** What kind of failure it was: whether asking again helps, and whom it is about. */
export type OracleErrorCode =
  /** The surroundings or the settings do not hold what the principal needs. */
  | 'Misconfigured'
  /** Refused: who we are is known, or not, and we may not. */
  | 'Denied'
  /** 404 of the Vault: absent, or denied. */
  | 'NotAuthorizedOrNotFound'
  | 'Limited'
  | 'Timeout'
  /** Nobody answers, or with a 5xx. */
  | 'Unavailable'
  /** An answer that the protocol does not have. */
  | 'Protocol'
  /** A secret that holds no user name and password. */
  | 'SecretMalformed';

export interface OracleErrorOptions extends ErrorOptions {
  /** When it may be asked again, where the other side says so. */
  readonly retryAfterMs?: number | undefined;
  /** The other side is there, and said so itself. */
  readonly isAnswered?: boolean;
}

/** The message names the step and says what to do; it holds no credential. */
export class OracleError extends Error {
  readonly step: OracleStep;
  readonly code: OracleErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly isAnswered: boolean;

  constructor(step: OracleStep, code: OracleErrorCode, message: string, options: OracleErrorOptions = {}) {
    super(`${step}: ${message}`, options);
    this.name = 'OracleError';
    this.step = step;
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.isAnswered = options.isAnswered ?? false;
  }

  /** Whether the same question may be answered otherwise a little later. */
  get isRetryable(): boolean {
    return this.code === 'Limited' || this.code === 'Timeout' || this.code === 'Unavailable';
  }
}

/** The surroundings or the settings do not hold what is needed; the message says which, and holds no value of theirs. */
export const misconfigured = (message: string): OracleError =>
  new OracleError('configuration', 'Misconfigured', message);
