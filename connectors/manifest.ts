import { isMap, isNode, isPair, isScalar, isSeq, LineCounter, type Document as YamlDocument } from 'yaml';
import type { z } from 'zod';
import { connectorApiVersion, connectorGroup, type Document, documentSchemas } from './schema.ts';
import { faultsMax, faultsOf, parseYamlStream } from './yaml-stream.ts';

/** What is wrong with a manifest, and where. */
export interface ManifestProblem {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** Path of the field, as `spec.auth.secretRef.name`; empty for the document. */
  readonly field: string;
  readonly message: string;
}

export type FieldPath = readonly (string | number)[];

/** A document with the means to say where its fields stand. */
export interface LocatedDocument {
  readonly value: Document;
  readonly file: string;
  lineOf(field: FieldPath): number;
}

export interface ParsedManifests {
  readonly documents: readonly LocatedDocument[];
  readonly problems: readonly ManifestProblem[];
  /** Documents of kinds that are not ours, as `apps/v1 Deployment`; they are passed over. */
  readonly skipped: readonly string[];
}

export function formatProblem(problem: ManifestProblem): string {
  const field = problem.field === '' ? '' : `${problem.field}: `;
  return `${problem.file}:${problem.line}: ${field}${problem.message}`;
}

export function formatField(path: FieldPath): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : at === 0 ? part : `.${part}`)).join('');
}

/** Reads a file of one or more YAML documents. Never throws: what is wrong comes back as problems. */
export function parseManifests(text: string, file: string): ParsedManifests {
  const documents: LocatedDocument[] = [];
  const problems: ManifestProblem[] = [];
  const skipped: string[] = [];
  const lines = new LineCounter();
  for (const yaml of parseYamlStream(text, lines)) {
    const located = new Located(yaml, file, lines);
    const faults = faultsOf(yaml);
    problems.push(...faults.map((fault) => located.problemAt(fault.offset, fault.message)));
    if (faults.length > 0) continue;
    const read = readDocument(located);
    if (read.kind === 'document') documents.push(read.document);
    if (read.kind === 'problems') problems.push(...read.problems);
    if (read.kind === 'skipped') skipped.push(read.what);
  }
  return { documents, problems, skipped };
}

type ReadDocument =
  | { kind: 'document'; document: LocatedDocument }
  | { kind: 'problems'; problems: readonly ManifestProblem[] }
  | { kind: 'skipped'; what: string }
  | { kind: 'empty' };

function readDocument(located: Located): ReadDocument {
  let value: unknown;
  try {
    value = located.yaml.toJS({ maxAliasCount: 100 });
  } catch {
    return { kind: 'problems', problems: [located.problem([], 'its aliases make it too large')] };
  }
  if (value === null || value === undefined) return { kind: 'empty' };
  const { apiVersion, kind } = (typeof value === 'object' ? value : {}) as { apiVersion?: unknown; kind?: unknown };
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
    return { kind: 'problems', problems: [located.problem([], 'a document needs the texts apiVersion and kind')] };
  }
  const name = `${apiVersion}/${kind}`;
  if (!Object.hasOwn(documentSchemas, name)) return unknownKind(located, apiVersion, kind);
  const parsed = documentSchemas[name as keyof typeof documentSchemas].safeParse(value);
  if (parsed.success) return { kind: 'document', document: located.with(parsed.data) };
  const problems = parsed.error.issues.slice(0, faultsMax).flatMap((issue) => located.problemsOf(issue));
  return { kind: 'problems', problems: problems.slice(0, faultsMax) };
}

/** A typing error in our own group must not pass in silence; other people's kinds may lie in the same folder. */
function unknownKind(located: Located, apiVersion: string, kind: string): ReadDocument {
  if (!apiVersion.startsWith(`${connectorGroup}/`)) return { kind: 'skipped', what: `${apiVersion} ${kind}` };
  const message = `there is no ${apiVersion} ${kind}: the kinds are ${connectorApiVersion} Connector and ConnectorClass`;
  return { kind: 'problems', problems: [located.problem(['kind'], message)] };
}

class Located {
  readonly yaml: YamlDocument;
  readonly #file: string;
  readonly #lines: LineCounter;

  constructor(yaml: YamlDocument, file: string, lines: LineCounter) {
    this.yaml = yaml;
    this.#file = file;
    this.#lines = lines;
  }

  with(value: Document): LocatedDocument {
    return { value, file: this.#file, lineOf: (field) => this.#lineAt(this.#offsetOf(field)) };
  }

  problem(field: FieldPath, message: string): ManifestProblem {
    return { file: this.#file, line: this.#lineAt(this.#offsetOf(field)), field: formatField(field), message };
  }

  problemAt(offset: number, message: string): ManifestProblem {
    return { file: this.#file, line: this.#lineAt(offset), field: '', message };
  }

  problemsOf(issue: z.core.$ZodIssue): ManifestProblem[] {
    const path = issue.path.filter((part) => typeof part !== 'symbol');
    if (issue.code !== 'unrecognized_keys') return [this.problem(path, issue.message)];
    return issue.keys.slice(0, faultsMax).map((key) => this.problem([...path, key], 'unknown field'));
  }

  #lineAt(offset: number): number {
    return Math.max(1, this.#lines.linePos(offset).line);
  }

  /** Where the field's key stands, or that of the nearest parent which is there. */
  #offsetOf(field: FieldPath): number {
    let node: unknown = this.yaml.contents;
    let offset = isNode(node) ? (node.range?.[0] ?? 0) : (this.yaml.range?.[0] ?? 0);
    for (const part of field) {
      const [place, value] = childOf(node, part);
      if (!isNode(place)) break;
      offset = place.range?.[0] ?? offset;
      node = value;
    }
    return offset;
  }
}

/** The node that marks where `part` of a map or sequence stands, and its value. */
function childOf(node: unknown, part: string | number): [place: unknown, value: unknown] {
  if (isSeq(node)) return [node.items[Number(part)], node.items[Number(part)]];
  if (!isMap(node)) return [undefined, undefined];
  const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(part));
  return [pair?.key, pair?.value];
}
