export interface ProviderErrorOptions extends ErrorOptions {
  readonly exitCode?: 1 | 2;
  readonly isRetryable?: boolean;
}

/** Why the kubelet gets no credential: exit code 2 where people have to mend command line or configuration, else 1. */
export class ProviderError extends Error {
  readonly exitCode: 1 | 2;
  /** Whether the same question may be answered otherwise a little later. */
  readonly isRetryable: boolean;

  /** The message goes to the log and to the kubelet's: it holds no credential, and says what to do. */
  constructor(message: string, options: ProviderErrorOptions = {}) {
    super(message, options);
    this.name = 'ProviderError';
    this.exitCode = options.exitCode ?? 1;
    this.isRetryable = options.isRetryable ?? false;
  }
}

export const isRetryable = (error: unknown): boolean =>
  error instanceof Error && 'isRetryable' in error && error.isRetryable === true;
