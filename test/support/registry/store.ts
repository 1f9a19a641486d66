import type { ManifestBytes } from '../image.ts';
import type { BlobContent } from './blob.ts';

/** What a registry keeps of one repository. */
export interface Repository {
  readonly blobs: Map<string, BlobContent>;
  readonly manifests: Map<string, ManifestBytes>;
  /** Tag to digest. */
  readonly tags: Map<string, string>;
}

/** All repositories by name; pushing to a new name makes it. */
export class Store {
  readonly #repositories = new Map<string, Repository>();

  find(name: string): Repository | undefined {
    return this.#repositories.get(name);
  }

  open(name: string): Repository {
    const existing = this.#repositories.get(name);
    if (existing !== undefined) return existing;
    const repository: Repository = { blobs: new Map(), manifests: new Map(), tags: new Map() };
    this.#repositories.set(name, repository);
    return repository;
  }

  names(): string[] {
    return [...this.#repositories.keys()].sort();
  }
}
