import { createHash } from 'node:crypto';
import type { Budget } from './budget.ts';
import { toTexts } from './convert.ts';
import { formatValue } from './format-value.ts';
import { goQuote } from './quote.ts';
import { finderOf, splitText } from './search.ts';
import { type FunctionTable, fixed, variadic } from './signature.ts';
import { Refusal } from './template-error.ts';
import { joinedTexts } from './text-builder.ts';
import { type GoMap, typedList, type Value } from './values.ts';

/** Go's strings.SplitN. */
function splitLimited(text: string, separator: string, limit: number, budget: Budget): string[] {
  if (limit === 0) return [];
  const parts = splitText(text, separator, budget);
  if (limit < 0 || parts.length <= limit) return parts;
  return [...parts.slice(0, limit - 1), parts.slice(limit - 1).join(separator)];
}

function numbered(parts: readonly string[], budget: Budget): GoMap {
  budget.spend(parts.length);
  return new Map(parts.map((part, at) => [`_${at}`, part]));
}

/** Go's strings.ReplaceAll, without what a dollar means to JavaScript. */
function replaceText(text: string, from: string, to: string, budget: Budget): string {
  const parts = splitText(text, from, budget);
  const pieces = from === '' ? ['', ...parts, ''] : parts;
  if (from === '' && parts.length === 0) return to;
  budget.spendText(text.length + (pieces.length - 1) * to.length);
  return pieces.join(to);
}

function repeatText(text: string, count: number, budget: Budget): string {
  if (count < 0) throw new Refusal('repeat wants a count that is not negative');
  budget.spendText(text.length * count);
  return text.repeat(count);
}

function indentText(text: string, spaces: number, budget: Budget): string {
  if (spaces < 0) throw new Refusal('indent wants a number of spaces that is not negative');
  budget.spendText(spaces);
  const pad = ' '.repeat(spaces);
  return pad + replaceText(text, '\n', `\n${pad}`, budget);
}

/** Cuts bytes as Go does; a character that is cut in two becomes U+FFFD. */
function bytesOf(text: string, start: number, end?: number): string {
  const bytes = Buffer.from(text);
  const to = end ?? bytes.length;
  if (start > to || to > bytes.length || start < 0 || to < 0) {
    throw new Refusal(`there are no bytes ${start} to ${to} in a text of ${bytes.length}`);
  }
  return bytes.subarray(start, to).toString();
}

function substring(start: number, end: number, text: string): string {
  if (start < 0) return bytesOf(text, 0, end);
  return end < 0 || end > Buffer.byteLength(text) ? bytesOf(text, start) : bytesOf(text, start, end);
}

function truncated(count: number, text: string): string {
  const length = Buffer.byteLength(text);
  if (count < 0) return length + count > 0 ? bytesOf(text, length + count) : text;
  return length > count ? bytesOf(text, 0, count) : text;
}

const unitsAt = (text: string, at: number): 1 | 2 => ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);

/** Go's strings.Trim of the characters of `cutset`. */
function trimCharacters(text: string, cutset: string, budget: Budget): string {
  budget.spend(cutset.length);
  budget.spendSlowReading(text.length);
  const cut = new Set([...cutset].map((character) => character.codePointAt(0)));
  let start = 0;
  let end = text.length;
  while (start < end && cut.has(text.codePointAt(start))) start += unitsAt(text, start);
  for (;;) {
    // Two units of one character at the end are one character.
    const last = end - start > 1 && unitsAt(text, end - 2) === 2 ? end - 2 : end - 1;
    if (last < start || !cut.has(text.codePointAt(last))) return text.slice(start, end);
    end = last;
  }
}

// Go's unicode.IsSpace, which takes U+0085 and not U+FEFF.
const goSpace = '\\t\\n\\v\\f\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const isSpace = new RegExp(`[${goSpace}]`);
const allSpaces = new RegExp(`[${goSpace}]`, 'g');

function trimSpace(text: string, budget: Budget): string {
  budget.spendSlowReading(text.length);
  let start = 0;
  let end = text.length;
  while (start < end && isSpace.test(text.charAt(start))) start++;
  while (end > start && isSpace.test(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}

function titleText(text: string, budget: Budget): string {
  budget.spendSlowReading(text.length);
  // Go's strings.Title: the first letter after what is neither letter, digit nor underscore, nor an apostrophe.
  let isStart = true;
  let titled = '';
  for (const character of text) {
    titled += isStart ? simpleTitle(character) : character;
    isStart = isSeparator(character);
  }
  return titled;
}

const isSeparator = (character: string): boolean =>
  character < '\x80' ? !/[A-Za-z0-9_]/.test(character) : isSpace.test(character);

/** Go maps a character to one character: ß has no upper case there, and İ is i in lower case. */
const simple = (character: string, mapped: string): string =>
  [...mapped].length === 1 ? mapped : character === '\u0130' ? 'i' : character;
/** The letters that are two in one have a case of their own for titles, and Georgian has none. */
const titleCases: ReadonlyMap<string, string> = new Map([
  ...['Ǆǅǆ', 'Ǉǈǉ', 'Ǌǋǌ', 'Ǳǲǳ'].flatMap((forms) => [...forms].map((form) => [form, forms.charAt(1)] as const)),
]);
const simpleTitle = (character: string): string =>
  titleCases.get(character) ?? (/[\u10d0-\u10ff]/.test(character) ? character : simpleUpper(character));
const simpleUpper = (character: string): string => simple(character, character.toUpperCase());
const simpleLower = (character: string): string => simple(character, character.toLowerCase());
const isAscii = (text: string): boolean => !/[^\0-\x7f]/.test(text);

function upper(text: string, budget: Budget): string {
  if (isAscii(text)) return text.toUpperCase();
  budget.spendSlowReading(text.length);
  return text.replace(/[^\0-\x7f]|[a-z]+/gu, (found) => (found < '\x80' ? found.toUpperCase() : simpleUpper(found)));
}

function lower(text: string, budget: Budget): string {
  if (isAscii(text)) return text.toLowerCase();
  budget.spendSlowReading(text.length);
  return text.replace(/[^\0-\x7f]|[A-Z]+/gu, (found) => (found < '\x80' ? found.toLowerCase() : simpleLower(found)));
}

const withoutNil = (values: readonly Value[]): Value[] =>
  values.filter((value) => value !== null && value !== undefined);

const hashOf = (algorithm: string) => fixed(['string'], ([text]) => createHash(algorithm).update(text).digest('hex'));
const split = fixed(['string', 'string'], ([separator, text], budget) =>
  numbered(splitText(text, separator, budget), budget),
);
const trimAll = fixed(['string', 'string'], ([cutset, text], budget) => trimCharacters(text, cutset, budget));

function decodeBase64(text: string): string {
  // Go takes line breaks anywhere, and no other alphabet and no missing padding.
  const compact = text.replace(/[\r\n]/g, '');
  const bytes = Buffer.from(compact, 'base64');
  if (bytes.toString('base64').length !== compact.length || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) {
    throw new Refusal('b64dec wants base64 of the standard alphabet with its padding');
  }
  const decoded = bytes.toString();
  if (Buffer.compare(Buffer.from(decoded), bytes) !== 0) throw new Refusal('what b64dec decodes is no text in UTF-8');
  return decoded;
}

/** sprig's functions of texts. */
export const stringFunctions: FunctionTable = {
  trim: fixed(['string'], ([text], budget) => trimSpace(text, budget)),
  trimAll,
  trimall: trimAll,
  trimSuffix: fixed(['string', 'string'], ([suffix, text]) =>
    text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text,
  ),
  trimPrefix: fixed(['string', 'string'], ([prefix, text]) =>
    text.startsWith(prefix) ? text.slice(prefix.length) : text,
  ),
  upper: fixed(['string'], ([text], budget) => upper(text, budget)),
  lower: fixed(['string'], ([text], budget) => lower(text, budget)),
  title: fixed(['string'], ([text], budget) => titleText(text, budget)),
  replace: fixed(['string', 'string', 'string'], ([from, to, text], budget) => replaceText(text, from, to, budget)),
  contains: fixed(['string', 'string'], ([part, text]) => finderOf(part)(text, 0) !== -1),
  hasPrefix: fixed(['string', 'string'], ([prefix, text]) => text.startsWith(prefix)),
  hasSuffix: fixed(['string', 'string'], ([suffix, text]) => text.endsWith(suffix)),
  repeat: fixed(['int', 'string'], ([count, text], budget) => repeatText(text, count, budget)),
  substr: fixed(['int', 'int', 'string'], ([start, end, text]) => substring(start, end, text)),
  trunc: fixed(['int', 'string'], ([count, text]) => truncated(count, text)),
  nospace: fixed(['string'], ([text], budget) => {
    budget.spendSlowReading(text.length);
    return text.replace(allSpaces, '');
  }),
  indent: fixed(['int', 'string'], ([spaces, text], budget) => indentText(text, spaces, budget)),
  nindent: fixed(['int', 'string'], ([spaces, text], budget) => `\n${indentText(text, spaces, budget)}`),
  quote: variadic([], 'any', (_none, values, budget) =>
    joinedTexts(withoutNil(values), ' ', budget, (value) => goQuote(formatValue(value, budget), budget)),
  ),
  squote: variadic([], 'any', (_none, values, budget) =>
    joinedTexts(withoutNil(values), ' ', budget, (value) => `'${formatValue(value, budget)}'`),
  ),
  cat: variadic([], 'any', (_none, values, budget) =>
    joinedTexts(withoutNil(values), ' ', budget, (value) => formatValue(value, budget)),
  ),
  toString: fixed(['any'], ([value], budget) => formatValue(value, budget)),
  toStrings: fixed(['any'], ([value], budget) => typedList(toTexts(value, budget), 'string')),
  split,
  splitn: fixed(['string', 'int', 'string'], ([separator, limit, text], budget) =>
    numbered(splitLimited(text, separator, limit, budget), budget),
  ),
  splitList: fixed(['string', 'string'], ([separator, text], budget) => {
    const parts = splitText(text, separator, budget);
    budget.spend(parts.length / 4);
    return typedList(parts, 'string');
  }),
  join: fixed(['string', 'any'], ([separator, values], budget) =>
    joinedTexts(toTexts(values, budget), separator, budget, (text) => text),
  ),
  b64enc: fixed(['string'], ([text], budget) => {
    budget.checkLength((Buffer.byteLength(text) / 3) * 4);
    return Buffer.from(text).toString('base64');
  }),
  b64dec: fixed(['string'], ([text]) => decodeBase64(text)),
  sha1sum: hashOf('sha1'),
  sha256sum: hashOf('sha256'),
  sha512sum: hashOf('sha512'),
};
