import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import { connectorsMax, filesMax, isFileName, namesMax } from '../connectors/configurations/protocol.ts';
import { configurationsAnnotation } from './annotations.ts';
import { type ConfigurationParams, fitParams, readParams } from './configuration-params.ts';
import type { ConnectorChoice } from './connector-choice.ts';
import type { ImageDecision } from './decision.ts';
import { configurationsOf, knownNames } from './declared-configurations.ts';
import { type Injection, injectionsOf } from './injection.ts';
import { quote, type Warnings } from './warnings.ts';

/** Client configurations that a pod asks for. */
export interface WantedConfigurations {
  /** Connectors that they are rendered for; at least one. */
  readonly connectors: readonly ConnectorKey[];
  readonly names: readonly string[];
  /** Names of files to leave out. */
  readonly excluded: readonly string[];
  readonly params: ConfigurationParams;
  readonly injections: readonly Injection[];
}

const configurationName = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;
const isEntry = (text: string): boolean =>
  text.startsWith('!') ? isFileName(text.slice(1)) : configurationName.test(text);

export interface ConfigurationScope {
  readonly namespace: string;
  readonly catalogue: ConnectorCatalogue;
  readonly choice: ConnectorChoice;
  readonly warnings: Warnings;
}

/** The annotations that ask for configurations, of the pod or else of its namespace. */
export interface ConfigurationAnnotations {
  readonly names: string;
  readonly params: string | undefined;
}

/** Reads the annotations; undefined when nothing is asked for, or nothing can be given. An empty text asks for nothing. */
export function wantedConfigurations(
  annotations: ConfigurationAnnotations,
  images: readonly ImageDecision[],
  scope: ConfigurationScope,
): WantedConfigurations | undefined {
  const { warnings } = scope;
  const asked = parseNames(annotations.names, warnings);
  const isNothing = asked.names.length === 0 && asked.excluded.length === 0;
  if (isNothing || scope.choice.kind === 'unknown') return undefined;
  const connectors = within(connectorsFor(images, scope), connectorsMax, 'connectors', warnings);
  if (connectors.length === 0) {
    warnings.add(`annotation ${configurationsAnnotation}: namespace ${scope.namespace} has no connector to configure`);
    return undefined;
  }
  const declared = configurationsOf(connectors, scope.catalogue);
  const known = knownNames(asked.names, connectors, declared, warnings);
  const { names, params } = fitParams(known, declared, readParams(annotations.params, warnings), warnings);
  if (names.length === 0 && asked.names.length > 0) return undefined;
  const injections = injectionsOf(names, declared, warnings);
  return { connectors, names, excluded: asked.excluded, params, injections };
}

function parseNames(text: string, warnings: Warnings): Pick<WantedConfigurations, 'names' | 'excluded'> {
  const entries = text.split(',').map((entry) => entry.trim());
  const named = entries.filter((entry) => entry !== '');
  const invalid = named.find((entry) => !isEntry(entry));
  if (invalid !== undefined) {
    warnings.add(`annotation ${configurationsAnnotation}: ${quote(invalid)} is not the name of a configuration`);
  }
  const valid = [...new Set(named.filter(isEntry))];
  const names = valid.filter((entry) => !entry.startsWith('!'));
  const excluded = valid.filter((entry) => entry.startsWith('!')).map((entry) => entry.slice(1));
  return {
    names: within(names, namesMax, 'names', warnings),
    excluded: within(excluded, filesMax, 'files that are left out', warnings),
  };
}

/** The first `max`: a volume that asks for more never gets ready. */
function within<T>(list: readonly T[], max: number, what: string, warnings: Warnings): readonly T[] {
  if (list.length <= max) return list;
  warnings.add(`client configurations are for the first ${max} ${what} of ${list.length}: no volume takes more`);
  return list.slice(0, max);
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
