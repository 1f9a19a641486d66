import type { ConfigurationWant } from '../connectors/configurations/protocol.ts';
import { wantsMax } from '../connectors/configurations/protocol.ts';
import type { Timers } from '../platform/kubernetes/timers.ts';
import type { ConfigurationSource } from './configuration-source.ts';

export interface RevisionWatchOptions {
  readonly source: Pick<ConfigurationSource, 'revisions'>;
  /** How often is asked, on average. */
  readonly everyMs: number;
  readonly timers: Timers;
  /** From 0 to 1: nodes that start together must not ask together. */
  readonly random: () => number;
  /** Told how each question went: undefined for a good answer. */
  readonly onAsked: (error: unknown) => void;
}

interface Followed {
  readonly want: ConfigurationWant;
  readonly volumes: Set<string>;
  told: string | undefined;
}

/** No answer is waited for longer. */
const timeoutMs = 30_000;

/** Asks every so often, for all volumes of the node at once, which revisions their files should have. */
export class RevisionWatch {
  readonly #options: RevisionWatchOptions;
  readonly #wants = new Map<string, Followed>();
  readonly #digests = new Map<string, string>();
  readonly #closing = new AbortController();
  #cancel: (() => void) | undefined;
  #asking: Promise<void> | undefined;

  constructor(options: RevisionWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { timers, everyMs, random } = this.#options;
    this.#cancel = timers.after(everyMs * (0.9 + 0.2 * random()), async () => {
      await this.ask();
      if (!this.#closing.signal.aborted) this.start();
    });
  }

  /** From now on `volume` has files of this revision. */
  follow(volume: string, digest: string, want: ConfigurationWant, revision: string): void {
    if (this.#digests.get(volume) !== digest) this.forget(volume);
    this.#digests.set(volume, digest);
    const followed = this.#wants.get(digest) ?? { want, volumes: new Set(), told: undefined };
    this.#wants.set(digest, followed);
    followed.volumes.add(volume);
    followed.told ??= revision;
  }

  /** What the centre has just answered counts for all volumes that want the same. */
  learn(digest: string, revision: string): void {
    const followed = this.#wants.get(digest);
    if (followed !== undefined) followed.told = revision;
  }

  forget(volume: string): void {
    const digest = this.#digests.get(volume);
    this.#digests.delete(volume);
    const followed = digest === undefined ? undefined : this.#wants.get(digest);
    if (digest === undefined || followed === undefined) return;
    followed.volumes.delete(volume);
    if (followed.volumes.size === 0) this.#wants.delete(digest);
  }

  /** Whether files of `revision` are, as far as is known, what would be answered now. */
  isCurrent(digest: string, revision: string): boolean {
    const told = this.#wants.get(digest)?.told;
    return told === undefined || told === revision;
  }

  /** Asks now; who asks while a question is under way shares it. */
  ask(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async close(): Promise<void> {
    this.#closing.abort(new DOMException('the driver ends', 'AbortError'));
    this.#cancel?.();
    await this.#asking;
  }

  async #ask(): Promise<void> {
    const asked = [...this.#wants].map(([digest, followed]) => ({ digest, followed, before: followed.told }));
    for (let at = 0; at < asked.length; at += wantsMax) {
      const part = asked.slice(at, at + wantsMax);
      try {
        const revisions = await this.#revisions(part.map(({ followed }) => followed.want));
        for (const [index, { followed, before }] of part.entries()) {
          // What was learnt meanwhile is newer than this answer.
          if (followed.told === before) followed.told = revisions[index] ?? before;
        }
        this.#options.onAsked(undefined);
      } catch (error) {
        return this.#options.onAsked(error);
      }
    }
  }

  async #revisions(wants: readonly ConfigurationWant[]): Promise<readonly string[]> {
    const timeout = new AbortController();
    const cancel = this.#options.timers.after(timeoutMs, () =>
      timeout.abort(new Error(`the centre did not answer within ${timeoutMs / 1_000} s`)),
    );
    try {
      return await this.#options.source.revisions(wants, AbortSignal.any([this.#closing.signal, timeout.signal]));
    } finally {
      cancel();
    }
  }
}
