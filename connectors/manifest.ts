import type { FieldPath, FieldProblem } from './field-problem.ts';
import { type LocatedYaml, locateYaml } from './located-yaml.ts';
import { connectorApiVersion, connectorGroup, type Document, documentSchemas } from './schema.ts';

/** A document with the means to say where its fields stand. */
export interface LocatedDocument {
  readonly value: Document;
  readonly file: string;
  lineOf(field: FieldPath): number;
}

export interface ParsedManifests {
  readonly documents: readonly LocatedDocument[];
  readonly problems: readonly FieldProblem[];
  /** Documents of kinds that are not ours, as `apps/v1 Deployment`; they are passed over. */
  readonly skipped: readonly string[];
}

/** Reads a file of one or more YAML documents. Never throws: what is wrong comes back as problems. */
export function parseManifests(text: string, file: string): ParsedManifests {
  const documents: LocatedDocument[] = [];
  const problems: FieldProblem[] = [];
  const skipped: string[] = [];
  for (const yaml of locateYaml(text, file)) {
    const read = readDocument(yaml);
    if (read.kind === 'document') documents.push(read.document);
    if (read.kind === 'problems') problems.push(...read.problems);
    if (read.kind === 'skipped') skipped.push(read.what);
  }
  return { documents, problems, skipped };
}

type ReadDocument =
  | { kind: 'document'; document: LocatedDocument }
  | { kind: 'problems'; problems: readonly FieldProblem[] }
  | { kind: 'skipped'; what: string }
  | { kind: 'empty' };

function readDocument(yaml: LocatedYaml): ReadDocument {
  const read = yaml.read();
  if (!read.ok) return { kind: 'problems', problems: read.problems };
  const { value } = read;
  if (value === null || value === undefined) return { kind: 'empty' };
  const { apiVersion, kind } = (typeof value === 'object' ? value : {}) as { apiVersion?: unknown; kind?: unknown };
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
    return { kind: 'problems', problems: [yaml.problem([], 'a document needs the texts apiVersion and kind')] };
  }
  const name = `${apiVersion}/${kind}`;
  if (!Object.hasOwn(documentSchemas, name)) return unknownKind(yaml, apiVersion, kind);
  const parsed = documentSchemas[name as keyof typeof documentSchemas].safeParse(value);
  if (!parsed.success) return { kind: 'problems', problems: yaml.problemsOf(parsed.error) };
  const { file } = yaml;
  return { kind: 'document', document: { value: parsed.data, file, lineOf: (field) => yaml.lineOf(field) } };
}

/** A typing error in our own group must not pass in silence; other people's kinds may lie in the same folder. */
function unknownKind(yaml: LocatedYaml, apiVersion: string, kind: string): ReadDocument {
  if (!apiVersion.startsWith(`${connectorGroup}/`)) return { kind: 'skipped', what: `${apiVersion} ${kind}` };
  const message = `there is no ${apiVersion} ${kind}: the kinds are ${connectorApiVersion} Connector and ConnectorClass`;
  return { kind: 'problems', problems: [yaml.problem(['kind'], message)] };
}
