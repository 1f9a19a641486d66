import type { Credential } from '../credentials/credential.ts';
import { type Alive, type LivenessReason, type ProbeFailure, probeLiveness } from '../credentials/probe.ts';
import { SharedFlight } from '../platform/shared-flight.ts';
import type { RegistryTransport } from '../platform/transport.ts';

export type Liveness = Alive | ProbeFailure<LivenessReason>;

export interface SharedLivenessOptions {
  readonly timeoutMs: number;
  /** How long an answer counts for other connectors. */
  readonly freshMs: number;
  readonly now: () => number;
}

/**
 * Asks each registry once for all connectors that reach it in the same way: a thousand connectors to one registry that
 * is dead cost one timeout and not a thousand.
 */
export class SharedLiveness {
  readonly #options: SharedLivenessOptions;
  readonly #answers = new WeakMap<RegistryTransport, { readonly at: number; readonly liveness: Liveness }>();
  readonly #names = new WeakMap<RegistryTransport, string>();
  readonly #flights = new SharedFlight<Liveness>();
  #count = 0;

  constructor(options: SharedLivenessOptions) {
    this.#options = options;
  }

  async probe(
    transport: RegistryTransport,
    credential: Credential | undefined,
    signal: AbortSignal,
  ): Promise<Liveness> {
    const { freshMs, now, timeoutMs } = this.#options;
    const known = this.#answers.get(transport);
    if (known !== undefined && now() - known.at < freshMs) return known.liveness;
    return this.#flights.run(this.#nameOf(transport), signal, async (shared) => {
      const at = now();
      const liveness = await probeLiveness(transport, credential, { signal: shared, timeoutMs });
      this.#answers.set(transport, { at, liveness });
      return liveness;
    });
  }

  #nameOf(transport: RegistryTransport): string {
    const present = this.#names.get(transport);
    if (present !== undefined) return present;
    this.#count += 1;
    this.#names.set(transport, String(this.#count));
    return String(this.#count);
  }
}
