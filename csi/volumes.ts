import { realpath } from 'node:fs/promises';
import { status } from '@grpc/grpc-js';
import {
  type ConfigurationAnswer,
  filesMax,
  filesTotalMax,
  isFileName,
} from '../connectors/configurations/protocol.ts';
import { ProxyError } from '../platform/errors.ts';
import type { Timers } from '../platform/kubernetes/timers.ts';
import { Slots } from '../platform/slots.ts';
import { AtomicFolder, type Files } from './atomic-folder.ts';
import type { ConfigurationSource } from './configuration-source.ts';
import { asCsiError, CsiError, isRefusal, StillMounted } from './errors.ts';
import { MemoryBudget } from './memory-budget.ts';
import type { Mounts } from './mounts.ts';
import { RenderQueue } from './render-queue.ts';
import type { RevisionWatch } from './revision-watch.ts';
import { resolveTargetPath } from './target-path.ts';
import {
  growVolume,
  isOurs,
  isVolumeMounted,
  limitsFor,
  memoryFor,
  memoryOf,
  mountVolume,
  removeVolume,
} from './volume-mount.ts';
import type { VolumeRequest } from './volume-request.ts';
import { digestOf, formatState, parseState, stateFile, type VolumeState, wantDigest } from './volume-state.ts';

export interface VolumesOptions {
  readonly kubeletRoot: string;
  readonly source: ConfigurationSource;
  readonly mounts: Mounts;
  readonly revisions: RevisionWatch;
  /** How much memory the volumes may take together. */
  readonly memoryBytes: number;
  readonly timers: Timers;
  /** In epoch milliseconds. */
  readonly now: () => number;
  /** Of AtomicFolder. */
  readonly settle: () => Promise<void>;
  /** Told how each question to the centre went: undefined for a good answer. */
  readonly onAsked: (error: unknown) => void;
}

/**
 * What became of a publish: mounted anew; files asked for again; nobody asked, as the files are good; the centre away, and
 * the files are good until their token expires.
 */
export type PublishResult = 'mounted' | 'refreshed' | 'fresh' | 'kept';

const { signal: never } = new AbortController();

/** The volumes of this node. Everything about one target path happens one after the other. */
export class Volumes {
  readonly #options: VolumesOptions;
  readonly #states = new Map<string, VolumeState>();
  readonly #budget: MemoryBudget;
  readonly #renders: RenderQueue;
  /** A pod may have hundreds of volumes: the others of its node are served meanwhile. */
  readonly #pods = new Slots({ perKey: 4, waitingPerKey: 4_096 });
  readonly #turns = new Slots({ perKey: 1, waitingPerKey: 16 });
  /** Where hundreds of pods come at once, the first should be served first, rather than all of them late. */
  readonly #disk = new Slots({ perKey: 4, waitingPerKey: Number.POSITIVE_INFINITY });
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();

  constructor(options: VolumesOptions) {
    this.#options = options;
    this.#budget = new MemoryBudget(options.memoryBytes);
    this.#renders = new RenderQueue(options);
  }

  /** Counts the memory of what an earlier process has mounted. */
  async recover(): Promise<void> {
    const { mounts, kubeletRoot } = this.#options;
    const root = await realpath(kubeletRoot);
    const ours = (await mounts.all()).filter((mount) => isOurs(mount) && mount.target.startsWith(`${root}/`));
    for (const { target } of ours) {
      const bytes = await memoryOf(target).catch(() => undefined);
      if (bytes !== undefined) this.#budget.recover(target, bytes);
    }
  }

  /** How many are mounted, as far as this process knows: after a restart it learns of each with its next publish. */
  get size(): number {
    return this.#states.size;
  }

  /**
   * Makes the target hold the files that are wanted. A publish that fails leaves no mount that was not there before.
   * @throws CsiError, which is StillMounted where something is mounted after all; ProxyError
   */
  async publish(request: VolumeRequest, signal: AbortSignal): Promise<PublishResult> {
    const target = await resolveTargetPath(request.targetPath, this.#options.kubeletRoot);
    if (target === undefined) {
      throw new CsiError(status.FAILED_PRECONDITION, 'the folder that the target path is to be made in does not exist');
    }
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const publishing = this.#pods.run(request.pod, either, () =>
      this.#inTurn(target, signal, () => this.#publishWhole(target, request, signal)),
    );
    if (publishing === undefined) throw new CsiError(status.ABORTED, 'too many volumes of this pod wait already');
    return await publishing;
  }

  /**
   * Takes the target away; OK as well where there is nothing.
   * @throws CsiError
   */
  async unpublish(targetPath: string, signal: AbortSignal): Promise<void> {
    const target = await resolveTargetPath(targetPath, this.#options.kubeletRoot);
    if (target === undefined) return;
    await this.#inTurn(target, signal, () => this.#remove(target));
  }

  /** Breaks questions off and waits for what is under way. */
  async close(): Promise<void> {
    // As if the centre were away: files that are good stay.
    this.#closing.abort(new ProxyError('CENTRE_UNREACHABLE', 'the driver ends'));
    await Promise.allSettled(this.#running);
  }

  async #inTurn<T>(target: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    either.throwIfAborted();
    const running = this.#turns.run(target, either, work);
    if (running === undefined) throw new CsiError(status.ABORTED, 'too many calls for this volume wait already');
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async #publishWhole(target: string, request: VolumeRequest, signal: AbortSignal): Promise<PublishResult> {
    try {
      return await this.#publish(target, request, signal);
    } catch (error) {
      const isStillMounted = (await this.#options.mounts.at(target)).some(isOurs);
      throw isStillMounted ? new StillMounted(asCsiError(error)) : error;
    }
  }

  async #publish(target: string, request: VolumeRequest, signal: AbortSignal): Promise<PublishResult> {
    const folder = this.#folder(target, request.groupId);
    const asked = { token: digestOf(request.token), want: wantDigest(request.want), groupId: request.groupId };
    const { isMounted, hasFiles, known } = await this.#onDisk(() => this.#look(target, folder));
    const isSame = known !== undefined && known.want === asked.want && known.groupId === asked.groupId;
    const isGood = (): boolean => isSame && this.#options.now() < known.expiresAt;
    if (hasFiles) this.#budget.assign(target, request.namespace);
    if (isSame) this.#options.revisions.follow(target, known.want, request.want, known.revision);
    if (isSame && this.#isFresh(known, asked.token)) return 'fresh';
    try {
      const question = { token: request.token, want: request.want, isRefresh: hasFiles };
      const either = AbortSignal.any([signal, this.#closing.signal]);
      const answer = await this.#renders.ask(question, isGood, either);
      const { revision, expiresAt, refreshAfter } = answer;
      const state = { revision, expiresAt, refreshAfter, ...asked };
      const files = readFiles(answer);
      await this.#onDisk(async () => {
        signal.throwIfAborted();
        this.#budget.take(target, request.namespace, memoryFor(files));
        await this.#write(target, folder, files, isMounted, state);
      });
      this.#options.revisions.follow(target, asked.want, request.want, revision);
      this.#options.revisions.learn(asked.want, revision);
      return hasFiles ? 'refreshed' : 'mounted';
    } catch (error) {
      if (isAway(error) && isGood()) return 'kept';
      // No pod has it yet, and nobody would ever take it away.
      if (!hasFiles) await this.#onDisk(() => this.#undo(target, error));
      throw error;
    }
  }

  async #onDisk<T>(work: () => Promise<T>): Promise<T> {
    return await (this.#disk.run('disk', never, work) as Promise<T>);
  }

  async #look(target: string, folder: AtomicFolder) {
    const isMounted = await isVolumeMounted(this.#options.mounts, target);
    const hasFiles = isMounted && (await folder.hasFiles());
    return { isMounted, hasFiles, known: hasFiles ? await this.#known(target, folder) : this.#forget(target) };
  }

  #isFresh(known: VolumeState, token: string): boolean {
    const isInTime = this.#options.now() < Math.min(known.refreshAfter, known.expiresAt);
    return isInTime && known.token === token && this.#options.revisions.isCurrent(known.want, known.revision);
  }

  /** In memory, or where this process is new, beside the files. */
  async #known(target: string, folder: AtomicFolder): Promise<VolumeState | undefined> {
    const remembered = this.#states.get(target);
    if (remembered !== undefined) return remembered;
    await folder.repair();
    const state = parseState((await folder.readState()) ?? '');
    if (state !== undefined) this.#states.set(target, state);
    return state;
  }

  async #write(
    target: string,
    folder: AtomicFolder,
    files: Files,
    isMounted: boolean,
    state: VolumeState,
  ): Promise<void> {
    const { mounts } = this.#options;
    if (isMounted) await growVolume(mounts, target, limitsFor(files));
    else await mountVolume(mounts, target, limitsFor(files));
    // With an error half-way nobody knows what is there: then the disk is read again.
    this.#states.delete(target);
    await folder.write(files, formatState(state));
    this.#states.set(target, state);
  }

  async #undo(target: string, reason: unknown): Promise<void> {
    try {
      await this.#remove(target);
    } catch (cause) {
      const { code, message } = asCsiError(reason);
      throw new CsiError(code, `${message}; and what was mounted could not be taken away`, { cause });
    }
  }

  async #remove(target: string): Promise<void> {
    await removeVolume(this.#options.mounts, target);
    this.#forget(target);
  }

  #forget(target: string): undefined {
    this.#states.delete(target);
    this.#budget.release(target);
    this.#options.revisions.forget(target);
  }

  #folder(path: string, groupId: number | undefined): AtomicFolder {
    return new AtomicFolder({ path, groupId, stateFile, now: this.#options.now, settle: this.#options.settle });
  }
}

/** Neither the centre's no, nor a fault of this machine. */
const isAway = (error: unknown): boolean => error instanceof ProxyError && !isRefusal(error);

/** @throws ProxyError for files that must not be written, whoever answered them */
function readFiles({ files }: ConfigurationAnswer): Files {
  const bad = files.find(({ name }) => !isFileName(name));
  if (bad !== undefined) throw new ProxyError('INTERNAL', 'the centre answered a file with a path in its name');
  const total = files.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0);
  if (files.length > filesMax || total > filesTotalMax) {
    throw new ProxyError(
      'CONFIGURATION_TOO_LARGE',
      `the volume would have ${files.length} files of ${total} bytes: at most ${filesMax} files of ${filesTotalMax} bytes fit`,
    );
  }
  return new Map(files.map(({ name, content }) => [name, content]));
}
