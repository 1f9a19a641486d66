import { parseJson } from '../../platform/json.ts';
import type { Budget } from './budget.ts';
import { Refusal } from './template-error.ts';
import { TextBuilder } from './text-builder.ts';
import { depthMax, type GoMap, isList, isNil, nilList, sortedKeys, type Value } from './values.ts';

export interface JsonStyle {
  /** Whether < > & are escaped, as Go does unless it is told otherwise. */
  readonly isHtmlSafe: boolean;
  /** Spaces for each level; 0 writes everything in a line. */
  readonly indent: number;
}

/** A value as Go's encoding/json writes it: keys sorted. Undefined for what JSON has not (an infinite number). */
export function toJson(value: Value, style: JsonStyle, budget: Budget): string | undefined {
  const writer = new JsonWriter(style, budget);
  writer.write(value, 0);
  return writer.text;
}

class JsonWriter {
  private readonly style: JsonStyle;
  private readonly budget: Budget;
  private readonly builder: TextBuilder;
  private isWritable = true;

  constructor(style: JsonStyle, budget: Budget) {
    this.style = style;
    this.budget = budget;
    this.builder = new TextBuilder(budget);
  }

  get text(): string | undefined {
    return this.isWritable ? this.builder.text : undefined;
  }

  write(value: Value, depth: number): void {
    this.budget.spend(1);
    if (isNil(value) || value === nilList) this.builder.add('null');
    else if (typeof value === 'string') this.writeText(value);
    else if (typeof value === 'object') this.writeGroup(value, depth);
    else {
      if (typeof value === 'number') this.isWritable &&= Number.isFinite(value);
      this.builder.add(Object.is(value, -0) ? '-0' : String(value));
    }
  }

  private writeText(text: string): void {
    this.budget.spendReading(text.length);
    this.builder.add(jsonText(text, this.style));
  }

  private writeGroup(group: readonly Value[] | GoMap, depth: number): void {
    if (depth >= depthMax) {
      throw new Refusal(`the value for JSON has more than ${depthMax} levels: does a map hold itself?`);
    }
    const { builder, style } = this;
    const lineBreak = (levels: number): string => (style.indent > 0 ? `\n${' '.repeat(style.indent * levels)}` : '');
    let separator = lineBreak(depth + 1);
    const next = (): void => {
      builder.add(separator);
      separator = `,${lineBreak(depth + 1)}`;
    };
    builder.add(isList(group) ? '[' : '{');
    if (isList(group)) {
      for (const element of group) {
        next();
        this.write(element, depth + 1);
      }
    } else {
      for (const key of sortedKeys(group, this.budget.spend)) {
        next();
        this.writeText(key);
        builder.add(style.indent > 0 ? ': ' : ':');
        this.write(group.get(key), depth + 1);
      }
    }
    if ((isList(group) ? group.length : group.size) > 0) builder.add(lineBreak(depth));
    builder.add(isList(group) ? ']' : '}');
  }
}

const escapeCharacter = (found: string): string => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`;

function jsonText(text: string, { isHtmlSafe }: JsonStyle): string {
  return JSON.stringify(text.toWellFormed()).replace(
    isHtmlSafe ? /[<>&\u2028\u2029]/g : /[\u2028\u2029]/g,
    escapeCharacter,
  );
}

/** What Go reads from JSON: every number is a float64. Undefined where the text is no JSON. */
export function fromJson(text: string, budget: Budget): Value | undefined {
  budget.spendSlowReading(text.length);
  const parsed = parseJson(text);
  return parsed === undefined ? undefined : jsonValue(parsed, budget, 0);
}

function jsonValue(parsed: unknown, budget: Budget, depth: number): Value {
  budget.spend(1);
  if (depth > depthMax) throw new Refusal(`the JSON has more than ${depthMax} levels`);
  if (typeof parsed === 'string') return parsed.toWellFormed();
  if (typeof parsed === 'number' || typeof parsed === 'boolean') return parsed;
  if (typeof parsed !== 'object' || parsed === null) return null;
  if (Array.isArray(parsed)) return parsed.map((element) => jsonValue(element, budget, depth + 1));
  budget.spend(2);
  const map: GoMap = new Map();
  for (const [key, element] of Object.entries(parsed))
    map.set(key.toWellFormed(), jsonValue(element, budget, depth + 1));
  return map;
}
