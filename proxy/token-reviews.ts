import { LRUCache } from 'lru-cache';
import { ProxyError } from '../platform/errors.ts';
import { type CallOrigin, tokenDigest } from './caller.ts';
import { RateLimit } from './rate-limit.ts';
import { ReviewCache } from './review-cache.ts';
import { readClaims } from './service-account-token.ts';

/** The part of the Kubernetes API that reviews need. */
export interface ReviewClient {
  post<T>(path: string, body: unknown, options?: { signal?: AbortSignal }): Promise<T>;
}

/** Whose a token is (UserInfo of authentication.k8s.io/v1). */
export interface Identity {
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
  /** Node of the pod that the token is bound to. */
  readonly node: string | undefined;
}

export interface TokenReviewsOptions {
  readonly client: ReviewClient;
  /** The only audience that counts. */
  readonly audience: string;
  /** The only subjects that count; any where absent. */
  readonly subjects?: readonly string[];
  /** How many tokens are remembered. */
  readonly max?: number;
  /** How long a token that was accepted counts without asking again. */
  readonly acceptedMs?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** How long the API server may take. */
  readonly askMs?: number;
  /** Told of each review that was asked for. */
  readonly onReview?: (result: 'accepted' | 'refused' | 'failed') => void;
}

interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly audiences?: readonly string[];
    readonly user?: {
      readonly username?: string;
      readonly uid?: string;
      readonly groups?: readonly string[];
      readonly extra?: Readonly<Record<string, readonly string[]>>;
    };
  };
}

/** `identity` is undefined for a token that is nobody's. */
interface Reviewed {
  readonly identity: Identity | undefined;
  /** The token's own, milliseconds since the epoch. */
  readonly expiresAt: number;
}

const path = '/apis/authentication.k8s.io/v1/tokenreviews';
const nodeClaim = 'authentication.kubernetes.io/node-name';
const defaultMax = 20_000;
const originsMax = 65_536;
/** A token may be withdrawn before it expires, with the pod or the Secret that it is bound to. */
const defaultAcceptedMs = 30_000;
const refusedMs = 10_000;
/** What one node, or one pod, may cost the API server in tokens never seen before. */
const reviewsPerSecond = 20;
const reviewsBurst = 200;
/** What all of them together may. */
const allPerSecond = 200;
const allBurst = 1000;

/**
 * Finds out whose tokens are, by TokenReview. What cannot be a token for us is turned away without asking; what is asked
 * is remembered, and asked once at a time. With the API server away, a token that was accepted before is good until it
 * expires.
 */
export class TokenReviews {
  readonly #options: TokenReviewsOptions;
  readonly #now: () => number;
  readonly #reviews: ReviewCache<Reviewed>;
  readonly #goodOrigins = new LRUCache<string, true>({ max: originsMax });
  readonly #limitOfOne: RateLimit;
  readonly #limitOfAll: RateLimit;

  constructor(options: TokenReviewsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const { max = defaultMax, acceptedMs = defaultAcceptedMs } = options;
    this.#reviews = new ReviewCache({
      max,
      isYes: ({ identity }) => identity !== undefined,
      now: this.#now,
      freshMs: ({ identity }) => (identity === undefined ? refusedMs : acceptedMs),
      staleUntil: ({ identity, expiresAt }, askedAt) => (identity === undefined ? askedAt + refusedMs : expiresAt),
      unavailable: 'the API server cannot be asked at present whose token this is',
      ...(options.askMs !== undefined && { askMs: options.askMs }),
    });
    this.#limitOfOne = new RateLimit({ perSecond: reviewsPerSecond, burst: reviewsBurst, now: this.#now });
    this.#limitOfAll = new RateLimit({ perSecond: allPerSecond, burst: allBurst, now: this.#now });
  }

  /**
   * Undefined for a token that is nobody's.
   * @throws ProxyError CALLER_LIMITED, or ACCESS_UNAVAILABLE where the API server cannot be asked
   */
  async identify(token: string, origin: CallOrigin, signal: AbortSignal): Promise<Identity | undefined> {
    const claims = readClaims(token);
    const isExpired = claims === undefined || claims.expiresAt <= this.#now();
    if (isExpired || !claims.audiences.includes(this.#options.audience)) return undefined;
    const { subjects } = this.#options;
    if (subjects !== undefined && !subjects.some((subject) => subject === claims.subject)) return undefined;
    const key = tokenDigest(token);
    // Whoever was accepted before is asked about again as often as needed; garbage is not, however often it comes.
    if (this.#reviews.last(key)?.identity === undefined && this.#reviews.isDue(key)) this.#limit(origin);
    const { expiresAt } = claims;
    const { identity } = await this.#reviews.get(key, signal, async (shared) => ({
      identity: await this.#review(token, shared),
      expiresAt,
    }));
    if (identity !== undefined) this.#goodOrigins.set(origin.node ?? origin.address, true);
    return identity;
  }

  #limit({ address, node }: CallOrigin): void {
    const key = node ?? address;
    // Where tokens come from that are somebody's, garbage from elsewhere must not use up what is for all.
    if (this.#limitOfOne.take(key) && (this.#goodOrigins.has(key) || this.#limitOfAll.take(''))) return;
    throw new ProxyError('CALLER_LIMITED', 'too many tokens that are not known yet: try again in a second', {
      headers: { 'retry-after': '1' },
    });
  }

  async #review(token: string, signal: AbortSignal): Promise<Identity | undefined> {
    const { client, audience, onReview } = this.#options;
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [audience] },
    };
    try {
      const { status } = await client.post<TokenReview>(path, body, { signal });
      const user = status?.user;
      // An API server whose authenticators know no audiences would accept a token that is for somebody else.
      const isOurs = status?.authenticated === true && status.audiences?.includes(audience) === true;
      const identity = isOurs && user?.username ? identityOf(user.username, user) : undefined;
      onReview?.(identity === undefined ? 'refused' : 'accepted');
      return identity;
    } catch (error) {
      onReview?.('failed');
      throw error;
    }
  }
}

function identityOf(
  username: string,
  { uid = '', groups = [], extra = {} }: NonNullable<NonNullable<TokenReview['status']>['user']>,
): Identity {
  return Object.freeze({ username, uid, groups, extra, node: extra[nodeClaim]?.[0] });
}
