import type { Limits } from './budget.ts';
import { Evaluation } from './evaluate.ts';
import { functionNamed } from './function-table.ts';
import { type ParsedTemplate, parse } from './parser.ts';
import { placeOf, Refusal, TemplateError } from './template-error.ts';

export { TemplateError };

const maxSourceLength = 262_144;
const defaultLimits: Limits = { maxLength: 262_144, maxSteps: 100_000 };

/** A template that was read; it may be rendered any number of times. */
export interface Template {
  /**
   * What the template makes of `data`, as Go's text/template would of the same JSON. Reads nothing but own properties
   * of plain objects and arrays, and changes nothing. `maxLength` is in characters (default 262,144), `maxSteps` are
   * statements, calls, rounds of loops and 64 characters each (default 100,000). Throws a TemplateError, nothing else.
   */
  render(data: unknown, options?: { readonly maxLength?: number; readonly maxSteps?: number }): string;
}

/**
 * Reads a Go template: text/template with the functions of sprig that need neither clock, chance, network nor
 * environment. `name` is for the messages. Throws a TemplateError, nothing else.
 */
export function parseTemplate(text: string, name: string): Template {
  if (text.length > maxSourceLength) {
    const place = { templateName: name, line: 1, column: 1 };
    throw new TemplateError(`the template is longer than ${maxSourceLength} characters: split it into files`, place);
  }
  const parsed = guarded(
    name,
    text,
    () => 0,
    () => parse(text, name, functionNamed),
  );
  return { render: (data, options = {}) => render(parsed, name, text, data, { ...defaultLimits, ...options }) };
}

function render(parsed: ParsedTemplate, name: string, text: string, data: unknown, limits: Limits): string {
  const evaluation = new Evaluation(parsed, limits);
  return guarded(
    name,
    text,
    () => evaluation.at,
    () => evaluation.run(data),
  );
}

/** Whatever goes wrong has a place: what nobody thought of, too, as an exhausted stack. */
function guarded<T>(name: string, text: string, at: () => number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TemplateError) throw error;
    const reason = error instanceof Refusal ? error.message : `the template cannot be evaluated: ${String(error)}`;
    throw new TemplateError(reason, placeOf(name, text, at()), { cause: error });
  }
}
