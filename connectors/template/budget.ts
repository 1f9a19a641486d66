import { Refusal } from './template-error.ts';

export interface Limits {
  /** Characters (UTF-16 code units) of the output, and of every text on the way. */
  readonly maxLength: number;
  readonly maxSteps: number;
}

/** Characters that cost as much as a step. */
const charactersPerStep = 64;

/** What one rendering may still do. */
export class Budget {
  readonly limits: Limits;
  private stepsLeft: number;

  constructor(limits: Limits) {
    this.limits = limits;
    this.stepsLeft = limits.maxSteps;
  }

  /** Throws a Refusal once the template has done more than it may. */
  readonly spend = (steps: number): void => {
    this.stepsLeft -= steps;
    if (this.stepsLeft >= 0) return;
    throw new Refusal(`the template takes more than ${this.limits.maxSteps} steps: shorten its lists, texts or loops`);
  };

  /** To be asked before a text of `length` characters is made. */
  readonly spendText = (length: number): void => {
    if (length > this.limits.maxLength) {
      throw new Refusal(`a text is longer than ${this.limits.maxLength} characters: let the template write less`);
    }
    this.spend(length / charactersPerStep);
  };
}
