import { formatKey, parseKey } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { connectorAnnotation } from './annotations.ts';
import { quote, type Warnings } from './warnings.ts';

/** The connectors that the images of a pod may use. */
export type ConnectorChoice =
  /** Those of its namespace and the shared ones: the longest address wins. */
  | { readonly kind: 'any' }
  | { readonly kind: 'only'; readonly connector: ResolvedConnector }
  /** One was chosen that cannot be found: no other takes its place. */
  | { readonly kind: 'unknown' };

const any: ConnectorChoice = { kind: 'any' };
const unknown: ConnectorChoice = { kind: 'unknown' };

/** Reads the explicit choice, `<namespace>/<name>` or `<name>`; `text` is undefined when none was made. */
export function chooseConnector(
  text: string | undefined,
  namespace: string,
  catalogue: ConnectorCatalogue,
  warnings: Warnings,
): ConnectorChoice {
  if (text === undefined) return any;
  const key = parseKey(text, namespace);
  if (key === undefined) {
    warnings.add(`annotation ${connectorAnnotation} is ${quote(text)}, not <namespace>/<name>: images are left alone`);
    return unknown;
  }
  const connector = catalogue.connector(key);
  if (connector === undefined) {
    warnings.add(`annotation ${connectorAnnotation}: there is no connector ${formatKey(key)}: images are left alone`);
    return unknown;
  }
  return { kind: 'only', connector };
}
