import type { Budget } from './budget.ts';

/** A text that is made of pieces, and refused as soon as it is too long. */
export class TextBuilder {
  text = '';
  private readonly budget: Budget;

  constructor(budget: Budget) {
    this.budget = budget;
  }

  add(piece: string): void {
    this.budget.checkLength(this.text.length + piece.length);
    this.budget.spendReading(piece.length);
    this.text += piece;
  }
}

/** The texts that `textOf` makes of values, with `separator` between them; they are made one by one. */
export function joinedTexts<V>(values: Iterable<V>, separator: string, budget: Budget, textOf: (value: V) => string) {
  const builder = new TextBuilder(budget);
  let isFirst = true;
  for (const value of values) {
    if (!isFirst) builder.add(separator);
    isFirst = false;
    builder.add(textOf(value));
  }
  return builder.text;
}
