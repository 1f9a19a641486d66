import { LRUCache } from 'lru-cache';
import { ProxyError } from '../platform/errors.ts';
import type { Candidate } from './candidates.ts';
import { type Credential, isSameCredential, redactAll } from './credential.ts';
import type { Grant } from './grant.ts';
import { originOf, withOrigin } from './grant-origin.ts';
import type { PullTrial } from './pull-trial.ts';

export interface CredentialSequenceOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** One repository to be let into, and how to find out. */
export interface SequenceWant {
  /** Of connector, revision, repository and actions: what worked is remembered for it. */
  readonly key: string;
  readonly repository: string;
  readonly candidates: readonly Candidate[];
  /** @throws ProxyError CREDENTIAL_REFUSED where the registry does not take the credential */
  grantWith(credential: Credential, candidate: Candidate): Promise<Grant>;
  tryPull(grant: Grant, credential: Credential): Promise<PullTrial>;
}

const rememberedMax = 10_000;
/** What was refused lately comes last: a pull right that is proved says nothing of a push. */
const refusedMs = 60_000;
/** A repository that nobody is let into is not asked about again for this long. */
const deniedMs = 5_000;

/** What came of one candidate. */
type Outcome =
  | { readonly kind: 'granted' | 'unclear'; readonly grant: Grant }
  | { readonly kind: 'failed'; readonly message: string; readonly error: ProxyError };

/**
 * Tries the credentials of a connector in sequence until the registry lets the pull through, and remembers per repository
 * which one worked, until it fails.
 */
export class CredentialSequence {
  readonly #now: () => number;
  readonly #worked = new LRUCache<string, string>({ max: rememberedMax });
  readonly #refusedAt = new LRUCache<string, number>({ max: rememberedMax });
  readonly #denied = new LRUCache<string, { readonly error: ProxyError; readonly until: number }>({
    max: rememberedMax,
  });

  constructor({ now }: CredentialSequenceOptions) {
    this.#now = now;
  }

  /** The registry has refused what was granted with the credential of `label`: the others come before it now. */
  refused(key: string, label: string): void {
    this.#forget(key, label);
    this.#refusedAt.set(`${key}\n${label}`, this.#now());
  }

  /** Whether that was lately. */
  isRefused(key: string, label: string): boolean {
    const refusedAt = this.#refusedAt.get(`${key}\n${label}`);
    return refusedAt !== undefined && this.#now() - refusedAt < refusedMs;
  }

  /**
   * @throws ProxyError CREDENTIAL_REFUSED that says of each credential why not; what keeps the registry from being asked
   */
  async obtain(want: SequenceWant, signal: AbortSignal): Promise<Grant> {
    const { key } = want;
    const denied = this.#denied.get(key);
    if (denied !== undefined && this.#now() < denied.until) throw denied.error;
    const read: Credential[] = [];
    const failures: Extract<Outcome, { kind: 'failed' }>[] = [];
    let unclear: Grant | undefined;
    for (const candidate of this.#inOrder(want)) {
      const outcome = await this.#try(candidate, want, read, signal);
      if (outcome.kind === 'granted') {
        this.#worked.set(key, candidate.label);
        return outcome.grant;
      }
      if (outcome.kind === 'failed') failures.push(outcome);
      else unclear ??= outcome.grant;
    }
    // Where the repository is not there the registry says so itself; where it is hidden, others may see it.
    if (unclear !== undefined)
      return withOrigin(unclear, { credential: undefined, ...originOf(unclear), isUnproven: true });
    const error = summaryOf(want, failures, read);
    if (error.code === 'CREDENTIAL_REFUSED') this.#denied.set(key, { error, until: this.#now() + deniedMs });
    throw error;
  }

  #inOrder({ key, candidates }: SequenceWant): readonly Candidate[] {
    const worked = this.#worked.get(key);
    const rank = ({ label }: Candidate): number => {
      if (label === worked) return 0;
      return this.isRefused(key, label) ? 2 : 1;
    };
    return candidates.toSorted((a, b) => rank(a) - rank(b));
  }

  async #try(candidate: Candidate, want: SequenceWant, read: Credential[], signal: AbortSignal): Promise<Outcome> {
    let credential: Credential;
    try {
      credential = await candidate.read(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ProxyError) return { kind: 'failed', message: error.message, error };
      throw error;
    }
    read.push(credential);
    const first = await this.#judge(candidate, credential, want);
    if (first.kind !== 'failed' || !candidate.isRemote) return first;
    // It may have changed since it was read.
    const again = await candidate.read(signal, true).catch(() => credential);
    signal.throwIfAborted();
    if (isSameCredential(again, credential)) return first;
    read.push(again);
    return this.#judge(candidate, again, want);
  }

  async #judge(candidate: Candidate, credential: Credential, want: SequenceWant): Promise<Outcome> {
    const refusal = (said: string): Outcome => {
      const message = [`${candidate.label}: ${said}`, candidate.advice].filter((part) => part !== undefined).join('; ');
      this.#forget(want.key, candidate.label);
      return { kind: 'failed', message, error: new ProxyError('CREDENTIAL_REFUSED', message) };
    };
    let grant: Grant;
    try {
      grant = await want.grantWith(credential, candidate);
    } catch (error) {
      if (error instanceof ProxyError && error.code === 'CREDENTIAL_REFUSED') return refusal(error.message);
      throw error;
    }
    // One that worked goes on until it fails; without any authorization none is better than another.
    if (this.#worked.get(want.key) === candidate.label || grant.kind === 'anonymous') return { kind: 'granted', grant };
    const { verdict, message } = await want.tryPull(grant, credential);
    if (verdict === 'denied') return refusal(message);
    return { kind: verdict === 'allowed' ? 'granted' : 'unclear', grant };
  }

  #forget(key: string, label: string): void {
    if (this.#worked.get(key) === label) this.#worked.delete(key);
  }
}

/** A registry that learned one credential from us may repeat it when it refuses another. */
function summaryOf(
  { repository, candidates }: SequenceWant,
  failures: readonly Extract<Outcome, { kind: 'failed' }>[],
  read: readonly Credential[],
): ProxyError {
  const reasons = failures.map(({ message }) => redactAll(message, read));
  const message = `none of ${candidates.length} credentials lets the pull of ${repository} through: ${reasons.join(' | ')}`;
  // With a source away the next try may end otherwise.
  const passing = failures.find(({ error }) => error.code.startsWith('UPSTREAM_'))?.error;
  if (passing !== undefined) return new ProxyError(passing.code, message, { headers: passing.headers });
  const isUnread = read.length === 0;
  return new ProxyError(isUnread ? 'CONNECTOR_UNUSABLE' : 'CREDENTIAL_REFUSED', message);
}
