import { basicOf } from '../connectors/image-pull-secrets.ts';
import { policySentence } from '../credentials/oracle/policy.ts';
import type { PullTrial } from '../credentials/pull-trial.ts';
import type { Cache } from './cache.ts';
import type { Candidate, CandidateGroup } from './candidates.ts';
import type { Log } from './log.ts';
import type { Lent, Logins } from './logins.ts';
import { isRetryable } from './provider-error.ts';
import type { ProviderRequest } from './request.ts';
import type { Login } from './response.ts';
import type { ProviderSettings } from './settings.ts';
import { untrustedReason } from './untrusted.ts';

export interface SearchDependencies {
  readonly logins: Logins;
  /** Whether the registry of the image lets somebody pull it; throws where it cannot be asked. */
  readonly tryPull: (request: ProviderRequest, login: Login, signal: AbortSignal) => Promise<PullTrial>;
  readonly cache: Cache;
  readonly log: Log;
  readonly now: () => number;
}

/** As long as the kubelet may use an entry of the configuration without asking again. */
const entryMs = 5 * 60_000;
const workedMs = 24 * 3_600_000;

/** What a group of candidates comes to. */
export type Outcome =
  | { readonly kind: 'found'; readonly key: string; readonly login: Lent<Login>; readonly isSure: boolean }
  /** `isPassing`: a little later it may be otherwise. */
  | { readonly kind: 'none'; readonly reasons: readonly string[]; readonly isPassing: boolean };

/** What a single candidate comes to. */
type Tried =
  | { readonly kind: 'works'; readonly login: Lent<Login> }
  /** `isLast`: the registry cannot be asked, and so not about the next one either. */
  | { readonly kind: 'unclear'; readonly isLast: boolean }
  | { readonly kind: 'none'; readonly reason: string; readonly isPassing: boolean };

/** The search for the one credential that a group of candidates gives to an image. */
export class GroupSearch {
  readonly #key: string;
  readonly #candidates: readonly Candidate[];
  readonly #request: ProviderRequest;
  readonly #settings: ProviderSettings;
  readonly #dependencies: SearchDependencies;
  readonly #signal: AbortSignal;
  /** Of candidates that were come to, in that order; undefined for one that is none. */
  readonly #logins = new Map<Candidate, Lent<Login> | undefined>();
  readonly #reasons: string[] = [];
  #isPassing = false;
  #outcome: Outcome | undefined;

  constructor(
    { key, candidates }: CandidateGroup,
    request: ProviderRequest,
    settings: ProviderSettings,
    dependencies: SearchDependencies,
    signal: AbortSignal,
  ) {
    this.#key = key;
    this.#request = request;
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#signal = signal;
    this.#candidates = this.#lastWorkingFirst(candidates);
  }

  async run(): Promise<Outcome> {
    this.#outcome = await this.#search();
    return this.#outcome;
  }

  /** The same for who cannot wait any longer: what is not tried yet may have to do. */
  soFar(): Outcome {
    if (this.#outcome !== undefined) return this.#outcome;
    const logins = this.#candidates.map((candidate) =>
      this.#logins.has(candidate) ? this.#logins.get(candidate) : this.#basicLogin(candidate),
    );
    const reasons = [...this.#reasons, `${this.#key}: no answer in time`];
    return this.#untried(logins) ?? { kind: 'none', reasons, isPassing: true };
  }

  async #search(): Promise<Outcome> {
    const isTried = this.#candidates.length > 1 || this.#settings.principal.isTokenValidated;
    for (const candidate of this.#candidates) {
      const tried = await this.#tryCandidate(candidate, isTried);
      if (tried.kind === 'unclear' && tried.isLast) break;
      if (tried.kind === 'none') {
        this.#logins.set(candidate, undefined);
        this.#reasons.push(tried.reason);
        this.#isPassing ||= tried.isPassing;
      }
      if (tried.kind !== 'works') continue;
      if (this.#candidates.length > 1) await this.#remember(candidate);
      return { kind: 'found', key: this.#key, login: tried.login, isSure: true };
    }
    const none = { kind: 'none', reasons: this.#reasons, isPassing: this.#isPassing } as const;
    return this.#untried([...this.#logins.values()]) ?? none;
  }

  /** The first login of which nobody has said that it does not work. */
  #untried(logins: readonly (Lent<Login> | undefined)[]): Outcome | undefined {
    const login = logins.find((one) => one !== undefined);
    return login && { kind: 'found', key: this.#key, login, isSure: false };
  }

  async #tryCandidate(candidate: Candidate, isTried: boolean): Promise<Tried> {
    try {
      const login = await this.#loginOf(candidate, false);
      if (!isTried) return { kind: 'works', login };
      const tried = await this.#tryLogin(candidate, login);
      if (tried.kind !== 'none' || login.isKept !== true || candidate.kind === 'principal') return tried;
      const latest = await this.#loginOf(candidate, true);
      return latest.value.password === login.value.password ? tried : await this.#tryLogin(candidate, latest);
    } catch (error) {
      this.#signal.throwIfAborted();
      const reason = `${candidate.name}: ${error instanceof Error ? error.message : 'failed'}`;
      this.#dependencies.log.write('warn', 'no credential', { image: this.#request.image, reason });
      return { kind: 'none', reason, isPassing: isRetryable(error) };
    }
  }

  async #loginOf(candidate: Candidate, isAnew: boolean): Promise<Lent<Login>> {
    this.#logins.set(candidate, undefined);
    const login = this.#basicLogin(candidate) ?? (await this.#askLogin(candidate, isAnew));
    this.#logins.set(candidate, login);
    return login;
  }

  #basicLogin(candidate: Candidate): Lent<Login> | undefined {
    if (candidate.kind !== 'entry' || candidate.entry.secretType !== 'BASIC') return undefined;
    const basic = basicOf(candidate.entry);
    if (basic === undefined) return undefined;
    const { log, now } = this.#dependencies;
    log.conceal(basic.password, basic.username);
    return { value: basic, expiresAt: now() + entryMs };
  }

  async #askLogin(candidate: Candidate, isAnew: boolean): Promise<Lent<Login>> {
    const { logins } = this.#dependencies;
    if (candidate.kind === 'principal') {
      const { value, expiresAt } = await logins.registryToken(this.#request.host, this.#signal);
      return { value: { username: this.#settings.principal.username, password: value.token }, expiresAt };
    }
    const { value, ...rest } = await logins.vaultSecret(candidate.entry.secretId ?? '', this.#signal, isAnew);
    return { value: { username: value.username, password: value.password }, ...rest };
  }

  async #tryLogin(candidate: Candidate, login: Lent<Login>): Promise<Tried> {
    const { tryPull, log } = this.#dependencies;
    const about = { image: this.#request.image, candidate: candidate.name };
    try {
      const { verdict, message } = await tryPull(this.#request, login.value, this.#signal);
      log.write(verdict === 'denied' ? 'warn' : 'debug', 'tried', { ...about, verdict, reason: message });
      if (verdict === 'allowed') return { kind: 'works', login };
      if (verdict === 'unclear') return { kind: 'unclear', isLast: false };
      return { kind: 'none', reason: `${candidate.name}: ${message}${this.#adviceFor(candidate)}`, isPassing: false };
    } catch (error) {
      this.#signal.throwIfAborted();
      const reason = untrustedReason(error, this.#request.host) ?? (error instanceof Error ? error.message : 'failed');
      log.write('warn', 'the registry cannot be asked: the credential is handed over untried', { ...about, reason });
      return { kind: 'unclear', isLast: true };
    }
  }

  #adviceFor({ kind }: Candidate): string {
    return kind === 'principal' ? `; ${policySentence(this.#settings.principal.auth, 'repos')}` : '';
  }

  #lastWorkingFirst(candidates: readonly Candidate[]): readonly Candidate[] {
    if (candidates.length === 1) return candidates;
    const worked = this.#dependencies.cache.read('worked', this.#memory());
    const first = candidates.find(({ name }) => name === worked);
    return first === undefined ? candidates : [first, ...candidates.filter((candidate) => candidate !== first)];
  }

  async #remember({ name }: Candidate): Promise<void> {
    const { cache, now } = this.#dependencies;
    await cache.write('worked', this.#memory(), name, now() + workedMs);
  }

  #memory(): string {
    return JSON.stringify([this.#key, this.#request.registry, this.#request.repository]);
  }
}
