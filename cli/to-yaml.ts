import { Scalar, stringify, type Tags } from 'yaml';

/**
 * YAML as people write it, without line folding and anchors, that means the same to readers of YAML 1.1, as the
 * Kubernetes tools are, and of 1.2: `"yes"`, `"0644"` and `"12:30"` stay texts, whoever reads them.
 */
export const toYaml = (value: unknown): string =>
  stringify(value, { version: '1.1', customTags: withSafeTexts, lineWidth: 0, aliasDuplicateObjects: false });

type ScalarTag = Extract<Exclude<Tags[number], string>, { stringify?: unknown; resolve: unknown }>;

/** The library quotes what would be no text to its own YAML 1.1; here more is quoted, and `<<` is a key as any other. */
function withSafeTexts(tags: Tags): Tags {
  const known = tags.filter((tag) => typeof tag !== 'object' || tag.tag !== 'tag:yaml.org,2002:merge');
  return known.map((tag) => (typeof tag === 'object' && tag.tag === 'tag:yaml.org,2002:str' ? safeText(tag) : tag));
}

function safeText(tag: Exclude<Tags[number], string>): ScalarTag {
  const { stringify } = tag as ScalarTag;
  return {
    ...(tag as ScalarTag),
    stringify: (item, context, ...callbacks) => {
      const text = String(item.value);
      if (unprintable.test(text) || isRaggedBlock(text)) return escaped(text);
      const quoted = new Scalar(text);
      quoted.type = Scalar.QUOTE_DOUBLE;
      const written = isAmbiguous(text) ? quoted : item;
      return stringify?.(written as typeof item, context, ...callbacks) ?? escaped(text);
    },
  };
}

/** What one reader or another takes for a number, a time, or a merge key: `0o17`, `1e3`, `1_000`, `<<`. */
const isAmbiguous = (text: string): boolean =>
  /^[-+.]*\d[\d_.,:+\-a-fA-FoxTZtz ]*$/.test(text) ||
  /^[-+]?\.?[eE][-+]?\d/.test(text) ||
  text === '<<' ||
  text === '=';

/** Lines that readers disagree about as a block: with tabs, of blanks only, or where the first is empty or indented. */
const isRaggedBlock = (text: string): boolean => text.includes('\n') && /\t|^\s|\n +(?:\n|$)/.test(text);

/** Controls, line breaks that only YAML 1.1 knows, byte order marks, and halves of surrogate pairs. */
const unprintable = /[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]/u;
const eachUnprintable = new RegExp(unprintable.source, 'gu');

function escaped(text: string): string {
  const hex = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(text).replace(eachUnprintable, hex);
}
