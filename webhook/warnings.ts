/** Longest warning that API servers and clients show in full (AdmissionResponse, «warnings»). */
const lengthMax = 255;
const countMax = 8;

/** Printable ASCII, cut to `length` characters: warnings travel in a header, and pods may hold anything. */
export function toAscii(text: string, length = lengthMax): string {
  const cut = text.length <= length ? text : `${text.slice(0, length - 3)}...`;
  return cut.replace(/[^\x20-\x7e]/g, '?');
}

/** `text` as it can be shown within a sentence. */
export const quote = (text: string): string => `"${toAscii(text, 80)}"`;

/** Warnings of one decision: each once, and few. */
export class Warnings {
  readonly #texts = new Set<string>();

  add(text: string): void {
    this.#texts.add(toAscii(text));
  }

  list(): readonly string[] {
    const texts = [...this.#texts];
    if (texts.length <= countMax) return texts;
    return [...texts.slice(0, countMax - 1), `${texts.length - countMax + 1} more warnings`];
  }
}
