import { status } from '@grpc/grpc-js';
import type { ConfigurationAnswer, ConfigurationQuestion } from '../connectors/configurations/protocol.ts';
import { ProxyError } from '../platform/errors.ts';
import type { Timers } from '../platform/kubernetes/timers.ts';
import { Slots } from '../platform/slots.ts';
import type { ConfigurationSource } from './configuration-source.ts';
import { asCsiError } from './errors.ts';

export interface RenderQueueOptions {
  readonly source: Pick<ConfigurationSource, 'render'>;
  readonly timers: Timers;
  /** Told how each question went: undefined for a good answer. */
  readonly onAsked: (error: unknown) => void;
}

/** Nobody waits longer for an answer, nor for a turn to ask: the kubelet's patience is two minutes. */
const patienceMs = 30_000;
/** So long nobody asks a centre that was away for files that are good without it. */
const awayMs = 5_000;

/** Asks the centre for files, 16 volumes at a time. */
export class RenderQueue {
  readonly #options: RenderQueueOptions;
  readonly #slots = new Slots({ perKey: 16, waitingPerKey: 4_096 });
  #away: { readonly at: number; readonly error: unknown } | undefined;

  constructor(options: RenderQueueOptions) {
    this.#options = options;
  }

  /**
   * @param isGood whether the volume has files that are good without an answer
   * @throws ProxyError, or the signal's reason
   */
  async ask(question: ConfigurationQuestion, isGood: () => boolean, signal: AbortSignal): Promise<ConfigurationAnswer> {
    const late = new AbortController();
    const cancel = this.#options.timers.after(patienceMs, () =>
      late.abort(away(`did not answer within ${patienceMs / 1_000} s`)),
    );
    const inTime = AbortSignal.any([signal, late.signal]);
    try {
      const asking = this.#slots.run('centre', inTime, async () => {
        // Who comes to his turn late must not wait for a silence that others have met with.
        if (this.#away !== undefined && this.#isAway(this.#away.at) && isGood()) throw this.#away.error;
        return await this.#render(question, inTime);
      });
      if (asking !== undefined) return await asking;
    } finally {
      cancel();
    }
    throw new ProxyError('CALLER_LIMITED', 'too many volumes of this node wait for the centre');
  }

  #isAway(at: number): boolean {
    return this.#options.timers.now() - at < awayMs;
  }

  async #render(question: ConfigurationQuestion, signal: AbortSignal): Promise<ConfigurationAnswer> {
    const { source, timers, onAsked } = this.#options;
    try {
      const answer = await source.render(question, signal);
      this.#away = undefined;
      onAsked(undefined);
      return answer;
    } catch (cause) {
      const error = asProxyError(cause, signal);
      if (asCsiError(error).code === status.UNAVAILABLE) this.#away = { at: timers.now(), error };
      onAsked(cause);
      throw error;
    }
  }
}

/** A centre whose answer nobody understands is as good as away. */
function asProxyError(cause: unknown, signal: AbortSignal): unknown {
  if (cause instanceof ProxyError) return cause;
  if (signal.aborted) return signal.reason;
  return away('answered what this driver does not understand', cause);
}

const away = (what: string, cause?: unknown): ProxyError =>
  new ProxyError('CENTRE_UNREACHABLE', `the centre ${what}`, { cause });
