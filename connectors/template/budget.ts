import { Refusal } from './template-error.ts';

/** Characters that cost as much as a step where they are copied or compared in one go. */
const charactersPerStep = 64;
/** The same where each character is looked at on its own. */
const slowCharactersPerStep = 8;
/** A rendering of fewer steps is over before the clock says anything. */
const stepsBetweenLooks = 1024;

export interface BudgetLimits {
  readonly maxSteps: number;
  /** Counted from when the budget is made. */
  readonly maxMilliseconds: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** Steps and time for one rendering, or for several together. */
export class RenderBudget {
  private readonly limits: BudgetLimits;
  private readonly deadline: number;
  private stepsLeft: number;
  private nextLook: number;

  constructor(limits: BudgetLimits) {
    this.limits = limits;
    this.deadline = limits.now() + limits.maxMilliseconds;
    this.stepsLeft = limits.maxSteps;
    this.nextLook = limits.maxSteps - stepsBetweenLooks;
  }

  /** How many steps are spent; more than there were, once something was refused for it. */
  get steps(): number {
    return Math.ceil(this.limits.maxSteps - this.stepsLeft);
  }

  /** Throws a Refusal once the templates have done more than they may. */
  spend(steps: number): void {
    this.stepsLeft -= steps;
    if (this.stepsLeft < 0) {
      throw new Refusal(
        `the template takes more than ${this.limits.maxSteps} steps: shorten its lists, texts or loops`,
      );
    }
    if (this.stepsLeft >= this.nextLook) return;
    this.nextLook = this.stepsLeft - stepsBetweenLooks;
    if (this.limits.now() > this.deadline) {
      throw new Refusal('the template takes too long: shorten its lists, texts or loops');
    }
  }
}

/** What one rendering may still do. Everything is to be spent before it is done. */
export class Budget {
  /** Characters (UTF-16 code units) of the output, and of every text on the way. */
  readonly maxLength: number;
  private readonly shared: RenderBudget;

  constructor(shared: RenderBudget, maxLength: number) {
    this.shared = shared;
    this.maxLength = maxLength;
  }

  readonly spend = (steps: number): void => this.shared.spend(steps);

  /** For reading `length` characters. */
  spendReading(length: number): void {
    this.shared.spend(length / charactersPerStep);
  }

  /** For looking at each of `length` characters. */
  spendSlowReading(length: number): void {
    this.shared.spend(length / slowCharactersPerStep);
  }

  /** For making a text of `length` characters. */
  spendText(length: number): void {
    this.checkLength(length);
    this.spendReading(length);
  }

  checkLength(length: number): void {
    if (length <= this.maxLength) return;
    throw new Refusal(`a text is longer than ${this.maxLength} characters: let the template write less`);
  }
}
