import type { Informer } from '../platform/kubernetes/informer.ts';
import { type KubernetesObject, keyText, type ObjectKey } from '../platform/kubernetes/object.ts';
import type { ObjectWatches } from '../platform/kubernetes/object-watches.ts';
import { realTimers, sleepWith, type Timers } from '../platform/kubernetes/timers.ts';
import { type ConnectorKey, formatKey } from './address.ts';
import { builtinClasses } from './builtin-class.ts';
import { type ConnectorCatalogue, type ConnectorStore, defaultSharedNamespace, documentsOf } from './catalogue.ts';
import { type ReadDocument, readConnector, readConnectorClass, readSecret } from './cluster-documents.ts';
import { type ConnectorParts, type ResolvedConnector, resolveConnector, unreadableConnector } from './connector.ts';
import type { ImageReference } from './image-reference.ts';
import { ConnectorIndex } from './matching.ts';
import { type Connector, type ConnectorClass, type Namespace, type Secret, secretNamesOf } from './schema.ts';

export interface ClusterStoreOptions {
  readonly connectors: Informer<KubernetesObject>;
  readonly classes: Informer<KubernetesObject>;
  readonly namespaces: Informer<KubernetesObject>;
  /** Told which Secrets are named; all of them, each time. */
  readonly secrets: ObjectWatches<KubernetesObject>;
  readonly sharedNamespace?: string;
  /** Namespaces whose Secrets may be read; undefined where all may. */
  readonly secretNamespaces?: ReadonlySet<string> | undefined;
  /** Changes are gathered for this long before connectors are resolved anew. */
  readonly gatherMs?: number;
  /** To wait for Secrets by. */
  readonly timers?: Timers;
}

const pollMs = 50;

type ChangeListener = (keys: readonly ConnectorKey[]) => void;

/** What is known of one Connector object. */
interface Entry {
  readonly document: Connector | undefined;
  readonly resolved: ResolvedConnector;
  /** Secrets that it names, as `namespace/name`. */
  readonly secrets: readonly string[];
}

/**
 * Connectors as the API server has them, kept current: what changed is resolved anew, and nothing else, however many
 * there are. Secrets are watched one by one, and only those that a Connector names.
 */
export class ClusterStore implements ConnectorStore {
  readonly catalogue: ConnectorCatalogue;
  readonly #options: ClusterStoreOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #index = new ConnectorIndex<ResolvedConnector>();
  /** Connectors by what they name. */
  readonly #bySecret = new Dependents();
  readonly #byClass = new Dependents();
  /** Classes as they were read, by the object that the API server sent. */
  readonly #classes = new WeakMap<KubernetesObject, ReadDocument<ConnectorClass>>();
  readonly #dirty = new Set<string>();
  readonly #listeners = new Set<ChangeListener>();
  readonly #unsubscribe: readonly (() => void)[];
  /** Which of the sets of named Secrets is watched. */
  #wanted = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ClusterStoreOptions) {
    this.#options = options;
    const { connectors, classes, namespaces, secrets, sharedNamespace = defaultSharedNamespace } = options;
    const entries = this.#entries;
    const index = this.#index;
    this.catalogue = Object.freeze({
      get connectors() {
        return [...entries.values()].map(({ resolved }) => resolved);
      },
      connector: (key: ConnectorKey) => entries.get(formatKey(key))?.resolved,
      documents: (key: ConnectorKey) => documentsOf(this.document(key), (name) => this.connectorClass(name)),
      find: (reference: ImageReference, namespace: string) => index.find(reference, { namespace, sharedNamespace }),
      namespace: (name: string) => namespaces.get({ name }) as Namespace | undefined,
    });
    this.#unsubscribe = [
      connectors.onChange(({ key }) => this.#touch([keyText(key)])),
      classes.onChange(({ key }) => this.#touch(this.#byClass.of(key.name))),
      secrets.onChange((key) => this.#touch(this.#bySecret.of(keyText(key)))),
    ];
    this.#touch([...connectors.list()].map(({ metadata }) => `${metadata.namespace}/${metadata.name}`));
  }

  /** All Connectors have been read, and the Secrets that they name. */
  get isSynced(): boolean {
    const { connectors, classes, namespaces, secrets } = this.#options;
    if (![connectors, classes, namespaces].every((informer) => informer.isSynced)) return false;
    return this.#dirty.size === 0 && this.#bySecret.keys().every((key) => secrets.isSynced(parseNamespaced(key)));
  }

  /**
   * Resolves when all is read; or, once the Connectors are, when for `graceMs` no further Secret was: reading thousands
   * takes its time, and only one that cannot be read is not waited for.
   */
  async synced(graceMs: number): Promise<void> {
    const { connectors, classes, namespaces, secrets, timers = realTimers } = this.#options;
    await Promise.all([connectors, classes, namespaces].map((informer) => informer.synced()));
    let until = timers.now() + graceMs;
    const read = new Set<string>();
    const unsubscribe = secrets.onChange((key) => {
      // Secrets that change again and again are no progress.
      if (read.has(keyText(key))) return;
      read.add(keyText(key));
      until = timers.now() + graceMs;
    });
    try {
      while (!this.isSynced && timers.now() < until) await sleepWith(timers, pollMs, undefined);
    } finally {
      unsubscribe();
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The Connector itself; undefined where there is none, and for one that cannot be read. */
  document(key: ConnectorKey): Connector | undefined {
    return this.#entries.get(formatKey(key))?.document;
  }

  connectorClass(name: string): ConnectorClass | undefined {
    const object = this.#options.classes.get({ name });
    if (object === undefined) return builtinClasses.find((builtin) => builtin.metadata.name === name);
    // Templates make classes long, and each pod with configurations asks for them.
    if (!this.#classes.has(object)) this.#classes.set(object, readConnectorClass(object));
    const read = this.#classes.get(object);
    return read?.ok ? read.document : builtinClasses.find((builtin) => builtin.metadata.name === name);
  }

  /** Calls `listener` with the connectors that are new, changed or gone. Returns a function that ends it. */
  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#listeners.clear();
  }

  #touch(keys: Iterable<string>): void {
    for (const key of keys) this.#dirty.add(key);
    if (this.#dirty.size > 0) this.#timer ??= setTimeout(() => this.#settle(), this.#options.gatherMs ?? 10);
  }

  #settle(): void {
    this.#timer = undefined;
    const changed = [...this.#dirty];
    this.#dirty.clear();
    const keys = changed.map((text) => parseNamespaced(text));
    // First what is named, so that a Secret named for the first time is watched before anybody asks for it.
    for (const key of keys) this.#read(key);
    this.#want();
    for (const listener of [...this.#listeners]) listener(keys);
  }

  /** Of many thousands of Secrets, few changes name another one. */
  #want(): void {
    if (this.#wanted === this.#bySecret.version) return;
    this.#wanted = this.#bySecret.version;
    this.#options.secrets.want(this.#bySecret.keys().map(parseNamespaced));
  }

  #read(key: ConnectorKey): void {
    const text = formatKey(key);
    const before = this.#entries.get(text);
    const object = this.#options.connectors.get(key);
    const after = object === undefined ? undefined : this.#resolve(key, object);
    if (before !== undefined) this.#index.delete(before.resolved);
    if (after === undefined) this.#entries.delete(text);
    else {
      this.#entries.set(text, after);
      this.#index.add(after.resolved);
    }
    this.#bySecret.replace(text, after?.secrets ?? []);
    this.#byClass.replace(text, after?.document === undefined ? [] : [after.document.spec.connectorClassName]);
  }

  #resolve(key: ConnectorKey, object: KubernetesObject): Entry {
    const read = readConnector(object);
    if (!read.ok) {
      const uid = object.metadata.uid ?? formatKey(key);
      return { document: undefined, resolved: unreadableConnector(key, uid, read.problem), secrets: [] };
    }
    const { document } = read;
    const isReadable = this.#mayReadSecrets(key.namespace);
    const secrets = isReadable ? secretNamesOf(document).map((name) => `${key.namespace}/${name}`) : [];
    return { document, resolved: resolveConnector(document, key.namespace, this.#parts()), secrets };
  }

  #parts(): ConnectorParts {
    return {
      connectorClass: (name) => this.connectorClass(name),
      secret: (namespace, name) => this.#secret(namespace, name),
      mayReadSecrets: (namespace) => this.#mayReadSecrets(namespace),
      isInlinePasswordForbidden: true,
    };
  }

  #secret(namespace: string, name: string): Secret | undefined {
    const object = this.#options.secrets.get({ namespace, name });
    const read = object === undefined ? undefined : readSecret(object);
    return read?.ok ? read.document : undefined;
  }

  #mayReadSecrets(namespace: string): boolean {
    return this.#options.secretNamespaces?.has(namespace) ?? true;
  }
}

function parseNamespaced(text: string): Required<ObjectKey> {
  const slash = text.indexOf('/');
  return { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

/** Who depends on what: connectors by the Secrets, or the class, that they name. */
class Dependents {
  readonly #named = new Map<string, readonly string[]>();
  readonly #dependents = new Map<string, Set<string>>();
  #version = 0;

  /** Changes with the set of names. */
  get version(): number {
    return this.#version;
  }

  /** `dependent` names these from now on, and nothing else. */
  replace(dependent: string, names: readonly string[]): void {
    const before = this.#named.get(dependent) ?? [];
    if (names.length === 0) this.#named.delete(dependent);
    else this.#named.set(dependent, names);
    for (const name of names) {
      const dependents = this.#dependents.get(name) ?? new Set();
      if (dependents.size === 0) this.#version += 1;
      this.#dependents.set(name, dependents.add(dependent));
    }
    for (const name of before.filter((earlier) => !names.includes(earlier))) {
      const dependents = this.#dependents.get(name);
      dependents?.delete(dependent);
      if (dependents?.size !== 0) continue;
      this.#dependents.delete(name);
      this.#version += 1;
    }
  }

  of(name: string): Iterable<string> {
    return this.#dependents.get(name) ?? [];
  }

  keys(): string[] {
    return [...this.#dependents.keys()];
  }
}
