import type { ResolvedConnector } from '../connectors/connector.ts';
import type { Connector } from '../connectors/schema.ts';
import { type CandidateSources, candidatesToProbe } from '../credentials/candidates.ts';
import { type Credential, redactAll } from '../credentials/credential.ts';
import type { AuthenticationOutcome } from '../credentials/probe-authentication.ts';
import { probeCandidates } from '../credentials/probe-candidates.ts';
import type { RegistryTransports } from '../credentials/registry-transports.ts';
import type { ProbeVerdicts } from './connector-status.ts';
import { ProbeLanes, type ProbeLanesOptions } from './probe-lanes.ts';
import { type Liveness, SharedLiveness } from './probe-liveness.ts';
import { type ProbePlan, planProbes, type Verdict, verdictOf } from './probe-plan.ts';
import { isTransient, nextProbeDelayMs } from './probe-schedule.ts';

export interface ProbeSubject {
  readonly connector: Connector;
  readonly resolved: ResolvedConnector;
}

/** A probe that was made, for metrics. */
export interface ProbeReport {
  /** `namespace/name`. */
  readonly connector: string;
  readonly probe: 'liveness' | 'authentication';
  /** `ok`, or the reason of the failure. */
  readonly result: string;
}

export interface ConnectorProberOptions {
  readonly transports: RegistryTransports;
  readonly sources: CandidateSources;
  /** The connector as it is now; undefined when it has gone. */
  readonly subject: (key: string) => ProbeSubject | undefined;
  /** Told when there are verdicts, or other ones than before. */
  readonly onVerdicts: (key: string) => void;
  readonly onProbe?: ((report: ProbeReport) => void) | undefined;
  /** Told of defects: a probe ends in a verdict whatever the registry does. */
  readonly onError?: ((error: unknown, key: string) => void) | undefined;
  readonly intervalMs: number;
  /** Of one probe. */
  readonly timeoutMs: number;
  /** How long a registry's answer counts for other connectors. */
  readonly freshMs: number;
  readonly lanes?: ProbeLanesOptions | undefined;
  readonly now: () => number;
  readonly random: () => number;
}

interface Probed {
  revision: string;
  verdicts: ProbeVerdicts | undefined;
  /** Milliseconds since the epoch. */
  dueAt: number;
  failures: number;
  isRunning: boolean;
  /** Credentials that the registry was shown, and may repeat. */
  readonly shown: Credential[];
}

interface Probing {
  readonly verdicts: ProbeVerdicts;
  readonly failure: { readonly reason: string; readonly retryAfterMs?: number } | undefined;
}

/** Probes connectors when they change and in their own time, and remembers what was found. */
export class ConnectorProber implements Disposable {
  readonly #options: ConnectorProberOptions;
  readonly #lanes: ProbeLanes;
  readonly #liveness: SharedLiveness;
  readonly #probed = new Map<string, Probed>();
  readonly #abort = new AbortController();

  constructor(options: ConnectorProberOptions) {
    this.#options = options;
    this.#lanes = new ProbeLanes(options.lanes);
    this.#liveness = new SharedLiveness(options);
  }

  /** What was found of the connector as it is; undefined as long as nothing was. */
  verdicts(key: string, revision: string): ProbeVerdicts | undefined {
    const probed = this.#probed.get(key);
    return probed?.revision === revision ? probed.verdicts : undefined;
  }

  /**
   * To be told of each connector when it appears or changes. One that is new here and `isKnown`, because its status
   * tells of a probe, waits for its turn within the interval; others that changed are probed at once.
   */
  observe(key: string, { resolved }: ProbeSubject, isKnown: boolean): void {
    const probed = this.#probed.get(key);
    if (probed?.revision === resolved.revision) return;
    const { now, random, intervalMs } = this.#options;
    const waitMs = probed === undefined && isKnown ? random() * intervalMs : 0;
    const next = { revision: resolved.revision, verdicts: undefined, dueAt: now() + waitMs, failures: 0 };
    this.#probed.set(key, Object.assign(probed ?? { isRunning: false, shown: [] }, next));
    if (waitMs === 0) this.#begin(key);
  }

  /** Whether a probe is under way, or waits for its turn. */
  isRunning(key: string): boolean {
    return this.#probed.get(key)?.isRunning === true;
  }

  forget(key: string): void {
    this.#probed.delete(key);
  }

  /** Begins what is due; to be called about every second. */
  tick(): void {
    const now = this.#options.now();
    for (const [key, { dueAt, isRunning }] of this.#probed) if (!isRunning && dueAt <= now) this.#begin(key);
  }

  [Symbol.dispose](): void {
    this.#abort.abort(new DOMException('the prober is closed', 'AbortError'));
    this.#lanes.clear();
    this.#probed.clear();
  }

  #begin(key: string): void {
    const probed = this.#probed.get(key);
    const subject = this.#options.subject(key);
    if (probed === undefined || probed.isRunning || subject === undefined) return;
    const plan = planProbes(subject.connector, subject.resolved);
    // Nothing can be asked, and nothing will change before the connector does.
    if (plan.liveness !== undefined) {
      probed.dueAt = Number.POSITIVE_INFINITY;
      return;
    }
    probed.isRunning = true;
    this.#lanes.run(subject.resolved.address.origin, () => this.#run(key, probed, subject, plan));
  }

  async #run(key: string, probed: Probed, subject: ProbeSubject, plan: ProbePlan): Promise<boolean> {
    try {
      const probing = await this.#probe(key, subject, plan, probed.shown);
      if (this.#abort.signal.aborted) return true;
      if (probed.revision === subject.resolved.revision) this.#keep(key, probed, probing);
      return probing.verdicts.liveness.status === 'True';
    } catch (error) {
      if (this.#abort.signal.aborted) return true;
      probed.dueAt = this.#options.now() + this.#options.intervalMs;
      this.#options.onError?.(error, key);
      return false;
    } finally {
      probed.isRunning = false;
      // It changed meanwhile: what was found is of no use.
      if (probed.revision !== subject.resolved.revision && this.#probed.get(key) === probed) this.#begin(key);
    }
  }

  async #probe(key: string, { resolved }: ProbeSubject, plan: ProbePlan, shown: Credential[]): Promise<Probing> {
    const { signal } = this.#abort;
    const { now, timeoutMs } = this.#options;
    const transport = this.#options.transports.for(resolved);
    const found = await this.#liveness.probe(transport, plan.credentials[0], signal);
    const liveness = found.ok ? found : withoutCredentials(found, [...plan.credentials, ...shown]);
    this.#report(key, 'liveness', liveness);
    if (!liveness.ok) return { verdicts: { liveness: failed(liveness), authentication: undefined }, failure: liveness };
    const alive = verdictOf('True', 'RegistryAlive', '');
    if (plan.authentication !== undefined) {
      return { verdicts: { liveness: alive, authentication: undefined }, failure: undefined };
    }
    const { repository } = plan;
    const candidates = candidatesToProbe(resolved, repository, this.#options.sources);
    const question = { transport, challenges: liveness.challenges, repository, candidates, shown, now };
    const outcome = await probeCandidates(question, { signal, timeoutMs });
    this.#report(key, 'authentication', outcome);
    const authentication = outcome.ok ? verdictOf('True', outcome.reason, outcome.message) : failed(outcome);
    const verdicts = { liveness: alive, authentication, detail: outcome.detail };
    return { verdicts, failure: outcome.ok ? undefined : outcome };
  }

  #keep(key: string, probed: Probed, { verdicts, failure }: Probing): void {
    const { now, random, intervalMs } = this.#options;
    const isFirstFailure = probed.failures === 0 && isTransient(failure?.reason);
    probed.failures = isTransient(failure?.reason) ? probed.failures + 1 : 0;
    probed.dueAt = now() + nextProbeDelayMs({ failures: probed.failures, intervalMs, failure, random });
    // A single timeout says little of a registry that was well: the second one, soon after, counts.
    if (isFirstFailure && wasWell(probed.verdicts)) return;
    const stable = stableVerdicts(probed.verdicts, verdicts);
    if (stable === probed.verdicts) return;
    probed.verdicts = stable;
    this.#options.onVerdicts(key);
  }

  #report(connector: string, probe: ProbeReport['probe'], outcome: Liveness | AuthenticationOutcome): void {
    this.#options.onProbe?.({ connector, probe, result: outcome.ok ? 'ok' : outcome.reason });
  }
}

const withoutCredentials = <T extends { readonly message: string }>(
  found: T,
  credentials: readonly Credential[],
): T => ({
  ...found,
  message: redactAll(found.message, credentials),
});

const failed = ({ reason, message }: { reason: string; message: string }): Verdict =>
  verdictOf('False', reason, message);

const wasWell = (verdicts: ProbeVerdicts | undefined): boolean =>
  verdicts?.liveness.status === 'True' && verdicts.authentication?.status !== 'False';

/**
 * `next`, or `previous` where only words differ: registries put request ids and times into what they say, and each would
 * be a write.
 */
function stableVerdicts(previous: ProbeVerdicts | undefined, next: ProbeVerdicts): ProbeVerdicts {
  if (previous === undefined) return next;
  const isSame =
    isSameVerdict(previous.liveness, next.liveness) &&
    isSameVerdict(previous.authentication, next.authentication) &&
    previous.detail === next.detail;
  return isSame ? previous : next;
}

const isSameVerdict = (a: Verdict | undefined, b: Verdict | undefined): boolean =>
  a?.status === b?.status && a?.reason === b?.reason;
