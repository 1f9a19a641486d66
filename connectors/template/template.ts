import { Budget, RenderBudget } from './budget.ts';
import { Evaluation } from './evaluate.ts';
import { functionNamed } from './function-table.ts';
import { type ParsedTemplate, parse } from './parser.ts';
import { PreparedData } from './prepared-data.ts';
import { placeOf, Refusal, TemplateError } from './template-error.ts';

export { type PreparedData, type RenderBudget, TemplateError };

/** Characters of a template. */
export const templateLengthMax = 65_536;
const maxLength = 262_144;
const defaultBudget = { maxSteps: 100_000, maxMilliseconds: 100 };

/** Bytes that a parsed template takes beside its text, for each node; with V8 as it is, and rounded up. */
const bytesPerNode = 128;

export interface RenderOptions {
  /** Characters (UTF-16 code units) of the output and of each text on the way; default 262,144. */
  readonly maxLength?: number;
  /** Of the budget for this rendering alone, where none is given; default 100,000. */
  readonly maxSteps?: number;
  /** Default is a new one for this rendering alone. */
  readonly budget?: RenderBudget;
}

/** A template that was read; it may be rendered any number of times. */
export interface Template {
  /** Bytes of memory that it takes, about: for caches. */
  readonly weight: number;
  /**
   * What the template makes of `data`, as Go's text/template would of the same JSON. Reads nothing but own properties
   * of plain objects and arrays, and changes nothing. Throws a TemplateError, nothing else.
   */
  render(data: unknown, options?: RenderOptions): string;
}

/**
 * What one rendering, or several that are given the same one, may do until they are refused. `maxSteps` (default
 * 100,000) are statements, operands, calls, rounds of loops and keys sorted, and 64 characters that are read or written
 * (8 where each of them is looked at). `maxMilliseconds` (default 100) count from now; `now` are milliseconds of a clock
 * that never goes back.
 */
export function createBudget(
  options: { readonly maxSteps?: number; readonly maxMilliseconds?: number; readonly now?: () => number } = {},
): RenderBudget {
  return new RenderBudget({ ...defaultBudget, now: () => performance.now(), ...options });
}

/**
 * Data for several renderings, which costs its conversion once. No rendering sees what another did to it with `set`.
 * Throws a TemplateError for data that is too deep or, in steps of the budget, too large.
 */
export function prepareData(data: unknown, budget: RenderBudget = createBudget()): PreparedData {
  return guarded(
    'data',
    '',
    () => 0,
    () => PreparedData.of(data, (steps) => budget.spend(steps)),
  );
}

/**
 * Reads a Go template: text/template with the functions of sprig that need neither clock, chance, network nor
 * environment. `name` is for the messages. Throws a TemplateError, nothing else.
 */
export function parseTemplate(text: string, name: string): Template {
  if (text.length > templateLengthMax) {
    const place = { templateName: name, line: 1, column: 1 };
    throw new TemplateError(`the template is longer than ${templateLengthMax} characters: split it into files`, place);
  }
  const parsed = guarded(
    name,
    text,
    () => 0,
    () => parse(text, name, functionNamed),
  );
  return {
    weight: 2 * text.length + bytesPerNode * (parsed.nodeCount + 1),
    render: (data, options = {}) => render(parsed, name, text, data, options),
  };
}

function render(parsed: ParsedTemplate, name: string, text: string, data: unknown, options: RenderOptions): string {
  const { maxSteps = defaultBudget.maxSteps } = options;
  const shared = options.budget ?? createBudget({ maxSteps });
  const evaluation = new Evaluation(parsed, new Budget(shared, options.maxLength ?? maxLength));
  return guarded(
    name,
    text,
    () => evaluation.at,
    () => {
      const prepared = data instanceof PreparedData ? data : PreparedData.of(data, (steps) => shared.spend(steps));
      return prepared.use((dot) => evaluation.run(dot));
    },
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
