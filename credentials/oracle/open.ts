import { PrincipalChoice } from './choose-principal.ts';
import { Dispatchers } from './dispatchers.ts';
import { type InstanceFacts, readInstance } from './metadata.ts';
import type { Oracle, OracleSettings, PrincipalKind } from './oracle.ts';
import { fetchRegistryToken } from './registry-token.ts';
import { signedService } from './service.ts';
import { Sessions } from './session.ts';
import type { Surroundings } from './surroundings.ts';
import { fetchVaultSecret } from './vault-secret.ts';

const defaultStepTimeoutMs = 5_000;

/** Who we are to Oracle's cloud, without what proves it. */
export interface OracleIdentity {
  readonly kind: PrincipalKind;
  /** Milliseconds since the epoch; undefined for what does not expire. */
  readonly expiresAt: number | undefined;
  /** Of the session token, which nobody has verified; empty for a user with an API key. */
  readonly claims: Readonly<Record<string, unknown>>;
}

export interface OpenedOracle extends Oracle {
  /**
   * Opens the session, where there is none, and says whose it is.
   * @throws OracleError
   */
  identity(signal: AbortSignal): Promise<OracleIdentity>;
  /**
   * What the metadata service says of the instance that this process runs on.
   * @throws OracleError
   */
  instance(signal: AbortSignal): Promise<InstanceFacts>;
}

/** Nothing is read, asked or loaded before the first call. */
export function openOracle(settings: OracleSettings): OpenedOracle {
  const surroundings = surroundingsOf(settings);
  const { now, dispatchers } = surroundings;
  const choice = new PrincipalChoice(surroundings);
  const sessions = new Sessions((signal) => choice.openSession(signal), now);
  const ask = signedService(surroundings, sessions);
  return {
    registryToken: (host, signal) => fetchRegistryToken(host, { settings, ask, now }, signal),
    vaultSecret: (secretId, signal) => fetchVaultSecret(secretId, { settings, ask, now }, signal),
    identity: async (signal) => {
      const { expiresAt, claims } = await sessions.current(signal);
      // A session is somebody's.
      return { kind: choice.kind as PrincipalKind, expiresAt, claims };
    },
    instance: (signal) => readInstance(surroundings, signal),
    close: () => dispatchers.destroy(),
  };
}

function surroundingsOf(settings: OracleSettings): Surroundings {
  const { stepTimeoutMs = defaultStepTimeoutMs, now = Date.now } = settings;
  return {
    settings,
    // A connection that nobody waits for any more is given up as well.
    dispatchers: new Dispatchers({ environment: settings.environment, connectTimeoutMs: stepTimeoutMs }),
    stepTimeoutMs,
    now,
    random: Math.random,
  };
}
