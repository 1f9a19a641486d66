import type { Budget } from './budget.ts';
import { shortestFloat } from './format-float.ts';
import { Refusal } from './template-error.ts';
import { TextBuilder } from './text-builder.ts';
import { depthMax, type GoMap, isList, isNil, sortedKeys, type Value } from './values.ts';

/** A value as Go's `%v` writes it. */
export function formatValue(value: Value, budget: Budget): string {
  return formatNested(value, budget, formatScalar);
}

function formatScalar(value: Value): string {
  if (isNil(value)) return '<nil>';
  return typeof value === 'number' ? shortestFloat(value) : String(value);
}

/** Lists as `[a b]` and maps as `map[k:v]`, with the keys sorted; everything in them by `formatLeaf`. */
export function formatNested(value: Value, budget: Budget, formatLeaf: (value: Value) => string): string {
  if (isNil(value) || typeof value !== 'object') return formatLeaf(value);
  const writer = new NestedWriter(budget, formatLeaf);
  writer.add(value, 0);
  return writer.text;
}

class NestedWriter {
  private readonly budget: Budget;
  private readonly builder: TextBuilder;
  private readonly formatLeaf: (value: Value) => string;

  constructor(budget: Budget, formatLeaf: (value: Value) => string) {
    this.budget = budget;
    this.builder = new TextBuilder(budget);
    this.formatLeaf = formatLeaf;
  }

  get text(): string {
    return this.builder.text;
  }

  add(value: Value, depth: number): void {
    this.budget.spend(1);
    if (isNil(value) || typeof value !== 'object') this.addLeaf(value);
    else if (depth > depthMax) throw new Refusal(`a value has more than ${depthMax} levels: does a map hold itself?`);
    else if (isList(value)) this.addList(value, depth);
    else this.addMap(value, depth);
  }

  private addLeaf(leaf: Value): void {
    if (typeof leaf === 'string') this.budget.spendReading(leaf.length);
    this.builder.add(this.formatLeaf(leaf));
  }

  private addList(list: readonly Value[], depth: number): void {
    let separator = '[';
    for (const element of list) {
      this.builder.add(separator);
      separator = ' ';
      this.add(element, depth + 1);
    }
    this.builder.add(list.length === 0 ? '[]' : ']');
  }

  private addMap(map: GoMap, depth: number): void {
    let separator = 'map[';
    for (const key of sortedKeys(map, this.budget.spend)) {
      this.builder.add(separator);
      separator = ' ';
      this.addLeaf(key);
      this.builder.add(':');
      this.add(map.get(key), depth + 1);
    }
    this.builder.add(map.size === 0 ? 'map[]' : ']');
  }
}
