import { OracleError } from '../credentials/oracle/errors.ts';
import type { Oracle, RegistryLogin, VaultLogin } from '../credentials/oracle/oracle.ts';
import type { Cache, CacheKind } from './cache.ts';
import { isRetryable, ProviderError } from './provider-error.ts';
import type { Turn, TurnOptions } from './turn.ts';

/** A value, and how long it may be used; expiresAt in milliseconds since the epoch. */
export interface Lent<T> {
  readonly value: T;
  readonly expiresAt: number;
  /** It was got earlier, and there may be another one by now. */
  readonly isKept?: boolean;
}

/** What Oracle's cloud gives, asked for once by all invocations of this machine together. */
export interface Logins {
  registryToken(host: string, signal: AbortSignal): Promise<Lent<RegistryLogin>>;
  /** `isAnew`: the one that was kept does not work. */
  vaultSecret(secretId: string, signal: AbortSignal, isAnew?: boolean): Promise<Lent<VaultLogin>>;
}

export interface LoginsOptions {
  readonly oracle: Pick<Oracle, 'registryToken' | 'vaultSecret'>;
  readonly cache: Cache;
  readonly takeTurn: (name: string, options: TurnOptions) => Promise<Turn | undefined>;
  /** Until when to wait for other invocations that ask the same, all of them together; milliseconds since the epoch. */
  readonly waitUntil: number;
  /** Hides what was got from the log. */
  readonly conceal: (secret: string, username?: string) => void;
  readonly now: () => number;
}

/** A token is given up so long before it ends, so that a pull which begins with it comes to its end. */
const tokenMarginMs = 60_000;
/** A Vault secret may have another version after that: nobody tells us. */
const vaultSecretMs = 5 * 60_000;
/** So long those who waited for a failure believe it, instead of asking one after the other. */
const failureMs = 2_000;

export function sharedLogins(options: LoginsOptions): Logins {
  const { oracle, now, conceal } = options;
  /** Entries of one configuration that name the same secret. */
  const underWay = new Map<string, Promise<Lent<VaultLogin>>>();
  const patience = new Patience();
  const registryToken: Logins['registryToken'] = async (host, signal) => {
    const ask = async (): Promise<Lent<RegistryLogin>> => {
      const value = await oracle.registryToken(host, signal);
      return { value, expiresAt: value.expiresAt - tokenMarginMs };
    };
    const want: Want<RegistryLogin> = { kind: 'registry-token', key: host, service: `token ${host}`, ask };
    const lent = await shared(options, patience, want, signal);
    conceal(lent.value.token);
    return lent;
  };
  const readSecret = async (secretId: string, signal: AbortSignal, isAnew: boolean): Promise<Lent<VaultLogin>> => {
    const ask = async (): Promise<Lent<VaultLogin>> => {
      const value = await oracle.vaultSecret(secretId, signal);
      return { value, expiresAt: now() + vaultSecretMs };
    };
    const service = `vault ${regionOf(secretId)}`;
    const lent = await shared(options, patience, { kind: 'vault-secret', key: secretId, service, ask, isAnew }, signal);
    conceal(lent.value.password, lent.value.username);
    return lent;
  };
  return {
    registryToken,
    vaultSecret: (secretId, signal, isAnew = false) => {
      const asked = isAnew ? undefined : underWay.get(secretId);
      const lent = asked ?? readSecret(secretId, signal, isAnew);
      underWay.set(secretId, lent);
      return lent;
    },
  };
}

/** Each region has a vault service of its own. */
const regionOf = (secretId: string): string => secretId.split('.')[3] ?? '';

/** Services that did not answer in time: who asked one of them again in the same invocation would wait as long again. */
class Patience {
  readonly #late = new Map<string, OracleError>();

  /** @throws OracleError of the question before, where there is no use in asking */
  check(service: string): void {
    const error = this.#late.get(everyService) ?? this.#late.get(service);
    if (error !== undefined) throw error;
  }

  learn(service: string, error: unknown): void {
    if (!(error instanceof OracleError) || error.code !== 'Timeout') return;
    // Before the service is asked there are steps that all of them need: metadata, federation.
    const isServices = error.step === 'token' || error.step === 'vault';
    this.#late.set(isServices ? service : everyService, error);
  }
}

const everyService = '*';

interface Want<T> {
  readonly kind: CacheKind;
  readonly key: string;
  /** Who is asked in the end. */
  readonly service: string;
  readonly ask: () => Promise<Lent<T>>;
  readonly isAnew?: boolean;
}

async function shared<T>(
  options: LoginsOptions,
  patience: Patience,
  want: Want<T>,
  signal: AbortSignal,
): Promise<Lent<T>> {
  const { cache, takeTurn, waitUntil, now } = options;
  const { kind, key, service, isAnew = false } = want;
  const ask = async (): Promise<Lent<T>> => {
    patience.check(service);
    try {
      return await want.ask();
    } catch (error) {
      patience.learn(service, error);
      throw error;
    }
  };
  const read = (): Lent<T> | undefined => (isAnew ? undefined : (cache.read(kind, key) as Lent<T> | undefined));
  const failure = (): Failure | undefined => cache.read('failure', `${kind} ${key}`) as Failure | undefined;
  const kept = read();
  if (kept !== undefined) return { ...kept, isKept: true };
  patience.check(service);
  const name = cache.turnOf(kind, key);
  if (name === undefined) return ask();
  const isDone = (): boolean => (read() ?? failure()) !== undefined;
  const turn = await takeTurn(name, { waitMs: Math.max(0, waitUntil - now()), signal, isDone });
  try {
    const made = read();
    if (made !== undefined) return made;
    const failed = turn === undefined ? failure() : undefined;
    if (failed !== undefined) throw new ProviderError(failed.message, failed);
    return await keep(options, { ...want, ask }, signal);
  } finally {
    turn?.release();
  }
}

interface Failure {
  readonly message: string;
  readonly isRetryable: boolean;
}

async function keep<T>({ cache, now }: LoginsOptions, want: Want<T>, signal: AbortSignal): Promise<Lent<T>> {
  const { kind, key, ask } = want;
  try {
    const lent = await ask();
    await cache.write(kind, key, lent, lent.expiresAt);
    return lent;
  } catch (error) {
    // Nobody waits here any more, which says nothing of the other side.
    if (signal.aborted) throw error;
    const message = error instanceof Error ? error.message : 'failed';
    const failure: Failure = { message, isRetryable: isRetryable(error) };
    await cache.write('failure', `${kind} ${key}`, failure, now() + failureMs);
    throw error;
  }
}
