import { type Token, type TokenKind, tokenize } from './lexer.ts';
import { characterNode, numberNode, unquote } from './literals.ts';
import type { BranchNode, CommandNode, OperandNode, PipeNode, StatementNode, TemplateNode } from './nodes.ts';
import { placeOf, Refusal, TemplateError } from './template-error.ts';

/** Deeper than any template that somebody wrote, and far from the end of the stack. */
const maxNesting = 200;
const maxVariables = 256;
/** What a parsed template takes in memory grows with its nodes: this is a few megabytes. */
const maxNodes = 32_768;

export interface ParsedTemplate {
  readonly root: readonly StatementNode[];
  /** What `define` and `block` define, and the template itself, by name. */
  readonly definitions: ReadonlyMap<string, readonly StatementNode[]>;
  /** Statements, pipelines, commands, operands and the names of fields in them. */
  readonly nodeCount: number;
}

/** Throws a Refusal that says why there is no function of this name. */
export type CheckFunction = (name: string) => void;

type BranchKind = BranchNode['kind'];
type ListEnd = { readonly kind: 'end' | 'else' | 'end of template'; readonly token: Token };

/** Reads a template. Throws a TemplateError for the first thing in it that is not text/template. */
export function parse(text: string, name: string, checkFunction: CheckFunction): ParsedTemplate {
  const parser = new Parser(text, checkFunction);
  try {
    return parser.parse(name);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new TemplateError(error.message, placeOf(name, text, error.at ?? parser.at), { cause: error });
  }
}

class Parser {
  private readonly text: string;
  private readonly tokens: readonly Token[];
  private readonly checkFunction: CheckFunction;
  private readonly definitions = new Map<string, readonly StatementNode[]>();
  private readonly emptyDefinitions = new Set<string>();
  private nodeCount = 0;
  private next = 0;
  private nesting = 0;
  private rangeDepth = 0;
  private variables: string[] = ['$'];

  constructor(text: string, checkFunction: CheckFunction) {
    this.text = text;
    this.tokens = tokenize(text);
    this.checkFunction = checkFunction;
  }

  /** Offset of the last token that was read. */
  get at(): number {
    return this.token(Math.max(0, this.next - 1)).at;
  }

  parse(name: string): ParsedTemplate {
    const { body, end } = this.list(true);
    if (end.kind !== 'end of template') throw this.unexpected(end.token, 'a place where nothing is open');
    this.define(name, body);
    const { definitions, nodeCount } = this;
    return { root: definitions.get(name) ?? body, definitions, nodeCount };
  }

  private countNodes(count: number): void {
    this.nodeCount += count;
    if (this.nodeCount > maxNodes)
      throw new Refusal(`the template has more than ${maxNodes} parts: split it into files`);
  }

  private token(index: number): Token {
    return this.tokens[Math.min(index, this.tokens.length - 1)] as Token;
  }

  private take(): Token {
    const token = this.token(this.next++);
    if (token.kind === 'error') throw new Refusal(token.text, token.at);
    return token;
  }

  private peek(): Token {
    return this.token(this.next);
  }

  private skipSpace(): void {
    while (this.peek().kind === 'space') this.next++;
  }

  private takeNonSpace(): Token {
    this.skipSpace();
    return this.take();
  }

  private peekNonSpace(): Token {
    this.skipSpace();
    return this.peek();
  }

  private expect(kind: TokenKind, context: string): Token {
    const token = this.takeNonSpace();
    if (token.kind !== kind) throw this.unexpected(token, context);
    return token;
  }

  private unexpected(token: Token, context: string): Refusal {
    if (token.kind === 'error') return new Refusal(token.text, token.at);
    const what = token.kind === 'end of template' ? 'the end of the template' : JSON.stringify(token.text);
    return new Refusal(`unexpected ${what} in ${context}`, token.at);
  }

  private nested<T>(work: () => T): T {
    if (this.nesting >= maxNesting) throw new Refusal(`more than ${maxNesting} levels within each other`);
    this.nesting++;
    const result = work();
    this.nesting--;
    return result;
  }

  /** Statements up to {{end}}, {{else}} or the end of the template; only the outermost list may define templates. */
  private list(isOutermost: boolean): { body: readonly StatementNode[]; end: ListEnd } {
    const body: StatementNode[] = [];
    for (;;) {
      const token = this.takeNonSpace();
      if (token.kind === 'end of template') return { body, end: { kind: token.kind, token } };
      this.countNodes(1);
      if (token.kind === 'text') {
        body.push({ kind: 'text', at: token.at, text: token.text });
        continue;
      }
      if (token.kind !== 'open') throw this.unexpected(token, 'the text');
      const end = this.statement(body, isOutermost);
      if (end !== undefined) return { body, end };
    }
  }

  private statement(body: StatementNode[], isOutermost: boolean): ListEnd | undefined {
    const token = this.peekNonSpace();
    switch (token.kind) {
      case 'end':
        this.next++;
        this.expect('close', '{{end}}');
        return { kind: 'end', token };
      case 'else':
        this.next++;
        if (!['if', 'with'].includes(this.peekNonSpace().kind)) this.expect('close', '{{else}}');
        return { kind: 'else', token };
      case 'define':
        this.next++;
        if (!isOutermost) throw new Refusal('{{define}} may only stand outside of all other actions');
        this.definition();
        return undefined;
      case 'if':
      case 'with':
      case 'range':
        this.next++;
        body.push(this.branch(token.kind, token));
        return undefined;
      case 'break':
      case 'continue':
        this.next++;
        this.expect('close', `{{${token.kind}}}`);
        if (this.rangeDepth === 0) throw new Refusal(`{{${token.kind}}} outside of {{range}}`);
        body.push({ kind: token.kind, at: token.at });
        return undefined;
      case 'template':
      case 'block':
        this.next++;
        body.push(token.kind === 'template' ? this.templateCall(token) : this.block(token));
        return undefined;
      default:
        body.push({ kind: 'action', at: token.at, pipe: this.pipeline('a command', 'close') });
        return undefined;
    }
  }

  private templateName(context: string): string {
    const token = this.takeNonSpace();
    if (token.kind !== 'string' && token.kind !== 'raw string') throw this.unexpected(token, context);
    return unquote(token.text);
  }

  private templateCall({ at }: Token): TemplateNode {
    const name = this.templateName('{{template}}, which wants a name in quotes');
    if (this.peekNonSpace().kind !== 'close') {
      return { kind: 'template', at, name, pipe: this.pipeline('{{template}}', 'close') };
    }
    this.next++;
    return { kind: 'template', at, name, pipe: undefined };
  }

  private block(token: Token): TemplateNode {
    const name = this.templateName('{{block}}, which wants a name in quotes');
    const pipe = this.pipeline('{{block}}', 'close');
    this.define(name, this.ownBody('block', token));
    return { kind: 'template', at: token.at, name, pipe };
  }

  private definition(): void {
    const token = this.token(this.next - 1);
    const name = this.templateName('{{define}}, which wants a name in quotes');
    this.expect('close', '{{define}}');
    this.define(name, this.ownBody('define', token));
  }

  /** The body of a template within the template: variables and loops from outside are not its own. */
  private ownBody(kind: string, opener: Token): readonly StatementNode[] {
    const { variables, rangeDepth } = this;
    this.variables = ['$'];
    this.rangeDepth = 0;
    const { body, end } = this.nested(() => this.list(false));
    if (end.kind !== 'end') throw this.notClosed(kind, opener, end);
    this.variables = variables;
    this.rangeDepth = rangeDepth;
    return body;
  }

  private define(name: string, body: readonly StatementNode[]): void {
    const isEmpty = body.every((node) => node.kind === 'text' && node.text.trim() === '');
    if (!this.definitions.has(name) || this.emptyDefinitions.has(name)) this.definitions.set(name, body);
    else if (!isEmpty) throw new Refusal(`template ${JSON.stringify(name)} is defined twice`);
    else return;
    if (isEmpty) this.emptyDefinitions.add(name);
    else this.emptyDefinitions.delete(name);
  }

  private notClosed(kind: string, opener: Token, { kind: found, token }: ListEnd): Refusal {
    if (found !== 'end of template') return this.unexpected(token, `{{${kind}}}`);
    const { line } = placeOf('', this.text, opener.at);
    return new Refusal(`unexpected end of the template: {{${kind}}} of line ${line} has no {{end}}`);
  }

  private branch(kind: BranchKind, opener: Token): BranchNode {
    return this.nested(() => {
      const variableCount = this.variables.length;
      const pipe = this.pipeline(`{{${kind}}}`, 'close');
      if (kind === 'range') this.rangeDepth++;
      const { body, end } = this.list(false);
      if (kind === 'range') this.rangeDepth--;
      const otherwise = end.kind === 'else' ? this.otherwise(kind, opener) : undefined;
      if (end.kind === 'end of template') throw this.notClosed(kind, opener, end);
      this.variables.length = variableCount;
      return { kind, at: opener.at, pipe, body, otherwise };
    });
  }

  private otherwise(kind: BranchKind, opener: Token): readonly StatementNode[] {
    const token = this.peekNonSpace();
    // `else if` is an `if` within the `else` that needs no {{end}} of its own.
    if (token.kind === kind && kind !== 'range') {
      this.next++;
      return [this.branch(kind, token)];
    }
    if (token.kind === 'if' || token.kind === 'with') throw this.unexpected(this.take(), `{{else}} of {{${kind}}}`);
    const { body, end } = this.list(false);
    if (end.kind !== 'end') throw this.notClosed(kind, opener, end);
    return body;
  }

  private pipeline(context: string, end: 'close' | 'right paren'): PipeNode {
    this.countNodes(1);
    const { at } = this.peekNonSpace();
    const { declared, isAssignment } = this.declarations(context);
    const commands: CommandNode[] = [];
    for (;;) {
      const token = this.peekNonSpace();
      if (token.kind === end) {
        this.next++;
        if (commands.length === 0) throw new Refusal(`${context} has no value`);
        return { kind: 'pipe', at, isAssignment, declared, commands };
      }
      commands.push(this.command(commands.length + 1, context));
    }
  }

  private declarations(context: string): { declared: string[]; isAssignment: boolean } {
    const declared: string[] = [];
    for (;;) {
      const start = this.next;
      const variable = this.peekNonSpace();
      if (variable.kind !== 'variable') return { declared, isAssignment: false };
      this.next++;
      const after = this.peekNonSpace();
      const isComma = after.kind === 'punctuation' && after.text === ',';
      if (after.kind !== 'assign' && after.kind !== 'declare' && !isComma) {
        this.next = start;
        return { declared, isAssignment: false };
      }
      this.next++;
      declared.push(variable.text);
      this.variables.push(variable.text);
      if (this.variables.length > maxVariables) throw new Refusal(`more than ${maxVariables} variables in one place`);
      if (!isComma) return { declared, isAssignment: after.kind === 'assign' };
      if (context !== '{{range}}' || declared.length > 1) {
        throw new Refusal(`${context} cannot declare more than ${context === '{{range}}' ? 'two' : 'one'} variables`);
      }
      if (!['variable', 'close', 'right paren'].includes(this.peekNonSpace().kind)) {
        throw new Refusal('{{range}} wants a variable after the comma: {{range $key, $value := ...}}');
      }
    }
  }

  private command(stage: number, context: string): CommandNode {
    this.countNodes(1);
    const { at, kind } = this.peekNonSpace();
    const operands: OperandNode[] = [];
    for (;;) {
      this.skipSpace();
      const operand = this.operand();
      if (operand !== undefined) {
        this.countNodes(1);
        operands.push(operand);
      }
      const token = this.take();
      if (token.kind === 'space') continue;
      if (token.kind === 'close' || token.kind === 'right paren') this.next--;
      else if (token.kind !== 'pipe') throw this.unexpected(token, operands.length === 0 ? context : 'an operand');
      break;
    }
    const [first, ...rest] = operands;
    if (first === undefined) throw new Refusal('a command is missing beside |');
    if (stage > 1 && ['bool', 'dot', 'nil', 'number', 'string'].includes(first.kind)) {
      throw new Refusal(`what comes after | must be a function, and ${kind} is none`);
    }
    return { at, operands: [first, ...rest] };
  }

  private operand(): OperandNode | undefined {
    const term = this.term();
    if (term === undefined || this.peek().kind !== 'field') return term;
    const { at } = this.peek();
    const names: string[] = [];
    while (this.peek().kind === 'field') names.push(this.take().text.slice(1));
    this.countNodes(names.length);
    if (term.kind === 'field') return { ...term, names: [...term.names, ...names] };
    if (term.kind === 'variable') return { ...term, names: [...term.names, ...names] };
    if (['bool', 'string', 'number', 'nil', 'dot'].includes(term.kind)) {
      throw new Refusal(`a field cannot follow ${term.kind === 'dot' ? '.' : `a ${term.kind}`}`);
    }
    return { kind: 'chain', at, base: term, names };
  }

  private term(): OperandNode | undefined {
    const token = this.peekNonSpace();
    const { at, text } = token;
    this.next++;
    switch (token.kind) {
      case 'error':
        throw new Refusal(text, at);
      case 'identifier':
        this.checkFunction(text);
        return { kind: 'identifier', at, name: text };
      case 'dot':
      case 'nil':
        return { kind: token.kind, at };
      case 'variable':
        if (!this.variables.includes(text)) throw new Refusal(`variable ${text} is not defined here`);
        return { kind: 'variable', at, name: text, names: [] };
      case 'field':
        return { kind: 'field', at, names: [text.slice(1)] };
      case 'bool':
        return { kind: 'bool', at, value: text === 'true' };
      case 'character':
        return characterNode(text, at);
      case 'number':
        return numberNode(text, at);
      case 'string':
      case 'raw string':
        return { kind: 'string', at, value: unquote(text) };
      case 'left paren':
        return this.nested(() => this.pipeline('a pipeline in parentheses', 'right paren'));
      default:
        this.next--;
        return undefined;
    }
  }
}
