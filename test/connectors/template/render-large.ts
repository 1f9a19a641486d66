import {
  createBudget,
  parseTemplate,
  type RenderBudget,
  TemplateError,
} from '../../../connectors/template/template.ts';
import { largeCases } from './large-cases.ts';

/** How a large case ended. */
export interface LargeResult {
  readonly what: string;
  readonly reason: string;
  readonly steps: number;
  readonly milliseconds: number;
}

function reasonOf(template: string, budget: RenderBudget): string {
  try {
    parseTemplate(template, 't').render({}, { budget });
    return '';
  } catch (error) {
    if (error instanceof TemplateError) return error.reason;
    throw error;
  }
}

/** Renders all large cases one after the other, without a deadline, and writes how they ended as JSON. */
const results = largeCases.map(({ what, template }): LargeResult => {
  const budget = createBudget({ now: () => 0 });
  const startedAt = performance.now();
  const reason = reasonOf(template, budget);
  return { what, reason, steps: budget.steps, milliseconds: Math.round(performance.now() - startedAt) };
});
process.stdout.write(JSON.stringify(results));
