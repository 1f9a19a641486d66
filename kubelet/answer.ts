import { basicOf, isEntryFor } from '../connectors/image-pull-secrets.ts';
import type { PullTrial } from '../credentials/pull-trial.ts';
import type { Cache } from './cache.ts';
import { type Candidate, type CandidateGroup, candidateGroups } from './candidates.ts';
import type { Log } from './log.ts';
import type { Lent, Logins } from './logins.ts';
import { isRetryable, ProviderError } from './provider-error.ts';
import type { ProviderRequest } from './request.ts';
import type { Answer, Login } from './response.ts';
import type { ProviderSettings } from './settings.ts';

export interface AnswerDependencies {
  readonly logins: Logins;
  /** Whether the registry of the image lets somebody pull it; throws where it cannot be asked. */
  readonly tryPull: (request: ProviderRequest, login: Login, signal: AbortSignal) => Promise<PullTrial>;
  readonly isOracleRegistry: (host: string, furtherDomains?: readonly string[]) => boolean;
  readonly cache: Cache;
  readonly log: Log;
  readonly now: () => number;
}

/** The configuration may be another one then. */
const nothingMs = 10 * 60_000;
/** As long as the kubelet may use an entry of the configuration without asking again. */
const entryMs = 5 * 60_000;
const workedMs = 24 * 3_600_000;

/** What a group of candidates comes to. */
type Outcome =
  | { readonly kind: 'found'; readonly key: string; readonly login: Lent<Login>; readonly isSure: boolean }
  /** `isPassing`: a little later it may be otherwise. */
  | { readonly kind: 'none'; readonly reasons: readonly string[]; readonly isPassing: boolean };

/**
 * The credentials of an image: entries of the configuration, then the principal. The kubelet takes one for each key, and
 * tries key after key; where candidates share a key, the registry is asked which of them works.
 * @throws ProviderError where there are candidates and none of them gives a credential
 */
export async function findAnswer(
  request: ProviderRequest,
  settings: ProviderSettings,
  dependencies: AnswerDependencies,
  signal: AbortSignal,
): Promise<Answer> {
  const { principal, imagePullSecrets } = settings;
  const isPrincipals = dependencies.isOracleRegistry(request.host, principal.domains);
  const groups = candidateGroups(request, imagePullSecrets, isPrincipals);
  if (groups.length === 0) return nothingFor(request, settings, dependencies.now());
  const search = new Search(request, settings, dependencies, signal);
  const outcomes = await Promise.all(groups.map((group) => search.outcomeOf(group)));
  signal.throwIfAborted();
  const found = outcomes.filter((outcome) => outcome.kind === 'found');
  const failed = outcomes.filter((outcome) => outcome.kind === 'none');
  if (found.length === 0) throw new ProviderError(failed.flatMap(({ reasons }) => reasons).join('; '));
  const isKept = found.every(({ isSure }) => isSure) && !failed.some(({ isPassing }) => isPassing);
  const isForAll = !principal.isTokenValidated && !hasEntryOf(request, settings);
  return {
    cacheKeyType: isForAll ? 'Registry' : 'Image',
    expiresAt: isKept ? Math.min(...found.map(({ login }) => login.expiresAt)) : undefined,
    auth: Object.fromEntries(found.map(({ key, login }) => [key, login.value])),
  };
}

/** Which entries an image of a registry gets depends on its path. */
function hasEntryOf({ registry }: ProviderRequest, { imagePullSecrets }: ProviderSettings): boolean {
  return imagePullSecrets.some((entry) => {
    const host = entry.registryEndpoint.replace(/^https?:\/\//, '').replace(/\/.*$/s, '');
    return isEntryFor({ ...entry, registryEndpoint: host }, registry, '');
  });
}

function nothingFor(request: ProviderRequest, settings: ProviderSettings, now: number): Answer {
  return { cacheKeyType: hasEntryOf(request, settings) ? 'Image' : 'Registry', expiresAt: now + nothingMs, auth: {} };
}

/** What a single candidate comes to. */
type Tried =
  | { readonly kind: 'works'; readonly login: Lent<Login> }
  /** `isLast`: the registry cannot be asked, and so not about the next one either. */
  | { readonly kind: 'unclear'; readonly login: Lent<Login>; readonly isLast: boolean }
  | { readonly kind: 'none'; readonly reason: string; readonly isPassing: boolean };

class Search {
  readonly #request: ProviderRequest;
  readonly #settings: ProviderSettings;
  readonly #dependencies: AnswerDependencies;
  readonly #signal: AbortSignal;

  constructor(
    request: ProviderRequest,
    settings: ProviderSettings,
    dependencies: AnswerDependencies,
    signal: AbortSignal,
  ) {
    this.#request = request;
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#signal = signal;
  }

  async outcomeOf({ key, candidates }: CandidateGroup): Promise<Outcome> {
    const isTried = candidates.length > 1 || this.#settings.principal.isTokenValidated;
    const reasons: string[] = [];
    let isPassing = false;
    let unclear: Lent<Login> | undefined;
    for (const candidate of this.#lastWorkingFirst(key, candidates)) {
      const tried = await this.#tryCandidate(candidate, isTried);
      if (tried.kind === 'unclear') unclear ??= tried.login;
      if (tried.kind === 'none') reasons.push(tried.reason);
      isPassing ||= tried.kind === 'none' && tried.isPassing;
      if (tried.kind === 'unclear' && tried.isLast) break;
      if (tried.kind !== 'works') continue;
      if (candidates.length > 1) await this.#remember(key, candidate);
      return { kind: 'found', key, login: tried.login, isSure: true };
    }
    if (unclear !== undefined) return { kind: 'found', key, login: unclear, isSure: false };
    return { kind: 'none', reasons, isPassing };
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
    const { logins, now, log } = this.#dependencies;
    if (candidate.kind === 'principal') {
      const { value, expiresAt } = await logins.registryToken(this.#request.host, this.#signal);
      return { value: { username: this.#settings.principal.username, password: value.token }, expiresAt };
    }
    const { entry } = candidate;
    const basic = basicOf(entry);
    if (entry.secretType === 'BASIC' && basic !== undefined) {
      log.conceal(basic.password, basic.username);
      return { value: basic, expiresAt: now() + entryMs };
    }
    const { value, ...rest } = await logins.vaultSecret(entry.secretId ?? '', this.#signal, isAnew);
    return { value: { username: value.username, password: value.password }, ...rest };
  }

  async #tryLogin(candidate: Candidate, login: Lent<Login>): Promise<Tried> {
    const { tryPull, log } = this.#dependencies;
    const about = { image: this.#request.image, candidate: candidate.name };
    try {
      const { verdict, message } = await tryPull(this.#request, login.value, this.#signal);
      log.write(verdict === 'denied' ? 'warn' : 'debug', 'tried', { ...about, verdict, reason: message });
      if (verdict === 'allowed') return { kind: 'works', login };
      if (verdict === 'unclear') return { kind: 'unclear', login, isLast: false };
      return { kind: 'none', reason: `${candidate.name}: ${message}${policyOf(candidate)}`, isPassing: false };
    } catch (error) {
      this.#signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : 'failed';
      log.write('warn', 'the registry cannot be asked: the credential is handed over untried', { ...about, reason });
      return { kind: 'unclear', login, isLast: true };
    }
  }

  #lastWorkingFirst(key: string, candidates: readonly Candidate[]): readonly Candidate[] {
    if (candidates.length === 1) return candidates;
    const worked = this.#dependencies.cache.read('worked', this.#memoryOf(key));
    const first = candidates.find(({ name }) => name === worked);
    return first === undefined ? candidates : [first, ...candidates.filter((candidate) => candidate !== first)];
  }

  async #remember(key: string, { name }: Candidate): Promise<void> {
    const { cache, now } = this.#dependencies;
    await cache.write('worked', this.#memoryOf(key), name, now() + workedMs);
  }

  #memoryOf(key: string): string {
    return JSON.stringify([key, this.#request.registry, this.#request.repository]);
  }
}

const policyOf = ({ kind }: Candidate): string =>
  kind === 'principal'
    ? '; check the IAM policy: Allow dynamic-group <identity domain>/<dynamic group> to read repos in compartment <compartment of the repository>'
    : '';
