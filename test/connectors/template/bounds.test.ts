import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { functionNames } from '../../../connectors/template/function-table.ts';
import { createBudget, parseTemplate, TemplateError } from '../../../connectors/template/template.ts';
import { largeCases } from './large-cases.ts';
import type { LargeResult } from './render-large.ts';

const maxSteps = 100_000;
const maxOldSpaceMb = 200;

describe('what a template can do at most', () => {
  test('each function is tried with large arguments', () => {
    const tried = new Set(largeCases.map(({ what }) => what.split(' ')[0]));
    const others = ['mustFirst', 'mustLast', 'mustRest', 'mustInitial', 'mustReverse', 'mustCompact', 'mustUniq'];
    const aliases = ['trimall', 'push', 'mustPush', 'mustAppend', 'mustPrepend', 'mustWithout', 'mustHas', 'mustSlice'];
    expect(functionNames.filter((name) => !tried.has(name)).toSorted()).toEqual([...others, ...aliases].toSorted());
  });

  test('no template gets around its steps, nor takes much time or memory', { timeout: 240_000 }, async () => {
    const program = join(import.meta.dirname, 'render-large.ts');
    const options = { maxBuffer: 2 ** 26 };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [`--max-old-space-size=${maxOldSpaceMb}`, program],
      options,
    );
    const results: readonly LargeResult[] = JSON.parse(stdout);
    expect(results).toHaveLength(largeCases.length);
    expect(results.filter(({ reason }) => /cannot be evaluated/.test(reason))).toEqual([]);
    // A hundred times what it takes, because the machine has other work: what was forgotten took more than that.
    expect(results.filter(({ milliseconds }) => milliseconds > 2000)).toEqual([]);
  });

  test.each([
    ['an empty loop', '{{ range 1000 }}{{ end }}', 1000],
    ['operands', `{{ $x := list ${'. '.repeat(1000)}}}`, 1000],
    ['operands after the one that decides', `{{ or 1 ${'. '.repeat(1000)}}}`, 1000],
    ['fields', `{{ ${'.a'.repeat(1000)} }}`, 1000],
    ['a sorted map that is left at once', '{{ range .map }}{{ break }}{{ end }}', 1000],
    ['a map as text', '{{ $x := print .map }}', 2000],
    ['a map as JSON', '{{ $x := toJson .map }}', 2000],
    ['a text that is read', '{{ $x := hasPrefix "a" .text }}', 1000],
    ['a text whose characters are looked at', '{{ $x := title .text }}', 8000],
    ['a text in a list', '{{ $x := toJson .texts }}', 2000],
    ['texts that are compared', '{{ $x := sortAlpha .texts }}', 3000],
    ['texts that are equal', '{{ $x := deepEqual .texts (list .text "a") }}', 1000],
    ['a text that is written', '{{ .text }}', 1000],
  ])('%s costs what it takes', (_what, template, least) => {
    const map = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`key${at}`, at]));
    const text = 'a'.repeat(64_000);
    const budget = createBudget({ now: () => 0 });
    parseTemplate(template, 't').render({ map, text, texts: [text, `${text}b`, `${text}a`], a: {} }, { budget });
    expect(budget.steps).toBeGreaterThanOrEqual(least);
    expect(budget.steps).toBeLessThan(40 * least);
  });

  test('an ordinary template has a small part of its steps', () => {
    const connectors = Array.from({ length: 64 }, (_, at) => ({
      name: `c${at}`,
      status: { proxyAddress: 'http://h/' },
    }));
    const budget = createBudget({ now: () => 0 });
    const template =
      '{{ range .connectors }}{{ $url := urlParse .status.proxyAddress }}{{ if eq $url.scheme "http" }}{{ $url.host | quote }}: {{ printf "%s:%s" .name $.token | b64enc | quote }}{{ end }}\n{{ end }}';
    expect(parseTemplate(template, 't').render({ connectors, token: 'a'.repeat(1000) }, { budget })).toContain(
      '"h": "',
    );
    expect(budget.steps).toBeLessThan(maxSteps / 2);
  });

  test('every end of the budget is told as an error of the template', () => {
    const template = parseTemplate('{{ range $x := .list }}{{ toJson $x | quote | upper }}{{ end }}', 't');
    const about = { list: [{ a: [1, 'ä'] }, 'b', 1.5, null] };
    for (let steps = 0; steps < 100; steps++) {
      try {
        template.render(about, { maxSteps: steps });
      } catch (error) {
        expect(error).toBeInstanceOf(TemplateError);
        expect((error as TemplateError).reason).toContain(`more than ${steps} steps`);
      }
    }
  });
});
