import {
  type ErrorCode,
  isPair,
  isScalar,
  type LineCounter,
  type Node,
  parseAllDocuments,
  type Tags,
  visit,
  type YAMLError,
  type YAMLMap,
  type Document as YamlDocument,
} from 'yaml';

/** What is wrong with a YAML document, and where: an offset into the text. */
export interface YamlFault {
  readonly offset: number;
  readonly message: string;
}

/** The documents of a stream, with the YAML that the Kubernetes tools read: 1.1, where `2001-01-01` and `12:30` are text. */
export function parseYamlStream(text: string, lineCounter: LineCounter): readonly YamlDocument[] {
  const documents = parseAllDocuments(text, {
    lineCounter,
    version: '1.1',
    customTags: (tags) => tags.filter((tag) => !isNoTagOfKubernetes(tag)),
    // The library's own check takes quadratic time, and its messages and warnings quote the text.
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
  });
  // An empty stream is answered with an object that is an array only in type.
  return Array.isArray(documents) ? documents : [];
}

const isNoTagOfKubernetes = (tag: Tags[number]): boolean =>
  typeof tag === 'object' && (tag.tag === 'tag:yaml.org,2002:timestamp' || ('format' in tag && tag.format === 'TIME'));

/** Nobody mends more at a time. */
export const faultsMax = 10;
const aliasesMax = 100;

/** What keeps a document from being a value as JSON has them; at most ten faults, none of which quotes the document. */
export function faultsOf(document: YamlDocument): readonly YamlFault[] {
  const unknownTags = document.warnings.filter((warning) => warning.code === 'TAG_RESOLVE_FAILED');
  const errors = [...document.errors, ...unknownTags].slice(0, faultsMax);
  if (errors.length > 0) return errors.map((error) => ({ offset: error.pos[0], message: messageOf(error) }));
  return [...repeatedKeys(document), ...badAliases(document)].slice(0, faultsMax);
}

function repeatedKeys(document: YamlDocument): YamlFault[] {
  const faults: YamlFault[] = [];
  visit(document, {
    Map: (_key, map) => {
      for (const key of repeatedKeysOf(map)) faults.push({ offset: offsetOf(key), message: 'the key stands twice' });
    },
  });
  return faults;
}

function* repeatedKeysOf(map: YAMLMap): Generator<Node> {
  const seen = new Set<string>();
  for (const pair of map.items) {
    if (!isPair(pair) || !isScalar(pair.key)) continue;
    const key = String(pair.key.value);
    if (seen.has(key)) yield pair.key;
    seen.add(key);
  }
}

function badAliases(document: YamlDocument): YamlFault[] {
  const faults: YamlFault[] = [];
  let count = 0;
  visit(document, {
    Alias: (_key, alias, path) => {
      count += 1;
      const isTooMany = count > aliasesMax;
      // To resolve an alias is to search the document.
      const message = isTooMany ? `more than ${aliasesMax} aliases` : faultOf(alias.resolve(document), path);
      if (message !== undefined) faults.push({ offset: offsetOf(alias), message });
      return isTooMany ? visit.BREAK : undefined;
    },
  });
  return faults;
}

function faultOf(target: Node | undefined, path: readonly unknown[]): string | undefined {
  if (target === undefined) return 'an alias without anchor: quote a text that starts with "*"';
  return path.includes(target) ? 'an alias to what it stands in' : undefined;
}

const offsetOf = (node: Node): number => node.range?.[0] ?? 0;

/** Codes whose messages are constants. The others quote the text, which may be a Secret's. */
const constantMessages: ReadonlySet<ErrorCode> = new Set([
  'ALIAS_PROPS',
  'BAD_INDENT',
  'BLOCK_AS_IMPLICIT_KEY',
  'BLOCK_IN_FLOW',
  'KEY_OVER_1024_CHARS',
  'MISSING_CHAR',
  'MULTILINE_IMPLICIT_KEY',
  'MULTIPLE_ANCHORS',
  'MULTIPLE_TAGS',
  'TAB_AS_INDENT',
]);
const sentences: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: 'not a valid anchor or alias',
  BAD_DIRECTIVE: 'not a valid directive: quote a text that starts with "%"',
  BAD_DQ_ESCAPE: 'not a valid escape sequence: write "\\\\" for a backslash',
  BAD_SCALAR_START: 'a text cannot start with this character: quote it',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAG_RESOLVE_FAILED: 'a tag that is not known: quote a text that starts with "!"',
  UNEXPECTED_TOKEN: 'nothing like this can stand here',
};

function messageOf({ code, message }: YAMLError): string {
  return constantMessages.has(code) ? message : (sentences[code] ?? 'not valid YAML');
}
