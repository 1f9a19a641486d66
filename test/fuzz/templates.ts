import fc from 'fast-check';
import { parseTemplate, TemplateError } from '../../connectors/template/template.ts';
import { templates as wholeTemplates } from '../connectors/template/arbitrary-template.ts';
import { data } from '../connectors/template/cases.ts';
import { type Fuzzed, fuzzed, mutated, promise, unlessRefused } from './fuzzed.ts';

const isRefusal = (error: unknown): boolean => error instanceof TemplateError;
const maxLength = 10_000;
const before = JSON.stringify(data);

const template = fuzzed(
  'Go template → text',
  fc.property(
    fc.oneof(mutated(wholeTemplates('typed')), mutated(wholeTemplates('loose'))),
    fc.oneof(fc.constant(data), fc.jsonValue()),
    (text, about) => {
      const lines = text.split('\n');
      const attempt = (): string => parseTemplate(text, 'fuzzed').render(about, { maxLength, maxSteps: 10_000 });
      const output = unlessRefused(attempt, (error) => {
        if (!isRefusal(error)) return false;
        const { line, column, reason } = error as TemplateError;
        promise(line >= 1 && line <= lines.length && column >= 1, 'a place within the template', { line, column });
        promise(!reason.startsWith('the template cannot be evaluated'), 'an error that nobody thought of', reason);
        return true;
      });
      promise(output === undefined || output.length <= maxLength, 'longer than it may be');
      promise(output === undefined || output === attempt(), 'another output the second time');
      promise(JSON.stringify(data) === before, 'the data has changed');
    },
  ),
);

export const templates: readonly Fuzzed[] = [template];
