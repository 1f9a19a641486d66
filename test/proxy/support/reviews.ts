import { randomBytes } from 'node:crypto';
import { callerAudience } from '../../../connectors/pull-identity.ts';
import type { ReviewClient } from '../../../proxy/token-reviews.ts';

export interface TokenOptions {
  /** `aud`; by default callers'. */
  readonly audiences?: readonly string[];
  /** `exp`, milliseconds since the epoch; by default in an hour. */
  readonly expiresAt?: number;
  /** `sub`; none by default. */
  readonly subject?: string;
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A text that has the shape of a service account's token; whose it is, only `FakeApiServer` says. */
export function makeToken({
  audiences = [callerAudience],
  expiresAt = Date.now() + 3_600_000,
  subject: sub,
}: TokenOptions = {}) {
  const claims = { aud: audiences, exp: Math.floor(expiresAt / 1000), sub, jti: randomBytes(12).toString('hex') };
  return `${encode({ alg: 'RS256' })}.${encode(claims)}.${randomBytes(32).toString('base64url')}`;
}

export interface Account {
  readonly username: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  /** What the token is for, whatever it says of itself. */
  readonly audiences?: readonly string[];
}

interface Review {
  readonly kind: string;
  // biome-ignore lint/suspicious/noExplicitAny: bodies are compared, and read in tests only.
  readonly spec: any;
}

export const nodeExtra = (node: string) => ({ 'authentication.kubernetes.io/node-name': [node] });

/** Answers TokenReviews and SubjectAccessReviews from tables, or fails, or hangs. */
export class FakeApiServer implements ReviewClient {
  readonly accounts = new Map<string, Account>();
  /** `user verb namespace/name`; undefined: everybody may pull everything. */
  rights: Set<string> | undefined;
  state: 'up' | 'away' | 'hanging' = 'up';
  readonly reviews: Review[] = [];

  /** A token of an account that is known from now on. */
  login(account: Account, options: TokenOptions = {}): string {
    const token = makeToken(options);
    this.accounts.set(token, { audiences: options.audiences ?? [callerAudience], ...account });
    return token;
  }

  reviewsOf(kind: 'TokenReview' | 'SubjectAccessReview'): Review[] {
    return this.reviews.filter((review) => review.kind === kind);
  }

  async post<T>(_path: string, body: unknown, { signal }: { signal?: AbortSignal } = {}): Promise<T> {
    const review = body as Review;
    this.reviews.push(review);
    // Nobody answers at once.
    await Promise.resolve();
    if (this.state === 'away') throw new Error('connect ECONNREFUSED');
    if (this.state === 'hanging') await aborted(signal);
    return { status: review.kind === 'TokenReview' ? this.#whose(review) : this.#may(review) } as T;
  }

  #whose({ spec }: Review): object {
    const account = this.accounts.get(spec.token);
    const audiences = account?.audiences?.filter((audience) => spec.audiences.includes(audience)) ?? [];
    if (account === undefined || audiences.length === 0) return { authenticated: false };
    const { username, uid = 'u1', groups = [], extra = {} } = account;
    return { authenticated: true, audiences, user: { username, uid, groups, extra } };
  }

  #may({ spec }: Review): object {
    const { namespace, name, verb } = spec.resourceAttributes;
    return { allowed: this.rights?.has(`${spec.user} ${verb} ${namespace}/${name}`) ?? true };
  }
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
