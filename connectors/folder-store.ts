import { buildCatalogue, type CatalogueOptions, type ConnectorCatalogue, type ConnectorStore } from './catalogue.ts';
import { type FieldProblem, formatProblem } from './field-problem.ts';
import { type ManifestFile, readManifestFolder, withoutDuplicates } from './manifest-folder.ts';

export interface FolderStoreOptions extends CatalogueOptions {
  /** Folder of YAML files, searched with its sub-folders. */
  folder: string;
  /** How often the folder is looked at; 1000 ms unless told. A scan that takes long stretches it. */
  pollMs?: number;
  /** After each reading, apart from one that keeps the store from opening: what is wrong now (empty when all is well) and which documents were passed over. */
  onReload?: (report: ReloadReport, catalogue: ConnectorCatalogue) => void;
}

export interface ReloadReport {
  readonly problems: readonly FieldProblem[];
  readonly skipped: readonly string[];
}

export interface FolderStore extends ConnectorStore, AsyncDisposable {
  /** Problems of the last reading; their files go on with what they held before. */
  readonly problems: readonly FieldProblem[];
  /** Reads what has changed now, without waiting for the next poll. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** The manifests of a folder are wrong at the start, when there is no last good version to go on with. */
class ManifestError extends Error {
  constructor(folder: string, problems: readonly FieldProblem[]) {
    super(`${folder}: ${problems.length} problem(s)\n${problems.map((p) => `  ${formatProblem(p)}`).join('\n')}`);
    this.name = 'ManifestError';
  }
}

/**
 * Opens a folder of manifests. It is polled, because folders mounted into containers are replaced by symbolic links,
 * which file system events miss. A file that goes bad keeps its last good documents; the other files go on changing.
 * @throws ManifestError when the folder cannot be read or holds a bad file at the start
 */
export async function openFolderStore(options: FolderStoreOptions): Promise<FolderStore> {
  const store = new PollingFolderStore(options);
  await store.start();
  return store;
}

class PollingFolderStore implements FolderStore {
  readonly #options: FolderStoreOptions;
  #files: ReadonlyMap<string, ManifestFile> = new Map();
  #catalogue: ConnectorCatalogue = buildCatalogue([]);
  #problems: readonly FieldProblem[] = [];
  #unreadable: FieldProblem | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  #isOpen = false;
  #isClosed = false;

  constructor(options: FolderStoreOptions) {
    this.#options = options;
  }

  get catalogue(): ConnectorCatalogue {
    return this.#catalogue;
  }

  get problems(): readonly FieldProblem[] {
    return this.#problems;
  }

  async start(): Promise<void> {
    await this.reload();
    if (this.#problems.length > 0) throw new ManifestError(this.#options.folder, this.#problems);
    this.#isOpen = true;
    this.#report();
    this.#schedule(0);
  }

  reload(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#reading;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A folder so large that a scan takes long is looked at less often: at most a twentieth of the time is spent on it. */
  #schedule(lastScanMs: number): void {
    if (this.#isClosed) return;
    const delayMs = Math.max(this.#options.pollMs ?? 1000, lastScanMs * 20);
    this.#timer = setTimeout(() => {
      const startedAt = performance.now();
      // Whatever goes wrong in a reload, and in who is told of it, the next one is tried.
      const next = (): void => this.#schedule(performance.now() - startedAt);
      this.reload().then(next, next);
    }, delayMs).unref();
  }

  async #read(): Promise<void> {
    const before = this.#files;
    let unreadable: FieldProblem | undefined;
    const after = await readManifestFolder(this.#options.folder, before).catch((error: Error) => {
      unreadable = { file: this.#options.folder, line: 1, field: '', message: `cannot be read: ${error.message}` };
      return before;
    });
    const isSame = after.size === before.size && [...after].every(([file, state]) => before.get(file) === state);
    if (isSame && unreadable?.message === this.#unreadable?.message) return;
    this.#unreadable = unreadable;
    this.#files = after;
    const { documents, problems } = withoutDuplicates([...after.values()].flatMap((state) => state.documents));
    const ofFiles = [...after.values()].flatMap((state) => state.problems);
    this.#problems = [...(unreadable ? [unreadable] : []), ...ofFiles, ...problems];
    this.#catalogue = buildCatalogue(
      documents.map((document) => document.value),
      this.#options,
    );
    if (this.#isOpen) this.#report();
  }

  #report(): void {
    const skipped = [...this.#files.values()].flatMap((file) => file.skipped);
    this.#options.onReload?.({ problems: this.#problems, skipped }, this.#catalogue);
  }
}
