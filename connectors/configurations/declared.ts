import type { ConnectorDocuments } from '../catalogue.ts';
import type { Configuration } from '../schema.ts';

/** A configuration, and the class that it is of. */
export interface DeclaredConfiguration {
  readonly configuration: Configuration;
  readonly className: string;
}

export type DeclaredConfigurations = ReadonlyMap<string, DeclaredConfiguration>;

/** What connectors have by their classes, by name; of two of the same name, that of the first connector. */
export function declaredConfigurations(documents: readonly ConnectorDocuments[]): DeclaredConfigurations {
  const declared = new Map<string, DeclaredConfiguration>();
  for (const { metadata, spec } of new Set(documents.map(({ connectorClass }) => connectorClass))) {
    for (const configuration of spec.configurations ?? []) {
      if (declared.has(configuration.name)) continue;
      declared.set(configuration.name, { configuration, className: metadata.name });
    }
  }
  return declared;
}
