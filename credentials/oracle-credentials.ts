import { LRUCache } from 'lru-cache';
import { ProxyError } from '../platform/errors.ts';
import { SharedFlight } from '../platform/shared-flight.ts';
import type { Credential } from './credential.ts';
import { OracleError } from './oracle/errors.ts';
import { isOracleRegistry } from './oracle/hosts.ts';
import { type Oracle, type PrincipalKind, registryTokenUser } from './oracle/oracle.ts';
import { policySentence } from './oracle/policy.ts';

export interface OracleCredentialsOptions {
  readonly oracle: Oracle;
  /** Who that is, as it was configured. */
  readonly auth?: PrincipalKind | 'auto';
  /** Domains of registries besides those of Oracle's realms that are known: of a dedicated region. */
  readonly furtherDomains?: readonly string[];
  /** Whether registries of those domains may be without TLS: for development. */
  readonly isHttpAllowed?: boolean;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Latest versions are found within this time, and at once where the registry refuses the one that is known. */
const vaultRereadMs = 5 * 60_000;
/** Refusals come as often as callers make them. */
const rereadGapMs = 10_000;
/** A registry's token is asked for again with a fifth of its life left: Oracle may be away for a while. */
const renewAtPart = 0.8;
const rememberedMax = 2_000;

interface Remembered {
  readonly credential: Credential;
  readonly readAt: number;
  /** When it is to be read again. */
  readonly renewAt: number;
  /** Until when it is better than nothing. */
  readonly expiresAt: number;
}

interface Failure {
  readonly error: unknown;
  readonly until: number;
}

/**
 * Credentials that the identity of this process gets from Oracle's cloud, remembered. With Oracle away, what is known
 * goes on until it expires; what Oracle refuses is forgotten.
 */
export class OracleCredentials {
  /** What to look at where a registry refuses what this identity may get a token for. */
  readonly registryAdvice: string;
  readonly #oracle: Oracle;
  readonly #furtherDomains: readonly string[];
  readonly #isHttpAllowed: boolean;
  readonly #now: () => number;
  readonly #remembered = new LRUCache<string, Remembered>({ max: rememberedMax });
  readonly #failures = new LRUCache<string, Failure>({ max: rememberedMax });
  readonly #flights = new SharedFlight<Remembered>();

  constructor({
    oracle,
    auth = 'auto',
    furtherDomains = [],
    isHttpAllowed = false,
    now = Date.now,
  }: OracleCredentialsOptions) {
    this.registryAdvice = policySentence(auth, 'repos');
    this.#oracle = oracle;
    this.#furtherDomains = furtherDomains;
    this.#isHttpAllowed = isHttpAllowed;
    this.#now = now;
  }

  /**
   * A login to the registry at `origin`, which has to be Oracle's: nobody else may see such a token.
   * @param label the field of the Connector that wants it
   * @throws ProxyError
   */
  async registry(origin: string, label: string, signal: AbortSignal, isFresh = false): Promise<Credential> {
    const { host, protocol } = new URL(origin);
    const isSafe = protocol === 'https:' || (this.#isHttpAllowed && !isOracleRegistry(host));
    if (!isOracleRegistry(host, this.#furtherDomains) || !isSafe) {
      const message = `SourceForbidden: ${label}: ${origin} is no registry of Oracle’s by HTTPS, and a token of Oracle’s is for no other`;
      throw new ProxyError('CONNECTOR_UNUSABLE', message);
    }
    return this.#read(`registry ${host}`, label, signal, isFresh, async (shared) => {
      const startedAt = this.#now();
      const { token, expiresAt } = await this.#oracle.registryToken(host, shared);
      const renewAt = startedAt + (expiresAt - startedAt) * renewAtPart;
      const credential: Credential = { kind: 'password', username: registryTokenUser, password: token };
      return { credential, readAt: startedAt, renewAt, expiresAt };
    });
  }

  /**
   * The latest version of a Vault secret.
   * @throws ProxyError
   */
  vault(secretId: string, label: string, signal: AbortSignal, isFresh = false): Promise<Credential> {
    return this.#read(`vault ${secretId}`, label, signal, isFresh, async (shared) => {
      const readAt = this.#now();
      const { username, password } = await this.#oracle.vaultSecret(secretId, shared);
      const credential: Credential = { kind: 'password', username, password };
      return { credential, readAt, renewAt: readAt + vaultRereadMs, expiresAt: Number.POSITIVE_INFINITY };
    });
  }

  close(): void {
    this.#remembered.clear();
    this.#oracle.close();
  }

  async #read(
    key: string,
    label: string,
    signal: AbortSignal,
    isFresh: boolean,
    read: (signal: AbortSignal) => Promise<Remembered>,
  ): Promise<Credential> {
    const known = this.#remembered.get(key);
    const now = this.#now();
    const isDue = known === undefined || now >= known.renewAt || (isFresh && now >= known.readAt + rereadGapMs);
    if (!isDue) return known.credential;
    const failure = this.#failures.get(key);
    const isPausing = failure !== undefined && now < failure.until;
    if (isPausing && known === undefined) throw explained(failure.error, label);
    if (isPausing && known !== undefined && now < known.expiresAt) return known.credential;
    try {
      const { credential } = await this.#flights.run(key, signal, (shared) => this.#ask(key, shared, read));
      return credential;
    } catch (error) {
      signal.throwIfAborted();
      if (known !== undefined && isPassing(error) && this.#now() < known.expiresAt) return known.credential;
      throw explained(error, label);
    }
  }

  async #ask(key: string, signal: AbortSignal, read: (signal: AbortSignal) => Promise<Remembered>) {
    try {
      const remembered = await read(signal);
      this.#remembered.set(key, remembered);
      this.#failures.delete(key);
      return remembered;
    } catch (error) {
      if (signal.aborted) throw error;
      if (!isPassing(error)) this.#remembered.delete(key);
      const retryAfterMs = error instanceof OracleError ? (error.retryAfterMs ?? 0) : 0;
      this.#failures.set(key, { error, until: this.#now() + Math.min(Math.max(retryAfterMs, rereadGapMs), 60_000) });
      throw error;
    }
  }
}

const isPassing = (error: unknown): boolean => error instanceof OracleError && error.isRetryable;

/** In the words of the one catalogue of errors. */
function explained(error: unknown, label: string): unknown {
  if (!(error instanceof OracleError)) return error;
  const message = `${label}: Oracle’s cloud, ${error.message}`;
  if (!error.isRetryable) return new ProxyError('CONNECTOR_UNUSABLE', `Oracle${error.code}: ${message}`);
  const seconds = Math.ceil((error.retryAfterMs ?? rereadGapMs) / 1000);
  const options = { cause: error, headers: { 'retry-after': String(seconds) } };
  const code = error.code === 'Limited' ? 'UPSTREAM_LIMITED' : 'UPSTREAM_UNREACHABLE';
  return new ProxyError(error.code === 'Timeout' ? 'UPSTREAM_TIMEOUT' : code, message, options);
}
