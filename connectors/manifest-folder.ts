import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSignature } from '../platform/file-signature.ts';
import { hasCode } from '../platform/system-error.ts';
import { identityOf, namespaceOf } from './catalogue.ts';
import { checkConnector } from './connector.ts';
import { type FieldProblem, formatField } from './field-problem.ts';
import { type LocatedDocument, parseManifests } from './manifest.ts';
import type { Document } from './schema.ts';

/** A larger file is no manifest; the API server's own limit for an object is 3 MiB. */
const fileBytesMax = 16 * 1024 * 1024;

/** A document and where it begins: all that is kept of a file, whose syntax tree is several times as large. */
interface PlacedDocument {
  readonly value: Document;
  readonly file: string;
  readonly line: number;
}

/** What one file holds: its last good documents, and what is wrong with it now. */
export interface ManifestFile {
  /** Changes when the file does. */
  readonly signature: string;
  readonly documents: readonly PlacedDocument[];
  readonly problems: readonly FieldProblem[];
  readonly skipped: readonly string[];
}

/**
 * Reads the `.yaml` and `.yml` files of a folder and of those below it. A file that has not changed since `before`
 * keeps its object; one that is bad keeps the documents it had in `before`.
 */
export async function readManifestFolder(
  folder: string,
  before: ReadonlyMap<string, ManifestFile>,
): Promise<Map<string, ManifestFile>> {
  const files = new Map<string, ManifestFile>();
  for (const name of (await readdir(folder, { recursive: true })).filter(isManifestName).sort()) {
    const file = await readManifestFile(folder, name, before.get(name));
    if (file !== undefined) files.set(name, file);
  }
  return files;
}

/** Names that begin with `..` are the kubelet's own copies behind the symbolic links of a mounted ConfigMap. */
const isManifestName = (name: string): boolean => /\.ya?ml$/i.test(name) && !/(^|\/)\.\./.test(name);

async function readManifestFile(
  folder: string,
  name: string,
  before: ManifestFile | undefined,
): Promise<ManifestFile | undefined> {
  const path = join(folder, name);
  const bad = (signature: string, problems: readonly FieldProblem[]): ManifestFile => {
    return { signature, documents: before?.documents ?? [], problems, skipped: before?.skipped ?? [] };
  };
  let signature = '';
  try {
    const facts = await stat(path, { bigint: true });
    if (!facts.isFile()) return undefined;
    signature = fileSignature(facts);
    if (before?.signature === signature) return before;
    if (facts.size > fileBytesMax) throw new Error(`larger than ${fileBytesMax} bytes`);
    const { documents, problems, skipped } = parseManifests(await readFile(path, 'utf8'), name);
    const found = [...problems, ...documents.flatMap(connectorProblems)];
    return found.length > 0
      ? bad(signature, found)
      : { signature, documents: documents.map(place), problems: [], skipped };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    const { message } = error as Error;
    // What cannot even be looked at is bad in the same way until something changes.
    if (signature === '') signature = message;
    if (before?.signature === signature) return before;
    return bad(signature, [{ file: name, line: 1, field: '', message: `cannot be read: ${message}` }]);
  }
}

const place = ({ value, file, lineOf }: LocatedDocument): PlacedDocument => ({ value, file, line: lineOf([]) });

function connectorProblems(document: LocatedDocument): FieldProblem[] {
  const { value, file } = document;
  if (value.kind !== 'Connector') return [];
  return checkConnector(value, namespaceOf(value)).map(({ field, message }) => {
    return { file, line: document.lineOf(field), field: formatField(field), message };
  });
}

/** Leaves the first of documents with one identity, and names the others as problems. */
export function withoutDuplicates(documents: readonly PlacedDocument[]): {
  readonly documents: readonly PlacedDocument[];
  readonly problems: readonly FieldProblem[];
} {
  const first = new Map<string, PlacedDocument>();
  const problems: FieldProblem[] = [];
  for (const document of documents) {
    const identity = identityOf(document.value);
    const earlier = first.get(identity);
    if (earlier === undefined) {
      first.set(identity, document);
      continue;
    }
    const message = `${identity} stands already in ${earlier.file}:${earlier.line}, which goes on serving`;
    problems.push({ file: document.file, line: document.line, field: 'metadata.name', message });
  }
  return { documents: [...first.values()], problems };
}
