/** One challenge of a `WWW-Authenticate` header (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** Lower case: schemes are compared without regard to case. */
  readonly scheme: string;
  /** Parameters by lower-case name; the first of a name counts. */
  readonly params: ReadonlyMap<string, string>;
}

/** Longer headers are cut: a challenge has three short parameters. */
const headerLengthMax = 16_384;
const token = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const separators = /[\s,]*/y;
const equals = /[ \t]*=[ \t]*/y;
const spaces = /[ \t]+/y;
const token68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y;
const unquoted = /[^\s,"]+/y;

/**
 * Reads the challenges of a header, or of several, in their order. Commas separate challenges as well as parameters, so
 * a name that no `=` follows begins a challenge. What cannot be read is passed over up to the next comma.
 */
export function parseChallenges(header: string | readonly string[] | undefined): readonly Challenge[] {
  const values = header === undefined ? [] : typeof header === 'string' ? [header] : header;
  return values.flatMap((value) => new ChallengeReader(value.slice(0, headerLengthMax)).read());
}

class ChallengeReader {
  readonly #text: string;
  readonly #challenges: { scheme: string; params: Map<string, string> }[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): readonly Challenge[] {
    for (;;) {
      this.#take(separators);
      if (this.#at >= this.#text.length) return this.#challenges;
      const name = this.#take(token);
      if (name === undefined) this.#skip();
      else if (this.#take(equals) === undefined) this.#begin(name);
      else this.#parameter(name);
    }
  }

  #begin(scheme: string): void {
    this.#challenges.push({ scheme: scheme.toLowerCase(), params: new Map() });
    const before = this.#at;
    // `Negotiate abc==` has a token68 instead of parameters; `Bearer realm=…` must not be taken for one.
    if (this.#take(spaces) !== undefined && this.#take(token68) === undefined) this.#at = before;
  }

  #parameter(name: string): void {
    const value = this.#text[this.#at] === '"' ? this.#quoted() : this.#take(unquoted);
    const params = this.#challenges.at(-1)?.params;
    const key = name.toLowerCase();
    if (params !== undefined && !params.has(key)) params.set(key, value ?? '');
  }

  /** A quoted string with its `\"` pairs; one that never ends takes the rest. */
  #quoted(): string {
    let value = '';
    for (this.#at += 1; this.#at < this.#text.length; this.#at += 1) {
      const character = this.#text[this.#at];
      if (character === '"') {
        this.#at += 1;
        break;
      }
      if (character === '\\') this.#at += 1;
      value += this.#text[this.#at] ?? '';
    }
    return value;
  }

  #skip(): void {
    const comma = this.#text.indexOf(',', this.#at);
    this.#at = comma === -1 ? this.#text.length : comma + 1;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match[0];
  }
}

/** The Bearer challenge that a token can be had for: one that names a realm. */
export const bearerOf = (challenges: readonly Challenge[]): Challenge | undefined =>
  challenges.find(({ scheme, params }) => scheme === 'bearer' && Boolean(params.get('realm')));
