import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import { type DeclaredConfigurations, declaredConfigurations } from '../connectors/configurations/declared.ts';
import { quote, type Warnings } from './warnings.ts';

/** What the classes of connectors declare; undefined where no class can be read. */
export function configurationsOf(
  connectors: readonly ConnectorKey[],
  catalogue: ConnectorCatalogue,
): DeclaredConfigurations | undefined {
  const documents = connectors.flatMap((key) => catalogue.documents(key) ?? []);
  return documents.length === 0 ? undefined : declaredConfigurations(documents);
}

/** The names that are declared; the others with a warning, because a volume that asks for them never gets ready. */
export function knownNames(
  names: readonly string[],
  connectors: readonly ConnectorKey[],
  declared: DeclaredConfigurations | undefined,
  warnings: Warnings,
): readonly string[] {
  if (declared === undefined) return names;
  for (const name of names.filter((wanted) => !declared.has(wanted))) {
    const [first] = connectors;
    const whose = connectors.length === 1 && first !== undefined ? `connector ${formatKey(first)} has` : 'there are';
    const there = declared.size === 0 ? 'none' : enumerate([...declared.keys()]);
    warnings.add(`configuration ${quote(name)} is left out, there is none of that name: ${whose} ${there}`);
  }
  return names.filter((name) => declared.has(name));
}

/** `"a", "b", 3 more`. */
function enumerate(names: readonly string[]): string {
  const shown = names.slice(0, 6).map((name) => quote(name));
  return [...shown, ...(names.length > shown.length ? [`${names.length - shown.length} more`] : [])].join(', ');
}
