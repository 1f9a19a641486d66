import { withDeadline } from './deadline.ts';
import { KubernetesError } from './error.ts';
import { heldBy, type Lease, released } from './lease-record.ts';
import { resources } from './object.ts';
import { realTimers, sleepWith, type Timers } from './timers.ts';
import type { KubernetesClient } from './verbs.ts';

export interface LeaderElectionOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'create' | 'replace'>;
  readonly namespace: string;
  /** The name of the Lease. */
  readonly name: string;
  /** Unlike that of every other candidate: the name of the pod. */
  readonly identity: string;
  /** How long the others wait after the last renewal that they saw; 15,000 when absent. */
  readonly leaseMs?: number;
  /** A leader that could not renew for so long stops; less than `leaseMs`; 10,000 when absent. */
  readonly renewMs?: number;
  /** Between attempts; 2,000 when absent. */
  readonly retryMs?: number;
  /** The work of a leader. The signal aborts before the lease can be another's. */
  readonly onStarted: (signal: AbortSignal) => void | Promise<void>;
  /** Called once the signal has aborted and the work has ended. */
  readonly onStopped?: () => void;
  readonly onError?: (error: unknown) => void;
  /** Milliseconds since the epoch, for what is written in the Lease; nothing is decided by it. */
  readonly now?: () => number;
  readonly random?: () => number;
  readonly timers?: Timers;
}

export interface LeaderElection extends AsyncDisposable {
  readonly isLeader: boolean;
  /** Who holds the lease as far as was seen; empty when nobody does. */
  readonly leader: string;
  /** Stops the work, waits for its end, and gives the lease back so that another takes over at once. */
  close(): Promise<void>;
}

/**
 * Takes part in an election by a Lease, as client-go does: a lease is over when its record has not changed for its
 * duration by the candidate's own clock, so that clocks may differ. A leader that lost the lease is a candidate again.
 */
export function startLeaderElection(options: LeaderElectionOptions): LeaderElection {
  return new LeaseElection(options);
}

class LeaseElection implements LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #timers: Timers;
  readonly #leaseMs: number;
  readonly #renewMs: number;
  readonly #retryMs: number;
  readonly #abort = new AbortController();
  readonly #course: Promise<void>;
  /** The Lease as it was last seen, and when that was by our clock. */
  #seen: { readonly lease: Lease; readonly at: number } | undefined;
  #term: AbortController | undefined;

  constructor(options: LeaderElectionOptions) {
    const { leaseMs = 15_000, renewMs = 10_000, retryMs = 2000, timers = realTimers } = options;
    if (!(retryMs < renewMs && renewMs < leaseMs)) throw new RangeError('retryMs < renewMs < leaseMs does not hold');
    this.#options = options;
    this.#timers = timers;
    [this.#leaseMs, this.#renewMs, this.#retryMs] = [leaseMs, renewMs, retryMs];
    this.#course = this.#run();
  }

  get isLeader(): boolean {
    return this.#term?.signal.aborted === false;
  }

  get leader(): string {
    return this.#seen?.lease.spec?.holderIdentity ?? '';
  }

  async close(): Promise<void> {
    this.#abort.abort(new DOMException('the election is over', 'AbortError'));
    await this.#course;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const askedAt = this.#timers.now();
      const isHeld = await this.#attempt(signal);
      // Whoever is told to end just as it gets the lease must not begin: nobody would tell it again.
      if (isHeld && signal.aborted) await this.#release();
      else if (isHeld) await this.#lead(askedAt);
      // Also after a term: work that fails at once must not take the lease over and over.
      await sleepWith(this.#timers, this.#candidateWaitMs(), signal).catch(() => {});
    }
  }

  async #lead(acquiredAt: number): Promise<void> {
    const { onStarted, onStopped, onError } = this.#options;
    const term = new AbortController();
    const stop = (): void => term.abort(new DOMException('the lease is no longer held', 'AbortError'));
    this.#abort.signal.addEventListener('abort', stop, { once: true });
    this.#term = term;
    let hasFailed = false;
    const work = (async () => onStarted(term.signal))().catch((error: unknown) => {
      if (term.signal.aborted) return;
      onError?.(error);
      // A leader that does nothing must not keep others from leading.
      hasFailed = true;
      stop();
    });
    await this.#renewUntilLost(acquiredAt, term);
    stop();
    this.#abort.signal.removeEventListener('abort', stop);
    await work;
    onStopped?.();
    if (hasFailed || this.#abort.signal.aborted) await this.#release();
  }

  /** The deadline counts from when the last renewal was ASKED for: the others count from when it was done. */
  async #renewUntilLost(acquiredAt: number, term: AbortController): Promise<void> {
    const { signal } = term;
    const deadlineFrom = (askedAt: number): (() => void) =>
      this.#timers.after(askedAt + this.#renewMs - this.#timers.now(), () => term.abort(new Error('renewal is late')));
    let cancel = deadlineFrom(acquiredAt);
    while (!signal.aborted) {
      await sleepWith(this.#timers, this.#retryMs, signal).catch(() => {});
      if (signal.aborted) break;
      const askedAt = this.#timers.now();
      const isHeld = await this.#attempt(signal);
      if (signal.aborted) break;
      if (isHeld) {
        cancel();
        cancel = deadlineFrom(askedAt);
      } else if (this.leader !== this.#options.identity) {
        break;
      }
    }
    cancel();
  }

  /** Takes or renews the lease if that can be done now. */
  async #attempt(signal: AbortSignal): Promise<boolean> {
    try {
      // An attempt that hangs must not use up the time of the next one.
      return await withDeadline([signal], this.#renewMs / 2, (either) => this.#takeOrRenew(either), this.#timers);
    } catch (error) {
      const isLostRace = error instanceof KubernetesError && /^(Conflict|AlreadyExists)$/.test(error.reason);
      if (!signal.aborted && !isLostRace) this.#options.onError?.(error);
      return false;
    }
  }

  async #takeOrRenew(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, name, identity, now = Date.now } = this.#options;
    const lease = await client.get<Lease>(resources.leases, { namespace, name }, { signal });
    if (lease === undefined) {
      const spec = heldBy(identity, this.#leaseMs, now(), undefined);
      this.#see(await client.create<Lease>(resources.leases, { metadata: { namespace, name }, spec }, { signal }));
      return true;
    }
    if (lease.metadata.resourceVersion !== this.#seen?.lease.metadata.resourceVersion) this.#see(lease);
    if (this.leader !== identity && this.leader !== '' && this.#remainingMs() > 0) return false;
    const spec = heldBy(identity, this.#leaseMs, now(), lease.spec);
    this.#see(await client.replace<Lease>(resources.leases, { ...lease, spec }, { signal }));
    return true;
  }

  async #release(): Promise<void> {
    const { client, identity, now = Date.now, onError } = this.#options;
    const lease = this.#seen?.lease;
    if (lease?.spec === undefined || this.leader !== identity) return;
    try {
      const signal = AbortSignal.timeout(5000);
      await client.replace<Lease>(resources.leases, { ...lease, spec: released(lease.spec, now()) }, { signal });
    } catch (error) {
      // It was another's by then, or runs out by itself.
      onError?.(error);
    }
  }

  #see(lease: Lease): void {
    this.#seen = { lease, at: this.#timers.now() };
  }

  /** How long the lease of another is still his, by our clock. */
  #remainingMs(): number {
    if (this.#seen === undefined) return 0;
    const durationMs = (this.#seen.lease.spec?.leaseDurationSeconds ?? 0) * 1000;
    return this.#seen.at + durationMs - this.#timers.now();
  }

  /** Candidates do not ask all at once, and ask when the lease runs out rather than some time after. */
  #candidateWaitMs(): number {
    const { random = Math.random } = this.#options;
    const wait = this.#retryMs * (1 + random() / 2);
    const remaining = this.leader === '' ? 0 : this.#remainingMs();
    return remaining > 0 ? Math.min(wait, remaining + random() * 100) : wait;
  }
}
