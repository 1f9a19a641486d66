import { LineCounter, type Document as YamlDocument } from 'yaml';
import { formatProblem } from '../connectors/field-problem.ts';
import { faultsOf, parseYamlStream } from '../connectors/yaml-stream.ts';
import { isObject, listOf, type RawObject } from '../webhook/raw.ts';

const aliasesMax = 100;

/**
 * The Kubernetes objects of a stream of YAML or JSON, read as kubectl reads it: documents without content are passed
 * over, and a List stands for its items.
 * @throws Error with file and line, which does not quote the text
 */
export function readObjects(text: string, file: string): readonly RawObject[] {
  const lines = new LineCounter();
  const problemAt = (offset: number, message: string): string =>
    formatProblem({ file, line: Math.max(1, lines.linePos(offset).line), field: '', message });
  const documents = parseYamlStream(text, lines);
  const faults = documents.flatMap((document) => faultsOf(document));
  if (faults.length > 0) throw new Error(faults.map(({ offset, message }) => problemAt(offset, message)).join('\n'));
  const objects: RawObject[] = [];
  let isEmpty = true;
  for (const document of documents) {
    const value = contentOf(document);
    if (value === null) continue;
    isEmpty = false;
    const items = itemsOf(value);
    const offset = document.contents?.range?.[0] ?? 0;
    if (items === undefined) throw new Error(problemAt(offset, 'this does not hold Kubernetes objects'));
    objects.push(...items);
  }
  if (isEmpty) throw new Error(`${file} does not hold Kubernetes objects`);
  return objects;
}

/** Null for a document without content; undefined for one that grows too large. */
function contentOf(document: YamlDocument): unknown {
  try {
    return document.toJS({ maxAliasCount: aliasesMax }) ?? null;
  } catch {
    return undefined;
  }
}

/** The object itself, or those of a List; undefined where anything else stands. */
function itemsOf(value: unknown): readonly RawObject[] | undefined {
  if (!isObject(value)) return undefined;
  if (value['kind'] !== 'List' || value['apiVersion'] !== 'v1') return [value];
  const items = listOf(value['items'])?.map(itemsOf);
  return items?.every((item) => item !== undefined) ? items.flat() : undefined;
}
