import type { Budget } from './budget.ts';
import { simpleEscapes } from './literals.ts';

const escapes = new Map([...simpleEscapes].map(([letter, character]) => [character, `\\${letter}`]));
// What Go's unicode.IsPrint does not take, the quotes and the backslash.
const special = /["'\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;

const specialOrForeign = /["'\\]|[^ -~]/gu;

/** A text between quotes with Go's escapes, as `%q` and strconv.Quote write it; `isAscii` escapes all beyond ASCII. */
export function goQuote(text: string, budget: Budget, quote: '"' | "'" = '"', isAscii = false): string {
  budget.spendSlowReading(text.length);
  const inside = text
    .toWellFormed()
    .replace(isAscii ? specialOrForeign : special, (found) => escapeCharacter(found, quote));
  return quote + inside + quote;
}

function escapeCharacter(found: string, quote: string): string {
  if (found === '"' || found === "'") return found === quote ? `\\${found}` : found;
  const short = escapes.get(found);
  if (short !== undefined) return short;
  const code = found.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code < 0x20 || code === 0x7f) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
