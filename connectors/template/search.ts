import type { Budget } from './budget.ts';

/** So short that the search of the language itself is quick on every text. */
const maxNative = 16;

/**
 * Finds `part` in texts in time that grows as both lengths do. What the language has takes their product on some texts:
 * seconds for an `a` that is repeated, and a `b` with half as many.
 */
export function finderOf(part: string): (text: string, from: number) => number {
  if (part.length <= maxNative) return (text, from) => text.indexOf(part, from);
  const borders = bordersOf(part);
  return (text, from) => {
    let matched = 0;
    for (let at = from; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      while (matched > 0 && unit !== part.charCodeAt(matched)) matched = borders[matched - 1] ?? 0;
      if (unit === part.charCodeAt(matched)) matched++;
      if (matched === part.length) return at - matched + 1;
    }
    return -1;
  };
}

/** Of Knuth, Morris and Pratt: how much of each prefix's start is also its end. */
function bordersOf(part: string): Int32Array {
  const borders = new Int32Array(part.length);
  let border = 0;
  for (let at = 1; at < part.length; at++) {
    const unit = part.charCodeAt(at);
    while (border > 0 && unit !== part.charCodeAt(border)) border = borders[border - 1] ?? 0;
    if (unit === part.charCodeAt(border)) border++;
    borders[at] = border;
  }
  return borders;
}

/** Go's strings.Split: an empty separator gives the characters. */
export function splitText(text: string, separator: string, budget: Budget): string[] {
  budget.spendReading(text.length + separator.length);
  if (separator === '') {
    budget.spend(text.length);
    return [...text];
  }
  const find = finderOf(separator);
  const parts: string[] = [];
  let from = 0;
  for (let at = find(text, 0); at !== -1; at = find(text, from)) {
    budget.spend(1 / 4);
    parts.push(text.slice(from, at));
    from = at + separator.length;
  }
  parts.push(text.slice(from));
  return parts;
}
