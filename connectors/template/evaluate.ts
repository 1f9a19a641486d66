import type { Budget } from './budget.ts';
import { formatValue } from './format-value.ts';
import { functionNamed } from './function-table.ts';
import type { BranchNode, CommandNode, OperandNode, PipeNode, StatementNode, TemplateNode } from './nodes.ts';
import type { ParsedTemplate } from './parser.ts';
import type { ParameterType, TemplateFunction } from './signature.ts';
import { Refusal } from './template-error.ts';
import { described, type GoMap, int, isList, isNil, isTrue, sortedKeys, typeName, type Value } from './values.ts';

/** Levels of actions, parentheses and templates within each other while rendering. */
const maxDepth = 500;

/** Stands for "nothing came through the pipe", which is not the same as nil. */
const absent = Symbol('absent');
type Final = Value | typeof absent;

/** How a list of statements ended. */
type Ending = 'whole' | 'break' | 'continue';

/** One rendering. Throws a Refusal, of something at the offset `at`. */
export class Evaluation {
  /** Offset of what is being evaluated. */
  at = 0;
  private readonly template: ParsedTemplate;
  private readonly budget: Budget;
  private output = '';
  private names: string[] = [];
  private values: Value[] = [];
  private depth = 0;

  constructor(template: ParsedTemplate, budget: Budget) {
    this.template = template;
    this.budget = budget;
  }

  run(dot: Value): string {
    this.push('$', dot);
    this.statements(dot, this.template.root);
    return this.output;
  }

  private write(text: string): void {
    if (this.output.length + text.length > this.budget.maxLength) {
      throw new Refusal(`the output is longer than ${this.budget.maxLength} characters`);
    }
    this.budget.spendReading(text.length);
    this.output += text;
  }

  private push(name: string, value: Value): void {
    this.names.push(name);
    this.values.push(value);
  }

  private popTo(count: number): void {
    this.names.length = count;
    this.values.length = count;
  }

  private slotOf(name: string): number {
    // Names may be as long as a template, and begin alike.
    this.budget.spend(this.names.length / 16);
    const slot = this.names.lastIndexOf(name);
    if (slot === -1) throw new Refusal(`variable ${name} is not defined here`);
    return slot;
  }

  private enter(): void {
    if (++this.depth > maxDepth)
      throw new Refusal(`more than ${maxDepth} levels within each other: is it an endless recursion?`);
  }

  private statements(dot: Value, nodes: readonly StatementNode[]): Ending {
    this.enter();
    for (const node of nodes) {
      const ending = this.statement(dot, node);
      if (ending !== 'whole') {
        this.depth--;
        return ending;
      }
    }
    this.depth--;
    return 'whole';
  }

  private statement(dot: Value, node: StatementNode): Ending {
    this.at = node.at;
    this.budget.spend(1);
    switch (node.kind) {
      case 'text':
        this.write(node.text);
        return 'whole';
      case 'action': {
        const value = this.pipeline(dot, node.pipe);
        // A declaration or an assignment writes nothing.
        if (node.pipe.declared.length === 0) this.print(value);
        return 'whole';
      }
      case 'if':
      case 'with':
        return this.branch(dot, node);
      case 'range':
        return this.range(dot, node);
      case 'template':
        this.templateCall(dot, node);
        return 'whole';
      default:
        return node.kind;
    }
  }

  private print(value: Value): void {
    if (typeof value === 'string') this.write(value);
    else this.write(isNil(value) ? '<no value>' : formatValue(value, this.budget));
  }

  private branch(dot: Value, node: BranchNode): Ending {
    const mark = this.names.length;
    const value = this.pipeline(dot, node.pipe);
    let ending: Ending = 'whole';
    if (isTrue(value)) ending = this.statements(node.kind === 'with' ? value : dot, node.body);
    else if (node.otherwise !== undefined) ending = this.statements(dot, node.otherwise);
    this.popTo(mark);
    return ending;
  }

  private range(dot: Value, node: BranchNode): Ending {
    const outer = this.names.length;
    const value = this.pipeline(dot, node.pipe);
    const inner = this.names.length;
    let hasRun = false;
    for (const [key, element] of this.elements(value, node.pipe.declared.length)) {
      hasRun = true;
      this.budget.spend(1);
      this.setRangeVariables(node.pipe, key, element, inner);
      const ending = this.statements(element, node.body);
      this.popTo(inner);
      if (ending === 'break') break;
    }
    let ending: Ending = 'whole';
    if (!hasRun && node.otherwise !== undefined) ending = this.statements(dot, node.otherwise);
    this.popTo(outer);
    return ending;
  }

  private *elements(value: Value, variableCount: number): Generator<readonly [Value, Value]> {
    if (isNil(value)) return;
    if (typeof value === 'bigint') {
      if (variableCount > 1) throw new Refusal(`{{range}} over the number ${value} has one variable, not two`);
      for (let count = 0n; count < value; count++) yield [undefined, count];
    } else if (typeof value !== 'object') {
      throw new Refusal(`{{range}} wants a list, a map or a whole number, and this is ${described(value)}`);
    } else if (isList(value)) {
      for (const [index, element] of value.entries()) yield [int(index), element];
    } else {
      const sorted = sortedKeys(value, this.budget.spend);
      for (const [key, element] of sorted.map((key) => [key, value.get(key)] as const)) yield [key, element];
    }
  }

  private setRangeVariables({ declared, isAssignment }: PipeNode, key: Value, element: Value, top: number): void {
    const [first, second] = declared;
    if (first === undefined) return;
    const elementName = second ?? first;
    if (isAssignment) {
      if (second !== undefined) this.values[this.slotOf(first)] = key;
      this.values[this.slotOf(elementName)] = element;
      return;
    }
    this.values[top - 1] = element;
    if (second !== undefined) this.values[top - 2] = key;
  }

  private templateCall(dot: Value, node: TemplateNode): void {
    const body = this.template.definitions.get(node.name);
    if (body === undefined)
      throw new Refusal(`template ${JSON.stringify(node.name)} is not defined: write {{define}} for it`);
    const value = node.pipe === undefined ? undefined : this.pipeline(dot, node.pipe);
    const { names, values } = this;
    this.names = ['$'];
    this.values = [value];
    this.statements(value, body);
    this.names = names;
    this.values = values;
  }

  private pipeline(dot: Value, pipe: PipeNode): Value {
    this.enter();
    let value: Final = absent;
    this.budget.spend(pipe.commands.length);
    for (const command of pipe.commands) value = this.command(dot, command, value) ?? undefined;
    const result = value === absent ? undefined : value;
    for (const name of pipe.declared) {
      if (pipe.isAssignment) this.values[this.slotOf(name)] = result;
      else this.push(name, result);
    }
    this.depth--;
    return result;
  }

  private command(dot: Value, command: CommandNode, final: Final): Value {
    const [first] = command.operands;
    this.at = first.at;
    const hasArguments = command.operands.length > 1 || final !== absent;
    switch (first.kind) {
      case 'identifier':
        return this.call(dot, first.name, first.at, command.operands, final);
      case 'field':
        return this.fields(dot, first.names, hasArguments);
      case 'chain':
        return this.fields(this.operand(dot, first.base), first.names, hasArguments);
      case 'variable':
        if (first.names.length > 0) return this.fields(this.values[this.slotOf(first.name)], first.names, hasArguments);
        break;
      case 'nil':
        throw new Refusal('nil is no command');
      default:
    }
    if (hasArguments) throw new Refusal('arguments can only be given to a function');
    return this.operand(dot, first);
  }

  private fields(receiver: Value, names: readonly string[], hasArguments = false): Value {
    this.budget.spend(names.length);
    let value = receiver;
    for (const name of names) {
      // A key that is missing has no fields, and that is no error; null has none, and it is.
      if (value === undefined) return undefined;
      value = this.field(value, name);
    }
    if (hasArguments) throw new Refusal(`.${names.join('.')} is no function, so it takes no arguments`);
    return value;
  }

  private field(value: Value, name: string): Value {
    if (value === null) throw new Refusal(`.${name} of null: guard it with {{with}} or {{if}}`);
    if (value instanceof Map) return value.get(name);
    throw new Refusal(`.${name} of ${described(value)}: only maps have fields`);
  }

  /** The value of an operand where any type may stand. */
  private operand(dot: Value, node: OperandNode): Value {
    this.at = node.at;
    switch (node.kind) {
      case 'pipe':
        return this.pipeline(dot, node);
      case 'identifier':
        return this.call(dot, node.name, node.at, [node], absent);
      case 'dot':
        return dot;
      case 'nil':
        return undefined;
      case 'field':
        return this.fields(dot, node.names);
      case 'variable':
        return this.fields(this.values[this.slotOf(node.name)], node.names);
      case 'chain':
        return this.fields(this.operand(dot, node.base), node.names);
      case 'number':
        if (node.value === undefined) throw new Refusal(`${node.text} has no room in an int`);
        return node.value;
      default:
        return node.value;
    }
  }

  private call(dot: Value, name: string, at: number, operands: readonly OperandNode[], final: Final): Value {
    const target = functionNamed(name);
    this.budget.spend(operands.length);
    this.checkCount(name, target, operands.length - (final === absent ? 1 : 0));
    if (name === 'and' || name === 'or') return this.shortCircuit(dot, name, operands, final);
    const values: Value[] = [];
    for (const node of operands.slice(1)) {
      values.push(this.argument(dot, node, typeAt(target, values.length), name));
    }
    this.at = at;
    if (final !== absent) values.push(checked(final, typeAt(target, values.length), name));
    for (const value of values) if (typeof value === 'string') this.budget.spendText(value.length);
    const result = target.call(values, this.budget);
    if (typeof result === 'string') this.budget.spendText(result.length);
    return result;
  }

  private checkCount(name: string, { parameters, variadic }: TemplateFunction, count: number): void {
    const wanted = parameters.length;
    if (variadic === undefined ? count === wanted : count >= wanted) return;
    throw new Refusal(
      `${name} wants ${variadic === undefined ? '' : 'at least '}${wanted} arguments, and has ${count}`,
    );
  }

  private shortCircuit(dot: Value, name: 'and' | 'or', operands: readonly OperandNode[], final: Final): Value {
    let value: Value;
    for (const node of operands.slice(1)) {
      value = this.argument(dot, node, 'value', name);
      if (isTrue(value) === (name === 'or')) return value;
    }
    return final === absent ? value : final;
  }

  private argument(dot: Value, node: OperandNode, type: ParameterType, name: string): Value {
    if (node.kind === 'number' && type === 'int') {
      if (node.int === undefined) throw new Refusal(`${name} wants a whole number, and ${node.text} is none`);
      return Number(node.int);
    }
    if (node.kind === 'nil' && (type === 'string' || type === 'int' || type === 'bool')) {
      throw new Refusal(`${name} wants ${type === 'int' ? 'an' : 'a'} ${type}, and nil is none`);
    }
    return checked(this.operand(dot, node), type, name);
  }
}

const typeAt = ({ parameters, variadic }: TemplateFunction, index: number): ParameterType =>
  parameters[index] ?? variadic ?? 'any';

/** A value as a parameter of the type wants it. Throws a Refusal where Go would not take it. */
function checked(value: Value, type: ParameterType, name: string): Value {
  if (type === 'value') return value;
  if (type === 'any') return value ?? null;
  if (isNil(value)) {
    if (type === 'map' && value === undefined) return undefined;
    throw new Refusal(
      `${name} wants ${type === 'int' ? 'an' : 'a'} ${type}, and has no value here: give one with default, or test with if`,
    );
  }
  const isRight = type === 'map' ? (value as GoMap) instanceof Map : typeName(value) === type;
  if (!isRight) throw new Refusal(`${name} wants ${type === 'int' ? 'an' : 'a'} ${type}, and has ${described(value)}`);
  // Amounts beyond 2^53 are too much in any case.
  return type === 'int' ? Number(value) : value;
}
