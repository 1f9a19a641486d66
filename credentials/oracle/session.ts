import { createPrivateKey, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { readJwt } from '../../platform/jwt.ts';
import { SharedFlight } from '../../platform/shared-flight.ts';
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

/** The session of a principal, opened when it is first needed, by one caller for all, and again before it expires. */
export class Sessions {
  readonly #open: (signal: AbortSignal) => Promise<Session>;
  readonly #now: () => number;
  readonly #flight = new SharedFlight<Session>();
  #current: { readonly session: Session; readonly goodUntil: number } | undefined;

  constructor(open: (signal: AbortSignal) => Promise<Session>, now: () => number) {
    this.#open = open;
    this.#now = now;
  }

  async current(signal: AbortSignal): Promise<Session> {
    const known = this.#current;
    return known !== undefined && known.goodUntil > this.#now() ? known.session : this.#renew(signal);
  }

  /** A session in place of `refused`, unless somebody has got one in the meantime. */
  async renewed(refused: Session, signal: AbortSignal): Promise<Session> {
    if (this.#current?.session === refused) this.#current = undefined;
    return this.current(signal);
  }

  #renew(signal: AbortSignal): Promise<Session> {
    return this.#flight.run('session', signal, async (shared) => {
      const startedAt = this.#now();
      const session = await this.#open(shared);
      this.#current = { session, goodUntil: goodUntil(session, startedAt) };
      return session;
    });
  }
}

function goodUntil({ expiresAt }: Session, startedAt: number): number {
  if (expiresAt === undefined) return Number.POSITIVE_INFINITY;
  return expiresAt - Math.min(Math.max(expiresAt - startedAt, 0) * earlyPart, earlyMsMax);
}
