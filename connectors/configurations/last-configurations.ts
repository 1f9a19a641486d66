import { LRUCache } from 'lru-cache';
import type { ConnectorDocuments } from '../catalogue.ts';
import type { Configuration } from '../schema.ts';
import { declaredConfigurations } from './declared.ts';

const configurationsMax = 1_000;
const sizeMax = 32 * 1024 * 1024;

/**
 * Configurations of classes as they last rendered in this process, whoever they were for: pods that run go on with them
 * while an administrator mends a mistake.
 */
export class LastConfigurations {
  readonly #known = new LRUCache<string, Configuration>({ max: configurationsMax, maxSize: sizeMax });

  /** Told of what has just rendered. */
  remember(names: readonly string[], documents: readonly ConnectorDocuments[]): void {
    const declared = declaredConfigurations(documents);
    for (const name of names) {
      const found = declared.get(name);
      if (found === undefined) continue;
      const { className, configuration } = found;
      const key = keyOf(className, name);
      if (this.#known.get(key) !== configuration) this.#known.set(key, configuration, { size: sizeOf(configuration) });
    }
  }

  /** The documents, with classes whose configurations of these names are those that rendered, where there are any. */
  restore(names: readonly string[], documents: readonly ConnectorDocuments[]): readonly ConnectorDocuments[] {
    return documents.map(({ connector, connectorClass }) => {
      const { metadata, spec } = connectorClass;
      const configurations = names.flatMap(
        (name) =>
          this.#known.get(keyOf(metadata.name, name)) ??
          spec.configurations?.find((candidate) => candidate.name === name) ??
          [],
      );
      return { connector, connectorClass: { ...connectorClass, spec: { ...spec, configurations } } };
    });
  }
}

const keyOf = (className: string, name: string): string => `${className}\n${name}`;

const sizeOf = ({ data = {} }: Configuration): number =>
  Object.values(data).reduce((sum, text) => sum + text.length, 1);
