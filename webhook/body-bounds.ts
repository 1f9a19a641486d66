/** No review is deeper; parsers pay for depth with stack or memory. */
const depthMax = 128;
/** Objects and lists in one body: the largest pods have some thousands. A list of empty lists would be millions. */
const containersMax = 200_000;

const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket] = [...'"\\{}[]'].map((character) =>
  character.charCodeAt(0),
);

/** Whether a text could be a review at all, by its brackets, before anything is parsed. */
export function isWithinBounds(text: string): boolean {
  let depth = 0;
  let containers = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfString(text, at + 1);
    } else if (code === openBrace || code === openBracket) {
      depth += 1;
      containers += 1;
      if (depth > depthMax || containers > containersMax) return false;
    } else if (code === closeBrace || code === closeBracket) {
      depth -= 1;
    }
  }
  return true;
}

/** Where the quotation mark is that ends a string. */
function endOfString(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === backslash ? 2 : 1;
  return at;
}

/** Bytes of bodies that are being read or answered at once, by all who call. */
export class BodyBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Takes `bytes`; false where there are not so many left. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}
