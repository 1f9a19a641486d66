import { OracleError } from './errors.ts';
import { instancePrincipal } from './instance-principal.ts';
import type { PrincipalKind } from './oracle.ts';
import { resourcePrincipal } from './resource-principal.ts';
import type { Principal, Session } from './session.ts';
import type { Surroundings } from './surroundings.ts';
import { userPrincipal } from './user-principal.ts';
import { workloadPrincipal } from './workload-principal.ts';

const principals: Readonly<Record<PrincipalKind, (surroundings: Surroundings) => Principal>> = {
  resource: resourcePrincipal,
  workload: workloadPrincipal,
  instance: instancePrincipal,
  user: userPrincipal,
};

/** What is nearest to the process comes first: a pod's own identity before that of the node it runs on. */
const order: readonly PrincipalKind[] = ['resource', 'workload', 'instance', 'user'];

/** Opens sessions for one principal: the one that is named, or, for `auto`, the first that works. */
export class PrincipalChoice {
  readonly #surroundings: Surroundings;
  #chosen: Principal | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    const { auth } = surroundings.settings;
    if (auth !== 'auto') this.#chosen = principals[auth](surroundings);
  }

  /** The principal whose sessions these are, once it is settled. */
  get kind(): PrincipalKind | undefined {
    return this.#chosen?.kind;
  }

  openSession(signal: AbortSignal): Promise<Session> {
    return this.#chosen?.openSession(signal) ?? this.#openFirst(signal);
  }

  /**
   * Once a principal has worked it stays: who we are must not change because a service was away for a moment. For the
   * same reason one that may work a little later ends the search.
   */
  async #openFirst(signal: AbortSignal): Promise<Session> {
    const tried: string[] = [];
    for (const kind of order) {
      const principal = principals[kind](this.#surroundings);
      try {
        const absence = await principal.absence(signal);
        if (absence !== undefined) {
          tried.push(`${kind}: ${absence}`);
          continue;
        }
        const session = await principal.openSession(signal);
        this.#chosen = principal;
        return session;
      } catch (error) {
        if (!(error instanceof OracleError)) throw error;
        tried.push(`${kind}: ${error.message}`);
        if (error.isRetryable) throw summary(tried, error);
      }
    }
    throw summary(tried);
  }
}

function summary(tried: readonly string[], last?: OracleError): OracleError {
  const message = `auth "auto" found no principal that works; tried ${tried.join('; ')}`;
  const { step = 'configuration', code = 'Misconfigured', retryAfterMs } = last ?? {};
  return new OracleError(step, code, message, { retryAfterMs });
}
