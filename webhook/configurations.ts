import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import { configurationsAnnotation } from './annotations.ts';
import type { ConnectorChoice } from './connector-choice.ts';
import type { ImageDecision } from './decision.ts';
import { quote, type Warnings } from './warnings.ts';

/** Client configurations that a pod asks for. */
export interface WantedConfigurations {
  /** Names of configurations, and `!file` for files to leave out, as they stand in the annotation. */
  readonly names: readonly string[];
  /** Connectors that they are rendered for; at least one. */
  readonly connectors: readonly ConnectorKey[];
}

const configurationName = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;
const excludedFile = /^![A-Za-z0-9._][A-Za-z0-9._-]{0,252}$/;
const isEntry = (text: string): boolean => configurationName.test(text) || excludedFile.test(text);

export interface ConfigurationScope {
  readonly namespace: string;
  readonly catalogue: ConnectorCatalogue;
  readonly choice: ConnectorChoice;
}

/** Reads the annotation; undefined when nothing is asked for, or nothing can be given. An empty text asks for nothing. */
export function wantedConfigurations(
  text: string | undefined,
  images: readonly ImageDecision[],
  scope: ConfigurationScope,
  warnings: Warnings,
): WantedConfigurations | undefined {
  const names = parseNames(text ?? '', warnings);
  if (names.length === 0 || scope.choice.kind === 'unknown') return undefined;
  const connectors = connectorsFor(images, scope);
  if (connectors.length > 0) return { names, connectors };
  warnings.add(`annotation ${configurationsAnnotation}: namespace ${scope.namespace} has no connector to configure`);
  return undefined;
}

function parseNames(text: string, warnings: Warnings): readonly string[] {
  const entries = text.split(',').map((entry) => entry.trim());
  const named = entries.filter((entry) => entry !== '');
  const invalid = named.find((entry) => !isEntry(entry));
  if (invalid !== undefined) {
    warnings.add(`annotation ${configurationsAnnotation}: ${quote(invalid)} is not the name of a configuration`);
  }
  return [...new Set(named.filter(isEntry))];
}

/** The chosen connector; else those of the pod's images; else all of the namespace. */
function connectorsFor(images: readonly ImageDecision[], scope: ConfigurationScope): readonly ConnectorKey[] {
  const { catalogue, choice, namespace } = scope;
  if (choice.kind === 'only') return [choice.connector.key];
  const used = new Map<string, ConnectorKey>();
  for (const { connector } of images) {
    // A volume that names a connector which does not exist would keep the pod from ever starting.
    if (connector !== undefined && catalogue.connector(connector) !== undefined)
      used.set(formatKey(connector), connector);
  }
  if (used.size > 0) return [...used.values()];
  const own = catalogue.connectors.filter((connector) => connector.key.namespace === namespace);
  return own.map((connector) => connector.key).sort((a, b) => (a.name < b.name ? -1 : 1));
}
