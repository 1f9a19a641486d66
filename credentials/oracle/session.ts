import { createPrivateKey, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { readJwt } from '../../platform/jwt.ts';
import { SharedFlight } from '../../platform/shared-flight.ts';
import { OracleError } from './errors.ts';
import type { PrincipalKind } from './oracle.ts';

/** What requests are signed with. */
export interface Session {
  /** `ST$<token>`, or `<tenancy>/<user>/<fingerprint>`. */
  readonly keyId: string;
  /** PEM of an RSA key, not encrypted. It never leaves the process. */
  readonly privateKey: string;
  /** Milliseconds since the epoch; undefined for what does not expire. */
  readonly expiresAt: number | undefined;
  /** Of the session token, which nobody has verified; empty where there is none. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** One way of proving who we are. */
export interface Principal {
  readonly kind: PrincipalKind;
  /** Why the surroundings do not speak for it, in words; undefined where they do. */
  absence(signal: AbortSignal): Promise<string | undefined>;
  /**
   * A new session.
   * @throws OracleError
   */
  openSession(signal: AbortSignal): Promise<Session>;
}

/** A session of a token: `ST$` before it is optional. Undefined for what no request could be signed in the name of. */
export function tokenSession(token: string, privateKey: string): Session | undefined {
  const plain = token.trim().replace(/^ST\$/, '');
  // It stands in a header, between quotation marks.
  if (!/^[A-Za-z0-9._~+/=-]+$/.test(plain) || plain === 'undefined') return undefined;
  const claims = readJwt(plain)?.claims ?? {};
  const expiresAt = typeof claims['exp'] === 'number' ? claims['exp'] * 1000 : undefined;
  return { keyId: `ST$${plain}`, privateKey, expiresAt, claims };
}

/** An RSA key in the one form that the SDK's signer is given; undefined for what cannot be read as one. */
export function readRsaKey(pem: string, passphrase?: string | undefined): string | undefined {
  try {
    const key = createPrivateKey({ key: pem, ...(passphrase ? { passphrase } : {}) });
    if (key.asymmetricKeyType !== 'rsa') return undefined;
    return key.export({ type: 'pkcs8', format: 'pem' }).toString();
  } catch {
    return undefined;
  }
}

export interface SessionKey {
  /** PEM, SPKI */
  readonly publicKey: string;
  /** PEM, PKCS#8 */
  readonly privateKey: string;
}

/** The key that a new session token is bound to. */
export const makeSessionKey = (): Promise<SessionKey> =>
  promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });

/** A PEM text without its frame and line breaks. */
export const bodyOfPem = (pem: string): string => pem.replace(/-----[^-]+-----|\s/g, '');

/** A token is renewed when a tenth of its life is left, at most a minute. */
const earlyPart = 0.1;
const earlyMsMax = 60_000;
/** The longest life of a session, and of what is given in its name, whatever they say. */
export const lifeMsMax = 24 * 60 * 60_000;
/**
 * A session that is younger is not replaced because a service refuses it. It is the session of the whole process, and
 * whoever names a host that knows nobody would have a new one opened with each attempt.
 */
const renewalGapMs = 60_000;
/** After a session could not be opened none is for a while: as long as the other side says, within bounds. */
const pauseMsMin = 10_000;
const pauseMsMax = 60_000;

interface Current {
  readonly session: Session;
  readonly openedAt: number;
  /** When another is to be opened. */
  readonly goodUntil: number;
}

/**
 * The session of a principal, opened when it is first needed, by one caller for all, and again before it expires. It is
 * kept until its successor is there.
 */
export class Sessions {
  readonly #open: (signal: AbortSignal) => Promise<Session>;
  readonly #now: () => number;
  readonly #flight = new SharedFlight<Session>();
  #current: Current | undefined;
  #failure: { readonly error: OracleError; readonly pauseUntil: number } | undefined;

  constructor(open: (signal: AbortSignal) => Promise<Session>, now: () => number) {
    this.#open = open;
    this.#now = now;
  }

  async current(signal: AbortSignal): Promise<Session> {
    const known = this.#current;
    return known !== undefined && known.goodUntil > this.#now() ? known.session : this.#renew(signal);
  }

  /**
   * A session in place of `refused`, unless somebody has got one in the meantime; `refused` itself where it is too young
   * to be replaced, or nobody opens another at the moment.
   */
  async renewed(refused: Session, signal: AbortSignal): Promise<Session> {
    const known = this.#current;
    if (known?.session !== refused) return this.current(signal);
    return this.#now() < known.openedAt + renewalGapMs ? refused : this.#renew(signal);
  }

  async #renew(signal: AbortSignal): Promise<Session> {
    try {
      const failure = this.#failure;
      if (failure !== undefined && this.#now() < failure.pauseUntil) throw failure.error;
      return await this.#flight.run('session', signal, (shared) => this.#openNext(shared));
    } catch (error) {
      const known = this.#current?.session;
      const isPassing = error instanceof OracleError && error.isRetryable;
      if (known !== undefined && isPassing && !hasExpired(known, this.#now())) return known;
      throw error;
    }
  }

  async #openNext(signal: AbortSignal): Promise<Session> {
    const openedAt = this.#now();
    try {
      const session = bounded(await this.#open(signal), openedAt);
      this.#current = { session, openedAt, goodUntil: goodUntil(session, openedAt) };
      this.#failure = undefined;
      return session;
    } catch (error) {
      if (error instanceof OracleError && !signal.aborted) {
        const pauseMs = Math.min(Math.max(error.retryAfterMs ?? 0, pauseMsMin), pauseMsMax);
        this.#failure = { error, pauseUntil: this.#now() + pauseMs };
      }
      throw error;
    }
  }
}

/** A token may say any number for its end, also one that is no date. */
function bounded(session: Session, openedAt: number): Session {
  const { expiresAt } = session;
  if (expiresAt === undefined) return session;
  return { ...session, expiresAt: Math.min(Math.max(expiresAt, 0), openedAt + lifeMsMax) };
}

const hasExpired = ({ expiresAt }: Session, now: number): boolean => expiresAt !== undefined && expiresAt <= now;

function goodUntil({ expiresAt }: Session, openedAt: number): number {
  if (expiresAt === undefined) return Number.POSITIVE_INFINITY;
  return expiresAt - Math.min(Math.max(expiresAt - openedAt, 0) * earlyPart, earlyMsMax);
}
