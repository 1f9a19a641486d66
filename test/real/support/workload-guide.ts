import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const guideFile = join(import.meta.dirname, '../../../docs/guides/workloads.md');

/** A fenced block of the guide for application teams that carries a name: ```sh name=crane. */
export interface Snippet {
  readonly name: string;
  readonly language: string;
  /** As it stands in the guide. */
  readonly text: string;
  /** What annotation `connectors.cpaas.io/configurations` is said to be, last before it. */
  readonly configurations: string;
}

const fence = /^```(?<language>\S*)(?: name=(?<name>\S+))?\n(?<text>[\s\S]*?)^```$/gm;
const annotation = /connectors\.cpaas\.io\/configurations: (?<names>[\w.,!-]+)/g;

/** The named blocks of the guide, by name. Throws where two have the same, and where one that people would run has none. */
export function readGuide(): ReadonlyMap<string, Snippet> {
  const guide = readFileSync(guideFile, 'utf8');
  const annotations = [...guide.matchAll(annotation)];
  const snippets = new Map<string, Snippet>();
  for (const { groups = {}, index } of guide.matchAll(fence)) {
    const { language = '', name, text = '' } = groups;
    if (language === 'text') continue;
    if (name === undefined || snippets.has(name)) throw new Error(`a block needs a name of its own:\n${text}`);
    const configurations = annotations.findLast((found) => found.index < index)?.groups?.['names'] ?? '';
    snippets.set(name, { name, language, text, configurations });
  }
  return snippets;
}
