import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseTemplate, TemplateError } from '../../connectors/template/template.ts';
import { templates } from '../connectors/template/arbitrary-template.ts';
import {
  builtins,
  data,
  directives,
  documented,
  formats,
  moreFormats,
  sprigCases,
  statements,
  urls,
} from '../connectors/template/cases.ts';
import { partPath } from './support/find-part.ts';
import { requireParts } from './support/parts.ts';
import { runProgram } from './support/program.ts';

interface Question {
  readonly template: string;
  readonly data: unknown;
}

/** What test/tools/template says of a template: the answer of Go's text/template with sprig's functions. */
type Answer = { readonly output: string } | { readonly error: string; readonly line: number };

async function ask(questions: readonly Question[]): Promise<readonly Answer[]> {
  const input = questions.map((question) => `${JSON.stringify(question)}\n`).join('');
  const { code, stdout, stderr } = await runProgram(partPath('template'), [], { env: {}, input });
  if (code !== 0) throw new Error(stderr);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function ours({ template, data }: Question): Answer {
  try {
    return { output: parseTemplate(template, 't').render(data) };
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return { error: error.message, line: error.line };
  }
}

/** What only we refuse, so that no template takes long. */
const limits =
  /takes more than \d+ steps|takes too long|is longer than \d+ characters|more than \d+ (levels|parts|variables)/;

/** How our rendering differs from Go's; undefined when it does not. */
function differenceOf(question: Question, theirs: Answer): string | undefined {
  const mine = ours(question);
  const isSame =
    'output' in mine && 'output' in theirs
      ? mine.output === theirs.output
      : 'line' in mine && 'line' in theirs && (theirs.line === 0 || mine.line === theirs.line);
  if ('error' in mine && limits.test(mine.error)) return undefined;
  return isSame
    ? undefined
    : `${question.template}\n  ours: ${JSON.stringify(mine)}\n  Go's: ${JSON.stringify(theirs)}`;
}

async function differences(templates: readonly string[], about: unknown): Promise<readonly string[]> {
  const questions = templates.map((template) => ({ template, data: about }));
  const answers = await ask(questions);
  expect(answers).toHaveLength(questions.length);
  return questions.flatMap((question, at) => differenceOf(question, answers[at] ?? { error: 'none', line: 0 }) ?? []);
}

requireParts('template')('templates, beside text/template with sprig', () => {
  test.each([
    ['those of the documentation', documented],
    ['statements and literals', statements],
    ['functions of text/template', builtins],
    ['formats', [...formats, ...moreFormats]],
    ['verbs of printf', directives],
    ['functions of sprig', sprigCases],
    ['URLs', urls],
  ])('%s', async (_what, templates) => {
    expect(await differences(templates, data)).toEqual([]);
  });

  test.each(['typed', 'loose'] as const)('%s templates put together by chance', async (looseness) => {
    // The same each time; TEMPLATE_SEED looks elsewhere.
    const seed = Number(process.env['TEMPLATE_SEED'] ?? 2026);
    const generated = fc.sample(templates(looseness), { numRuns: 2000, seed });
    expect(await differences(generated, data), `with seed ${seed}`).toEqual([]);
  });
});
