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

/**
 * Finds the connector of an image: the longest address wins, then the own namespace, then the first name. The cost
 * depends on the depth of the repository's path and not on the number of connectors.
 */
export class ConnectorIndex<T extends Matchable> {
  /** namespace → registry → path prefix. */
  readonly #namespaces = new Map<string, Map<string, Map<string, { readonly connector: T; readonly rivals: T[] }>>>();

  constructor(connectors: Iterable<T>) {
    const byName = [...connectors].sort((a, b) => (a.key.name < b.key.name ? -1 : 1));
    for (const connector of byName) this.#add(connector);
  }

  #add(connector: T): void {
    const { key, address } = connector;
    const registries = childOf(this.#namespaces, key.namespace, () => new Map());
    for (const registry of address.registries) {
      const prefixes = childOf(registries, registry, () => new Map());
      const match = prefixes.get(address.pathPrefix);
      if (match === undefined) prefixes.set(address.pathPrefix, { connector, rivals: [] });
      else match.rivals.push(connector);
    }
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
