import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import { connectorGroup } from '../connectors/schema.ts';
import type { Action } from '../credentials/grant.ts';
import { ProxyError } from '../platform/errors.ts';
import { RateLimit } from './rate-limit.ts';
import { ReviewCache } from './review-cache.ts';
import type { Identity, ReviewClient } from './token-reviews.ts';

/** The verbs on `connectors/proxy` that an action needs, all of them. */
const verbs: Readonly<Record<Action, readonly string[]>> = {
  pull: ['get'],
  push: ['create', 'update'],
  delete: ['delete'],
};

const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
const defaultMax = 50_000;
/** Rights may be withdrawn; and a right that was missing is waited for, by somebody who has just been given it. */
const allowedMs = 30_000;
const deniedMs = 5_000;
/** With the API server away, a right is good for as long as a token lives. */
const staleMs = 3_600_000;
const subjectsMax = 20_000;
/** What one identity may cost the API server in rights that it is not known to have. */
const reviewsPerSecond = 20;
const reviewsBurst = 100;
/** What all those together may that are not known to have any right. */
const allPerSecond = 200;
const allBurst = 1000;

export interface AccessReviewsOptions {
  readonly client: ReviewClient;
  /** How many answers are remembered. */
  readonly max?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

interface SubjectAccessReview {
  readonly status?: { readonly allowed?: boolean; readonly denied?: boolean };
}

/**
 * Asks Kubernetes what an identity may do with a connector: SubjectAccessReview on the subresource `connectors/proxy`.
 * Whoever names ever new connectors is asked about only so often; what was allowed before is asked again as needed.
 */
export class AccessReviews {
  readonly #client: ReviewClient;
  readonly #reviews: ReviewCache<boolean>;
  readonly #goodSubjects = new LRUCache<string, true>({ max: subjectsMax });
  readonly #limitOfOne: RateLimit;
  readonly #limitOfAll: RateLimit;

  constructor({ client, max = defaultMax, now = Date.now }: AccessReviewsOptions) {
    this.#client = client;
    this.#reviews = new ReviewCache<boolean>({
      max,
      isYes: (isAllowed) => isAllowed,
      now,
      freshMs: (isAllowed) => (isAllowed ? allowedMs : deniedMs),
      staleUntil: (isAllowed, askedAt) => askedAt + (isAllowed ? staleMs : deniedMs),
      unavailable: 'the API server cannot be asked at present who may use it',
    });
    this.#limitOfOne = new RateLimit({ perSecond: reviewsPerSecond, burst: reviewsBurst, now });
    this.#limitOfAll = new RateLimit({ perSecond: allPerSecond, burst: allBurst, now });
  }

  /** @throws ProxyError CALLER_LIMITED, or ACCESS_UNAVAILABLE where the API server cannot be asked */
  async may(identity: Identity, action: Action, connector: ConnectorKey, signal: AbortSignal): Promise<boolean> {
    const subject = subjectOf(identity);
    const keys = verbs[action].map((verb) => ({ verb, key: `${subject}\n${verb}\n${formatKey(connector)}` }));
    // All of them before the first is asked.
    for (const { key } of keys) {
      if (this.#reviews.last(key) !== true && this.#reviews.isDue(key)) this.#limit(subject, identity);
    }
    const answers = await Promise.all(
      keys.map(({ verb, key }) =>
        this.#reviews.get(key, signal, (shared) => this.#review(identity, verb, connector, shared)),
      ),
    );
    const isAllowed = answers.every((answer) => answer);
    if (isAllowed) this.#goodSubjects.set(subject, true);
    return isAllowed;
  }

  #limit(subject: string, { username }: Identity): void {
    // What is for all must not be used up by strangers for those who have rights.
    if (this.#limitOfOne.take(subject) && (this.#goodSubjects.has(subject) || this.#limitOfAll.take(''))) return;
    throw new ProxyError(
      'CALLER_LIMITED',
      'too many connectors that are not known to be yours: try again in a second',
      {
        headers: { 'retry-after': '1' },
        caller: username,
      },
    );
  }

  async #review(identity: Identity, verb: string, { namespace, name }: ConnectorKey, signal: AbortSignal) {
    const { username: user, uid, groups, extra } = identity;
    const resourceAttributes = {
      group: connectorGroup,
      resource: 'connectors',
      subresource: 'proxy',
      namespace,
      name,
      verb,
    };
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user, uid, groups, extra, resourceAttributes },
    };
    const { status } = await this.#client.post<SubjectAccessReview>(path, body, { signal });
    return status?.allowed === true && status.denied !== true;
  }
}

/**
 * All that an authorizer may decide by, but for what differs from token to token of one account: the id of the token,
 * and the pod that it is bound to. RBAC looks at none of those.
 */
function subjectOf({ username, uid, groups, extra }: Identity): string {
  const lasting = Object.entries(extra).filter(([name]) => !perToken.has(name));
  return hash('sha256', JSON.stringify([username, uid, [...groups].sort(), lasting.sort()]));
}

const perToken: ReadonlySet<string> = new Set([
  'authentication.kubernetes.io/credential-id',
  'authentication.kubernetes.io/pod-name',
  'authentication.kubernetes.io/pod-uid',
]);
