import type { ConnectorKey } from './address.ts';
import { type ImageReference, repositoryOf } from './image-reference.ts';
import { isWithinPath, type RegistryAddress } from './registry-address.ts';

/** What matching needs to know of a connector. */
export interface Matchable {
  readonly key: ConnectorKey;
  readonly address: RegistryAddress;
}

/** Where connectors are looked for: the pod's own namespace, then the shared one. */
export interface MatchScope {
  readonly namespace: string;
  readonly sharedNamespace: string;
}

export interface Match<T extends Matchable> {
  readonly connector: T;
  /** Further connectors of the same address and namespace that lost by name. */
  readonly rivals: readonly T[];
}

/** Connectors of one namespace, registry and path; the first by name is the one that is used. */
interface Place<T extends Matchable> {
  connector: T;
  rivals: readonly T[];
}

/**
 * Finds the connector of an image: the longest address wins, then the own namespace, then the first name. The cost
 * depends on the depth of the repository's path and not on the number of connectors.
 */
export class ConnectorIndex<T extends Matchable> {
  /** namespace → registry → path prefix. */
  readonly #namespaces = new Map<string, Map<string, Map<string, Place<T>>>>();

  constructor(connectors: Iterable<T> = []) {
    for (const connector of connectors) this.add(connector);
  }

  add(connector: T): void {
    const { key, address } = connector;
    const registries = childOf(this.#namespaces, key.namespace, () => new Map());
    for (const registry of address.registries) {
      const places = childOf(registries, registry, () => new Map());
      const place = places.get(address.pathPrefix);
      places.set(address.pathPrefix, toPlace(place === undefined ? [connector] : [...membersOf(place), connector]));
    }
  }

  /** Takes out the very object that was added. */
  delete(connector: T): void {
    const { key, address } = connector;
    const registries = this.#namespaces.get(key.namespace);
    for (const registry of address.registries) {
      const places = registries?.get(registry);
      const place = places?.get(address.pathPrefix);
      if (registries === undefined || places === undefined || place === undefined) continue;
      const others = membersOf(place).filter((member) => member !== connector);
      if (others.length > 0) places.set(address.pathPrefix, toPlace(others));
      else places.delete(address.pathPrefix);
      if (places.size === 0) registries.delete(registry);
    }
    if (registries?.size === 0) this.#namespaces.delete(key.namespace);
  }

  find(reference: ImageReference, scope: MatchScope): Match<T> | undefined {
    const own = this.#namespaces.get(scope.namespace)?.get(reference.registry);
    const shared = this.#namespaces.get(scope.sharedNamespace)?.get(reference.registry);
    if (own === undefined && shared === undefined) return undefined;
    for (let prefix: string | undefined = repositoryOf(reference); prefix !== undefined; prefix = parentPath(prefix)) {
      const match = own?.get(prefix) ?? shared?.get(prefix);
      if (match !== undefined) return match;
    }
    return undefined;
  }
}

const membersOf = <T extends Matchable>({ connector, rivals }: Place<T>): readonly T[] => [connector, ...rivals];

function toPlace<T extends Matchable>(members: readonly T[]): Place<T> {
  const [connector, ...rivals] = members.toSorted((a, b) => (a.key.name < b.key.name ? -1 : 1));
  return { connector: connector as T, rivals };
}

function childOf<V>(map: Map<string, V>, key: string, make: () => V): V {
  const present = map.get(key);
  if (present !== undefined) return present;
  const made = make();
  map.set(key, made);
  return made;
}

/** `a/b` of `a/b/c`, the empty path of `a`, nothing of the empty path. */
function parentPath(path: string): string | undefined {
  return path === '' ? undefined : path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** Whether a connector's address covers an image, whoever may use it. */
export function matches({ address }: Matchable, reference: ImageReference): boolean {
  return address.registries.includes(reference.registry) && isWithinPath(repositoryOf(reference), address.pathPrefix);
}
