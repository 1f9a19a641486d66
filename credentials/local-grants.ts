import { LRUCache } from 'lru-cache';
import { formatKey } from '../connectors/address.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { ProxyError } from '../platform/errors.ts';
import { retryAfterMs } from '../platform/retry-after.ts';
import { SharedFlight } from '../platform/shared-flight.ts';
import { Slots } from '../platform/slots.ts';
import type { RegistryTransport } from '../platform/transport.ts';
import { type Candidate, candidatesFor } from './candidates.ts';
import { bearerOf, type Challenge, parseChallenges } from './challenge.ts';
import { basicAuthorization, type Credential, isSameCredential, noteShown, redactAll } from './credential.ts';
import { CredentialSequence } from './credential-sequence.ts';
import { exchangeToken, scopeOf, tokenRequest } from './exchange.ts';
import { type Grant, type GrantSource, type GrantWant, isSameGrant } from './grant.ts';
import { originOf, withOrigin } from './grant-origin.ts';
import type { OracleCredentials } from './oracle-credentials.ts';
import { ping } from './ping.ts';
import { tryAuthorization } from './pull-trial.ts';
import type { RegistryTransports } from './registry-transports.ts';

export interface LocalGrantsOptions {
  transports: RegistryTransports;
  /** Undefined where this process has no identity in Oracle’s cloud. */
  oracle?: OracleCredentials | undefined;
  /** Milliseconds since the epoch. */
  now?: () => number;
  /** Told of each token exchange that was made, however it ended. */
  onExchange?: (connector: string, result: 'granted' | 'refused' | 'failed') => void;
}

const grantsMax = 10_000;
/** Characters of all cached keys and grants: a registry decides how long its tokens are, and they may be very long. */
const grantsLengthMax = 64 * 1024 * 1024;
const challengesMax = 2_000;
/** Of one connector: more than entries that there can be. */
const shownMax = 128;
/** A token server that is slow, or says much, costs the other connectors nothing. */
const exchangesPerConnector = 32;
const waitingPerConnector = 2_000;
const patienceMs = 30_000;
/** A token server that limits us is left alone for as long as it says, but may name any time at all. */
const pauseMaxMs = 60_000;
const pauseDefaultMs = 1_000;
/** Grants that do not expire, and challenges, are looked at again after this. */
const lastingMs = 300_000;
/** A grant is renewed this long before it expires, or at nine tenths of a short life. */
const renewBeforeMs = 30_000;

interface CachedGrant {
  readonly grant: Grant;
  readonly startedAt: number;
  /** When it is to be renewed. */
  readonly until: number;
}

/** Makes grants where the credential is: reads it, asks the registry how it wants to be authenticated to, exchanges it. */
export class LocalGrants implements GrantSource {
  readonly #transports: RegistryTransports;
  readonly #oracle: OracleCredentials | undefined;
  readonly #now: () => number;
  readonly #onExchange: NonNullable<LocalGrantsOptions['onExchange']>;
  readonly #grants = new LRUCache<string, CachedGrant>({
    max: grantsMax,
    maxSize: grantsLengthMax,
    sizeCalculation: ({ grant }, key) => key.length + (grant.kind === 'authorization' ? grant.value.length : 0),
  });
  readonly #challenges = new LRUCache<string, { readonly challenges: readonly Challenge[]; readonly until: number }>({
    max: challengesMax,
  });
  readonly #shown = new LRUCache<string, Credential[]>({ max: challengesMax });
  readonly #sequence: CredentialSequence;
  readonly #exchanges = new SharedFlight<Grant>();
  readonly #pings = new SharedFlight<readonly Challenge[]>();
  readonly #pauses = new LRUCache<string, { readonly until: number; readonly message: string }>({ max: challengesMax });
  readonly #slots = new Slots({
    perKey: exchangesPerConnector,
    waitingPerKey: waitingPerConnector,
    patience: { ms: patienceMs, error: tooMany },
  });

  constructor(options: LocalGrantsOptions) {
    this.#transports = options.transports;
    this.#oracle = options.oracle;
    this.#now = options.now ?? Date.now;
    this.#sequence = new CredentialSequence({ now: this.#now });
    this.#onExchange = options.onExchange ?? (() => {});
  }

  async grant(want: GrantWant, signal: AbortSignal): Promise<Grant> {
    const key = keyOf(want);
    const cached = this.#grants.get(key);
    const isRefused =
      cached !== undefined && want.refused !== undefined && isSameGrant(cached.grant, want.refused.grant);
    if (cached !== undefined && !isRefused && this.#isGood(cached, want)) return cached.grant;
    // Another credential may have the right that this one lacks; without another nothing would change.
    const isForbidden = cached !== undefined && isRefused && want.refused?.isForbidden === true;
    if (isForbidden && !(await this.#mayDiffer(want, cached.grant, signal))) return cached.grant;
    if (cached !== undefined) this.#grants.delete(key);
    if (want.refused !== undefined) this.#learn(want);
    // Where nothing was shown the refusal is of nobody.
    const isShown = cached !== undefined && isRefused && cached.grant.kind === 'authorization';
    const label = isShown ? originOf(cached.grant)?.label : undefined;
    if (label !== undefined) this.#sequence.refused(key, label);
    return this.#exchanges.run(key, signal, async (shared) => {
      this.#checkPause(want.connector);
      const obtained = this.#slots.run(connectorKey(want.connector), shared, () => this.#obtainUnlimited(want, shared));
      if (obtained === undefined) throw tooMany();
      const startedAt = this.#now();
      const grant = await obtained;
      this.#grants.set(key, { grant, startedAt, until: renewalOf(grant, startedAt) });
      return grant;
    });
  }

  #isGood({ grant, startedAt, until }: CachedGrant, { freshMs = 0 }: GrantWant): boolean {
    const now = this.#now();
    if (until <= now) return false;
    if (grant.kind !== 'authorization') return true;
    // What lives shorter would never be fresh.
    return grant.expiresAt - now >= Math.min(freshMs, (grant.expiresAt - startedAt) / 2);
  }

  /**
   * A registry that refused a grant may have changed how it authenticates: the challenge of the refusal counts from now
   * on, or the registry is asked again where that is of no use. One that is open at /v2/ and closed at a repository
   * shows its challenge only with the refusal.
   */
  #learn({ connector, refused }: GrantWant): void {
    const key = connectorKey(connector);
    const challenges = parseChallenges(refused?.challenge);
    // Who is known and may not has been authenticated to as it is wanted.
    if (refused?.isForbidden && !challenges.some(isUsable)) return;
    this.#challenges.delete(key);
    if (challenges.some(isUsable)) this.#challenges.set(key, { challenges, until: this.#now() + lastingMs });
  }

  /** Obtains a grant where nobody says «429»; if so, nobody is asked again until the time that was named. */
  async #obtainUnlimited(want: GrantWant, signal: AbortSignal): Promise<Grant> {
    this.#checkPause(want.connector);
    try {
      return await this.#obtain(want, signal);
    } catch (caught) {
      const error = this.#withoutShown(caught, want.connector);
      if (error instanceof ProxyError && error.code === 'UPSTREAM_LIMITED') {
        const now = this.#now();
        const pauseMs = retryAfterMs(error.headers['retry-after'], now) ?? pauseDefaultMs;
        const until = now + Math.min(pauseMs, pauseMaxMs);
        this.#pauses.set(connectorKey(want.connector), { until, message: error.message });
      }
      throw error;
    }
  }

  /** A registry may repeat any of the credentials that it was ever shown. */
  #withoutShown(error: unknown, connector: ResolvedConnector): unknown {
    if (!(error instanceof ProxyError)) return error;
    const shown = this.#shown.get(connectorKey(connector)) ?? [];
    const message = redactAll(error.message, shown);
    return message === error.message ? error : new ProxyError(error.code, message, { headers: error.headers });
  }

  #checkPause(connector: ResolvedConnector): void {
    const pause = this.#pauses.get(connectorKey(connector));
    if (pause === undefined) return;
    const leftMs = pause.until - this.#now();
    if (leftMs > 0) throw limited(pause.message, Math.ceil(leftMs / 1000));
    this.#pauses.delete(connectorKey(connector));
  }

  #candidates({ connector, repository }: GrantWant): readonly Candidate[] {
    return candidatesFor(connector, repository, { oracle: this.#oracle });
  }

  /** Whether there is another credential that the registry has not just refused as well, or another version of this one. */
  async #mayDiffer(want: GrantWant, grant: Grant, signal: AbortSignal): Promise<boolean> {
    const { label: own, credential } = originOf(grant) ?? {};
    const key = keyOf(want);
    const candidates = this.#candidates(want);
    if (candidates.some(({ label }) => label !== own && !this.#sequence.isRefused(key, label))) return true;
    const remote = candidates.find(({ label, isRemote }) => label === own && isRemote);
    if (remote === undefined || credential === undefined) return false;
    const again = await remote.read(signal, true).catch(() => credential);
    return !isSameCredential(again, credential);
  }

  async #obtain(want: GrantWant, signal: AbortSignal): Promise<Grant> {
    const problem = want.connector.problems[0];
    if (problem !== undefined) throw new ProxyError('CONNECTOR_UNUSABLE', `${problem.reason}: ${problem.message}`);
    const candidates = this.#candidates(want);
    const [only, ...others] = candidates;
    if (only === undefined) return this.#grantWith(want, undefined, undefined, signal);
    if (others.length === 0) return this.#obtainWith(want, only, signal);
    const transport = this.#transports.for(want.connector);
    const { repository } = want;
    return this.#sequence.obtain(
      {
        key: keyOf(want),
        repository,
        candidates,
        grantWith: (credential, candidate) => this.#grantWith(want, credential, candidate, signal),
        tryPull: (grant, credential) => {
          const authorization = grant.kind === 'authorization' ? grant.value : undefined;
          return tryAuthorization({ transport, repository, credential, now: this.#now }, authorization, signal);
        },
      },
      signal,
    );
  }

  /** With the one credential that there is; what comes from elsewhere may have changed since it was read. */
  async #obtainWith(want: GrantWant, candidate: Candidate, signal: AbortSignal): Promise<Grant> {
    const credential = await candidate.read(signal, want.refused !== undefined);
    try {
      return await this.#grantWith(want, credential, candidate, signal);
    } catch (error) {
      if (!(error instanceof ProxyError) || error.code !== 'CREDENTIAL_REFUSED') throw error;
      const again = candidate.isRemote ? await candidate.read(signal, true) : credential;
      if (!isSameCredential(again, credential)) return this.#grantWith(want, again, candidate, signal);
      if (candidate.advice === undefined) throw error;
      throw new ProxyError('CREDENTIAL_REFUSED', `${error.message}; ${candidate.advice}`);
    }
  }

  async #grantWith(
    want: GrantWant,
    credential: Credential | undefined,
    candidate: Candidate | undefined,
    signal: AbortSignal,
  ): Promise<Grant> {
    const transport = this.#transports.for(want.connector);
    const challenges = await this.#challengesOf(want.connector, transport, credential, signal);
    const shown = this.#shownTo(want.connector);
    // The one object for equal ones, so that nobody has to look for it again with each answer.
    const noted = credential && noteShown(shown, credential, shownMax);
    const grant = await this.#answer(want, challenges, noted, transport, signal);
    return withOrigin(grant, { credential: noted, shown, label: candidate?.label, advice: candidate?.advice });
  }

  /** All credentials that the registry was shown for a connector: it may repeat one when it answers to another. */
  #shownTo(connector: ResolvedConnector): Credential[] {
    const key = connectorKey(connector);
    const shown = this.#shown.get(key) ?? [];
    this.#shown.set(key, shown);
    return shown;
  }

  async #answer(
    want: GrantWant,
    challenges: readonly Challenge[],
    credential: Credential | undefined,
    transport: RegistryTransport,
    signal: AbortSignal,
  ): Promise<Grant> {
    const bearer = bearerOf(challenges);
    if (bearer !== undefined) return this.#exchange(want, bearer, credential, transport, signal);
    if (credential === undefined || challenges.length === 0) return { kind: 'anonymous' };
    if (challenges.some((challenge) => challenge.scheme === 'basic')) {
      return { kind: 'authorization', value: basicAuthorization(credential), expiresAt: this.#now() + lastingMs };
    }
    const schemes = challenges.map((challenge) => challenge.scheme).join(', ');
    const message = `the registry wants ${schemes}; supported are Bearer with a realm, and Basic`;
    throw new ProxyError('UPSTREAM_PROTOCOL', message);
  }

  async #exchange(
    want: GrantWant,
    challenge: Challenge,
    credential: Credential | undefined,
    transport: RegistryTransport,
    signal: AbortSignal,
  ): Promise<Grant> {
    const connector = formatKey(want.connector.key);
    try {
      const { token, expiresAt } = await exchangeToken(
        transport,
        tokenRequest(challenge, scopesOf(want), credential),
        this.#now,
        signal,
      );
      this.#onExchange(connector, 'granted');
      return { kind: 'authorization', value: `Bearer ${token}`, expiresAt };
    } catch (error) {
      const isRefusal = error instanceof ProxyError && error.code === 'CREDENTIAL_REFUSED';
      this.#onExchange(connector, isRefusal ? 'refused' : 'failed');
      throw error;
    }
  }

  async #challengesOf(
    connector: ResolvedConnector,
    transport: RegistryTransport,
    credential: Credential | undefined,
    signal: AbortSignal,
  ): Promise<readonly Challenge[]> {
    const key = connectorKey(connector);
    const known = this.#challenges.get(key);
    if (known !== undefined && known.until > this.#now()) return known.challenges;
    return this.#pings.run(key, signal, async (shared) => {
      const challenges = await ping(transport, credential, shared);
      this.#challenges.set(key, { challenges, until: this.#now() + lastingMs });
      return challenges;
    });
  }
}

const limited = (message: string, seconds: number): ProxyError =>
  new ProxyError('UPSTREAM_LIMITED', message, { headers: { 'retry-after': String(seconds) } });

const tooMany = (): ProxyError => limited('too many repositories are asked for at once', 2);

const isUsable = (challenge: Challenge): boolean => challenge.scheme === 'basic' || bearerOf([challenge]) !== undefined;

/** We name the scope ourselves: challenges come with an empty one, with `*`, or with less than is needed. */
const scopesOf = ({ repository, actions, mountFrom }: GrantWant): readonly string[] => {
  const scope = scopeOf(repository, actions);
  return mountFrom === undefined ? [scope] : [scope, scopeOf(mountFrom, ['pull'])];
};

const connectorKey = (connector: ResolvedConnector): string => `${connector.uid}\n${connector.revision}`;

function keyOf(want: GrantWant): string {
  return [want.connector.uid, want.connector.revision, ...scopesOf(want)].join('\n');
}

function renewalOf(grant: Grant, startedAt: number): number {
  if (grant.kind !== 'authorization') return startedAt + lastingMs;
  return grant.expiresAt - Math.min(renewBeforeMs, Math.max(0, grant.expiresAt - startedAt) / 10);
}
