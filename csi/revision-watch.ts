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
  /** Told how it went each time, in however many questions: undefined for good answers. */
  readonly onAsked: (error: unknown) => void;
}

interface Followed {
  readonly want: ConfigurationWant;
  readonly volumes: Set<string>;
  told: string | undefined;
}

/** No answer is waited for longer. */
const timeoutMs = 30_000;
/** The centre takes 256 KiB. */
const questionBytesMax = 131_072;
/** After a failure, and twice as long after each one that follows it. */
const retryMs = 10_000;

/** Asks every so often, for all volumes of the node at once, which revisions their files should have. */
export class RevisionWatch {
  readonly #options: RevisionWatchOptions;
  readonly #wants = new Map<string, Followed>();
  readonly #digests = new Map<string, string>();
  readonly #closing = new AbortController();
  #cancel: (() => void) | undefined;
  #asking: Promise<void> | undefined;
  /** Questions that failed one after the other. */
  #failures = 0;

  constructor(options: RevisionWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { timers, everyMs, random } = this.#options;
    const usualMs = everyMs * (0.9 + 0.2 * random());
    const pauseMs = this.#failures === 0 ? usualMs : retryMs * 2 ** (this.#failures - 1) * (1 + random());
    this.#cancel = timers.after(Math.min(usualMs, pauseMs), async () => {
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
    let failure: unknown;
    const parts = inParts([...this.#wants.values()]);
    for (const part of parts) {
      if (this.#closing.signal.aborted) break;
      try {
        await this.#askFor(part);
      } catch (error) {
        // The others may be answered all the same.
        failure ??= error;
      }
    }
    this.#failures = failure === undefined ? 0 : this.#failures + 1;
    if (parts.length > 0) this.#options.onAsked(failure);
  }

  async #askFor(part: readonly Followed[]): Promise<void> {
    const before = part.map(({ told }) => told);
    const revisions = await this.#revisions(part.map(({ want }) => want));
    for (const [index, followed] of part.entries()) {
      // What was learnt meanwhile is newer than this answer.
      if (followed.told === before[index]) followed.told = revisions[index] ?? followed.told;
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

/** Cuts what is asked for into questions that the centre takes. */
function inParts(all: readonly Followed[]): readonly (readonly Followed[])[] {
  const parts: Followed[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const followed of all) {
    const more = Buffer.byteLength(JSON.stringify(followed.want)) + 1;
    const last = parts.at(-1);
    bytes += more;
    if (last === undefined || last.length === wantsMax || bytes > questionBytesMax) {
      parts.push([followed]);
      bytes = more;
    } else {
      last.push(followed);
    }
  }
  return parts;
}
