/** Token kinds of text/template; a keyword's kind is the keyword. */
export type TokenKind =
  | 'text'
  | 'open'
  | 'close'
  | 'space'
  | 'identifier'
  | 'field'
  | 'dot'
  | 'variable'
  | 'string'
  | 'raw string'
  | 'character'
  | 'number'
  | 'bool'
  | 'assign'
  | 'declare'
  | 'pipe'
  | 'left paren'
  | 'right paren'
  | 'punctuation'
  | 'error'
  | 'end of template'
  | Keyword;

const keywords = [
  ...(['block', 'break', 'continue', 'define', 'else', 'end'] as const),
  ...(['if', 'nil', 'range', 'template', 'with'] as const),
] as const;
type Keyword = (typeof keywords)[number];
const keywordNames: ReadonlySet<string> = new Set(keywords);

/** `text` of an error is its message; `at` is the offset in the template. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly at: number;
}

const spaces = /[ \t\r\n]*/y;
const word = /[\p{L}\p{Nd}_]*/uy;
const wordCharacter = /[\p{L}\p{Nd}_]/uy;
// As loose as Go's lexer: what is no number in the end, the parser finds out.
const number =
  /[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*|0[bB][01_]*|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?/y;
const quoted = /"(?:[^"\\\n]|\\[^\n])*"/y;
const character = /'(?:[^'\\\n]|\\[^\n])*'/y;
const trimStart = /^-[ \t\r\n]/;
const trimEnd = /^[ \t\r\n]-\}\}/;

const isSpace = (unit: string): boolean => unit === ' ' || unit === '\n' || unit === '\t' || unit === '\r';
const isKeyword = (text: string): text is Keyword => keywordNames.has(text);

/** Cuts a template into tokens as text/template does. Always ends with `end of template` or `error`. */
export function tokenize(text: string): readonly Token[] {
  return new Lexer(text).run();
}

class Lexer {
  private readonly text: string;
  private readonly tokens: Token[] = [];
  private at = 0;
  private parenDepth = 0;

  constructor(text: string) {
    this.text = text;
  }

  run(): readonly Token[] {
    let isGoingOn = true;
    while (isGoingOn) isGoingOn = this.lexText();
    return this.tokens;
  }

  private emit(kind: TokenKind, end: number): true {
    this.tokens.push({ kind, text: this.text.slice(this.at, end), at: this.at });
    this.at = end;
    return true;
  }

  private fail(message: string, at = this.at): false {
    this.tokens.push({ kind: 'error', text: message, at });
    return false;
  }

  private match(pattern: RegExp, at = this.at): string {
    pattern.lastIndex = at;
    return pattern.exec(this.text)?.[0] ?? '';
  }

  private lexText(): boolean {
    const open = this.text.indexOf('{{', this.at);
    if (open === -1) {
      if (this.at < this.text.length) this.emit('text', this.text.length);
      this.emit('end of template', this.text.length);
      return false;
    }
    const isTrimmed = trimStart.test(this.text.slice(open + 2, open + 4));
    let end = open;
    if (isTrimmed) while (end > this.at && isSpace(this.text.charAt(end - 1))) end--;
    if (end > this.at) this.emit('text', end);
    this.at = open;
    const inside = open + (isTrimmed ? 4 : 2);
    if (this.text.startsWith('/*', inside)) return this.lexComment(inside);
    this.emit('open', open + 2);
    this.at = inside;
    this.parenDepth = 0;
    return this.lexAction();
  }

  private lexComment(start: number): boolean {
    const end = this.text.indexOf('*/', start + 2);
    if (end === -1) return this.fail('the comment has no end: write {{/* ... */}}');
    this.at = end + 2;
    if (!this.isAtClose()) return this.fail('nothing may stand between */ and }}');
    return this.lexClose(false);
  }

  private isAtClose(at = this.at): boolean {
    const first = this.text.charAt(at);
    if (first === '}') return this.text.startsWith('}}', at);
    return isSpace(first) && trimEnd.test(this.text.slice(at, at + 4));
  }

  private lexClose(isToken = true): boolean {
    const isTrimmed = !this.text.startsWith('}}', this.at);
    if (isTrimmed) this.at += 2;
    if (isToken) this.emit('close', this.at + 2);
    else this.at += 2;
    if (isTrimmed) this.at += this.match(spaces).length;
    return true;
  }

  private lexAction(): boolean {
    for (;;) {
      if (this.isAtClose()) {
        return this.parenDepth === 0 ? this.lexClose() : this.fail('a left parenthesis is not closed before }}');
      }
      if (this.at >= this.text.length) return this.fail('the action is not closed: }} is missing');
      if (!this.lexInside()) return false;
    }
  }

  private lexInside(): boolean {
    const first = this.text.charAt(this.at);
    const next = this.text.charAt(this.at + 1);
    if (isSpace(first)) return this.lexSpace();
    if (first === '"') return this.lexDelimited('string', quoted, 'the string is not closed in its line');
    if (first === "'") return this.lexDelimited('character', character, 'the character is not closed in its line');
    if (first === '`') return this.lexRaw();
    if (first === '$') return this.lexName('variable');
    if (first === '.' && next !== '' && !/[0-9]/.test(next)) return this.lexName('field');
    if (/[-+.0-9]/.test(first)) return this.lexNumber();
    if (this.match(wordCharacter) !== '') return this.lexWord();
    return this.lexPunctuation(first, next);
  }

  private lexPunctuation(first: string, next: string): boolean {
    if (first === '=') return this.emit('assign', this.at + 1);
    if (first === '|') return this.emit('pipe', this.at + 1);
    if (first === ':') return next === '=' ? this.emit('declare', this.at + 2) : this.fail('expected :=');
    if (first === '(') {
      this.parenDepth++;
      return this.emit('left paren', this.at + 1);
    }
    if (first === ')') {
      if (--this.parenDepth < 0) return this.fail('there is no left parenthesis for this right one');
      return this.emit('right paren', this.at + 1);
    }
    if (/[!-~]/.test(first)) return this.emit('punctuation', this.at + 1);
    const code = this.text.codePointAt(this.at) ?? 0;
    return this.fail(`character U+${code.toString(16).toUpperCase().padStart(4, '0')} has no meaning in an action`);
  }

  private lexSpace(): boolean {
    let end = this.at + this.match(spaces).length;
    // The last space belongs to the trim marker, as in ` -}}`.
    if (this.text.charAt(end) === '-' && trimEnd.test(this.text.slice(end - 1, end + 3))) end--;
    return end === this.at ? true : this.emit('space', end);
  }

  private lexDelimited(kind: 'string' | 'character', pattern: RegExp, message: string): boolean {
    const found = this.match(pattern);
    return found === '' ? this.fail(message) : this.emit(kind, this.at + found.length);
  }

  private lexRaw(): boolean {
    const end = this.text.indexOf('`', this.at + 1);
    return end === -1 ? this.fail('the raw string is not closed: ` is missing') : this.emit('raw string', end + 1);
  }

  private isTerminated(at: number): boolean {
    if (at >= this.text.length) return true;
    const first = this.text.charAt(at);
    return first === '}' ? this.text.startsWith('}}', at) : ' \t\r\n.,|:)('.includes(first);
  }

  private failCharacter(at: number): false {
    const found = String.fromCodePoint(this.text.codePointAt(at) ?? 0);
    return this.fail(`${JSON.stringify(found)} cannot follow a name: names have letters, digits and _`, at);
  }

  private lexName(kind: 'variable' | 'field'): boolean {
    const end = this.at + 1 + this.match(word, this.at + 1).length;
    if (!this.isTerminated(end)) return this.failCharacter(end);
    return this.emit(kind === 'field' && end === this.at + 1 ? 'dot' : kind, end);
  }

  private lexNumber(): boolean {
    const found = this.match(number);
    const end = this.at + found.length;
    if (this.match(wordCharacter, end) !== '') return this.fail(`${found}${this.match(word, end)} is no number`);
    if (/[-+]/.test(this.text.charAt(end)) || found.endsWith('i'))
      return this.fail('complex numbers are not supported');
    return this.emit('number', end);
  }

  private lexWord(): boolean {
    const found = this.match(word);
    const end = this.at + found.length;
    if (!this.isTerminated(end)) return this.failCharacter(end);
    if (isKeyword(found)) return this.emit(found, end);
    return this.emit(found === 'true' || found === 'false' ? 'bool' : 'identifier', end);
  }
}
