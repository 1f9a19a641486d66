import { isMap, isNode, isPair, isScalar, isSeq, LineCounter, type Document as YamlDocument } from 'yaml';
import type { z } from 'zod';
import { type FieldPath, type FieldProblem, formatField } from './field-problem.ts';
import { faultsMax, faultsOf, parseYamlStream } from './yaml-stream.ts';

export type ReadYaml = { ok: true; value: unknown } | { ok: false; problems: readonly FieldProblem[] };

/** The documents of a file, which can say where their fields stand. */
export function locateYaml(text: string, file: string): readonly LocatedYaml[] {
  const lines = new LineCounter();
  return parseYamlStream(text, lines).map((document) => new LocatedYaml(document, file, lines));
}

/** A YAML document of a file. No problem quotes what stands in it. */
export class LocatedYaml {
  readonly file: string;
  readonly #document: YamlDocument;
  readonly #lines: LineCounter;

  constructor(document: YamlDocument, file: string, lines: LineCounter) {
    this.#document = document;
    this.file = file;
    this.#lines = lines;
  }

  /** The value as JSON has it; null or undefined for an empty document. */
  read(): ReadYaml {
    const faults = faultsOf(this.#document);
    if (faults.length > 0) {
      return { ok: false, problems: faults.map(({ offset, message }) => this.#problemAt(offset, [], message)) };
    }
    try {
      return { ok: true, value: this.#document.toJS({ maxAliasCount: 100 }) };
    } catch {
      return { ok: false, problems: [this.problem([], 'its aliases make it too large')] };
    }
  }

  /** Where the field's key stands, or that of the nearest parent which is there; counted from 1. */
  lineOf(field: FieldPath): number {
    return this.#lineAt(this.#offsetOf(field));
  }

  problem(field: FieldPath, message: string): FieldProblem {
    return this.#problemAt(this.#offsetOf(field), field, message);
  }

  /** About a document that is not wanted at all: at its `---`. */
  problemAtStart(message: string): FieldProblem {
    return this.#problemAt(this.#document.range?.[0] ?? 0, [], message);
  }

  /** What a schema says of the value; as many problems as anybody mends at a time. */
  problemsOf({ issues }: z.ZodError): readonly FieldProblem[] {
    return issues
      .slice(0, faultsMax)
      .flatMap((issue) => this.#problemsOf(issue))
      .slice(0, faultsMax);
  }

  #problemsOf(issue: z.core.$ZodIssue): FieldProblem[] {
    const path = issue.path.filter((part) => typeof part !== 'symbol');
    if (issue.code !== 'unrecognized_keys') return [this.problem(path, issue.message)];
    return issue.keys.slice(0, faultsMax).map((key) => this.problem([...path, key], 'unknown field'));
  }

  #problemAt(offset: number, field: FieldPath, message: string): FieldProblem {
    return { file: this.file, line: this.#lineAt(offset), field: formatField(field), message };
  }

  #lineAt(offset: number): number {
    return Math.max(1, this.#lines.linePos(offset).line);
  }

  #offsetOf(field: FieldPath): number {
    let node: unknown = this.#document.contents;
    let offset = isNode(node) ? (node.range?.[0] ?? 0) : (this.#document.range?.[0] ?? 0);
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
