import { describe, expect, test } from 'vitest';
import { createBudget, parseTemplate, prepareData, TemplateError } from '../../../connectors/template/template.ts';
import { data } from './cases.ts';

/** Of a budget without a clock, so that the machine does not matter. */
const render = (text: string, about: unknown = data): string =>
  parseTemplate(text, 'config.json').render(about, { budget: createBudget({ now: () => 0 }) });

function failure(work: () => unknown): TemplateError {
  try {
    work();
  } catch (error) {
    if (error instanceof TemplateError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('what a template renders', () => {
  test.each([
    ['{{ (urlParse .connector.status.proxyAddress).host }}', 'c-hub.demo.svc.cluster.local:8443'],
    ['{{ printf "%s/%s" .connector.namespace .connector.name | urlquery }}', 'demo%2Fhub'],
    ['{{ .connectorclass.proxyAddress | trimPrefix "http://" | splitList ":" | first }}', 'proxy.svc'],
    ['{{ range $i, $c := .connectors }}{{ if $i }},{{ end }}{{ $c.name }}{{ end }}', 'hub,ghcr,quay'],
    ['{{ .configurations.missing }}|{{ .configurations.missing | default "d" }}', '<no value>|d'],
    ['{{ if eq .configurations.missing "a" }}a{{ else }}b{{ end }}', 'b'],
    ['a \n {{- /* a comment */ -}} \n b', 'ab'],
    ['{{ .n.big }} {{ .n.half }} {{ .n.mega }} {{ .flags.yes }}', '1234 0.5 1.2345675e+06 true'],
    [
      '{{ define "line" }}{{ .name }};{{ end }}{{ range .connectors }}{{ template "line" . }}{{ end }}',
      'hub;ghcr;quay;',
    ],
    ['{{ dict "b" (list 1 nil) "a" "<" | toJson }}', '{"a":"\\u003c","b":[1,null]}'],
  ])('%s', (text, output) => {
    expect(render(text)).toBe(output);
  });

  test('a template is read once and rendered often, each time from the start', () => {
    const template = parseTemplate('{{ $_ := set . "seen" (add1 .count) }}{{ .seen }}', 'counter');
    expect([1, 2, 1].map((count) => template.render({ count }))).toEqual(['2', '3', '2']);
  });

  test('the data stays as it is, and frozen data will do', () => {
    const frozen = Object.freeze({ map: Object.freeze({ a: 1 }) });
    expect(render('{{ $_ := set .map "a" 2 }}{{ $_ := unset .map "b" }}{{ .map.a }}', frozen)).toBe('2');
    expect(frozen.map.a).toBe(1);
  });
});

describe('what is wrong with a template', () => {
  test.each([
    ['a\n{{ nope 1 }}', 2, 4, 'function nope is not defined'],
    ['{{ env "HOME" }}', 1, 4, 'function env reads the environment'],
    ['{{ now }}', 1, 4, 'function now tells the time'],
    ['{{ randAlpha 5 }}', 1, 4, 'function randAlpha is random'],
    ['{{ getHostByName "a" }}', 1, 4, 'function getHostByName asks the network'],
    ['{{ genCA "a" 1 }}', 1, 4, 'function genCA makes keys'],
    ['{{ regexMatch "(a+)+$" "a" }}', 1, 4, 'function regexMatch takes patterns'],
    ['{{ merge . . }}', 1, 4, 'function merge of sprig is not supported'],
    ['{{ if .a }}\n\n{{ range .b }}', 3, 15, 'unexpected end of the template: {{range}} of line 3 has no {{end}}'],
    ['{{ if .a }}\n', 2, 1, 'unexpected end of the template: {{if}} of line 1 has no {{end}}'],
    ['{{ .a', 1, 6, 'the action is not closed: }} is missing'],
    ['{{ $x }}', 1, 4, 'variable $x is not defined here'],
    ['{{ break }}', 1, 10, '{{break}} outside of {{range}}'],
    ['{{ "\\q" }}', 1, 4, '\\q is no escape of Go'],
    ['{{ 1 + 2 }}', 1, 6, '+ is no number'],
    ['{{ end }}', 1, 4, 'unexpected "end"'],
  ])('%j', (text, line, column, reason) => {
    const error = failure(() => parseTemplate(text, 'config.json'));
    expect(error).toMatchObject({ templateName: 'config.json', line, column });
    expect(error.reason).toContain(reason);
    expect(error.message).toBe(`config.json:${line}:${column}: ${error.reason}`);
  });

  test.each([
    ['a\n{{ .connector.name.x }}', 2, '.x of a string: only maps have fields'],
    ['{{ .nothing.x }}', 1, '.x of null: guard it with {{with}} or {{if}}'],
    ['\n\n{{ trimSuffix "/" .missing }}', 3, 'trimSuffix wants a string, and has no value here: give one with default'],
    ['{{ index .texts 99 }}', 1, 'index 99 is out of range: there are 7'],
    ['{{ eq 1 "1" }}', 1, 'an int cannot be compared with a string'],
    ['{{ fail "set mirror" }}', 1, 'set mirror'],
    ['{{ urlParse "http://h:x/" }}', 1, '":x" after the host of a URL is no port'],
    ['{{ b64dec "/w==" }}', 1, 'what b64dec decodes is no text in UTF-8'],
    ['{{ template "a" }}', 1, 'template "a" is not defined'],
    ['{{ repeat 1 }}', 1, 'repeat wants 2 arguments, and has 1'],
  ])('%j fails when it is rendered', (text, line, reason) => {
    const template = parseTemplate(text, 'config.json');
    const error = failure(() => template.render(data));
    expect(error.line).toBe(line);
    expect(error.reason).toContain(reason);
  });
});

describe('what a template cannot reach', () => {
  class Secret {
    readonly token = 'hidden';
    method(): string {
      return this.token;
    }
  }
  const hostile = {
    plain: { a: 1 },
    list: ['a'],
    text: 'a',
    instance: new Secret(),
    work: () => 'called',
    date: new Date(0),
    map: new Map([['a', 1]]),
    symbol: Symbol('a'),
    inherited: Object.create({ a: 'inherited' }),
  };

  test.each([
    '{{ .constructor }}',
    '{{ .__proto__ }}',
    '{{ .plain.constructor }}',
    '{{ .plain.constructor.constructor }}',
    '{{ .plain.toString }}',
    '{{ .plain.hasOwnProperty }}',
    '{{ .instance }}',
    '{{ .instance.token }}',
    '{{ .instance.method }}',
    '{{ .work }}',
    '{{ .date }}',
    '{{ .map.a }}',
    '{{ .symbol }}',
    '{{ .inherited.a }}',
    '{{ index .plain "constructor" }}',
    '{{ index .plain "__proto__" }}',
  ])('%s has no value', (text) => {
    expect(render(text, hostile)).toBe('<no value>');
  });

  test.each(['{{ .list.length }}', '{{ .list.constructor }}', '{{ .text.length }}', '{{ (print "a").constructor }}'])(
    '%s is an error',
    (text) => {
      expect(failure(() => render(text, hostile)).reason).toContain('only maps have fields');
    },
  );

  test.each(['constructor', 'toLocaleString', '__proto__', 'hasOwnProperty', 'valueOf'])(
    '%s is no function',
    (name) => {
      expect(failure(() => render(`{{ ${name} }}`)).reason).toBe(`function ${name} is not defined`);
    },
  );

  test('a key named __proto__ is a key like others', () => {
    const parsed = JSON.parse('{"__proto__": {"a": 1}}');
    expect(render('{{ .__proto__.a }}{{ .a }}', parsed)).toBe('1<no value>');
    expect(render('{{ $d := dict "__proto__" "x" }}{{ $d.__proto__ }}{{ toJson $d }}')).toBe('x{"__proto__":"x"}');
    expect(render('{{ (fromJson `{"__proto__":{"polluted":1}}`).__proto__.polluted }}')).toBe('1');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('what a getter throws is told as an error of the template', () => {
    const trap = {
      get a(): string {
        throw new Error('trapped');
      },
    };
    expect(failure(() => render('{{ .a }}', trap)).reason).toContain('trapped');
  });
});

const nested = (open: string, close: string, count: number): string => open.repeat(count) + close.repeat(count);
const doubled = (start: string, step: string): string =>
  `{{ $x := ${start} }}${`{{ $x = ${step} }}`.repeat(60)}{{ $x }}`;

describe('limits', () => {
  test.each<[string, string, RegExp]>([
    ['parentheses', `{{ ${'('.repeat(10_000)}1${')'.repeat(10_000)} }}`, /levels within each other/],
    ['conditions', nested('{{ if 1 }}', '{{ end }}', 3000), /levels within each other/],
    ['else if', `{{ if 0 }}${'{{ else if 0 }}'.repeat(3000)}{{ end }}`, /levels within each other/],
    ['variables', '{{ $a := 1 }}'.repeat(2000), /more than 256 variables/],
    ['source', ' '.repeat(65_537), /longer than 65536 characters/],
    ['recursion', '{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}', /is it an endless recursion/],
    [
      'branching recursion',
      '{{ define "a" }}{{ template "a" }}{{ template "a" }}{{ end }}{{ template "a" }}',
      /recursion/,
    ],
    ['loops', '{{ range 1000 }}{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}{{ end }}', /more than 100000 steps/],
    ['a long loop', '{{ range 9223372036854775807 }}{{ end }}', /more than 100000 steps/],
    ['output', '{{ range 300 }}{{ repeat 1000 "a" }}{{ end }}', /the output is longer than 262144/],
    ['repeat', '{{ repeat 1000000000 "a" }}', /a text is longer/],
    ['until', '{{ until 1000000000 }}', /more than 100000 steps/],
    ['indent', '{{ indent 1000000000 "a" }}', /a text is longer/],
    ['printf widths', '{{ printf "%1000000000d" 1 }}', /a text is longer/],
    ['printf precisions', '{{ printf "%.1000000000f" 1.0 }}', /a text is longer/],
    ['printf stars', '{{ printf "%*d" 999999 1 }}', /a text is longer/],
    ['doubled texts', doubled('"a"', 'print $x $x'), /a text is longer/],
    ['doubled lists', doubled('list 1', 'concat $x $x'), /more than 100000 steps/],
    ['doubled lists in lists', doubled('list 1', 'list $x $x'), /more than 100000 steps|a text is longer/],
    ['a map that holds itself', '{{ $d := dict }}{{ $_ := set $d "a" $d }}{{ $d }}', /does a map hold itself/],
    ['its JSON', '{{ $d := dict }}{{ $_ := set $d "a" $d }}{{ toJson $d }}', /does a map hold itself/],
    [
      'its equality',
      '{{ $d := dict }}{{ $_ := set $d "a" $d }}{{ $e := dict "a" $d }}{{ has $d (list $e) }}{{ $_ := set $e "a" $e }}{{ deepEqual $d $e }}',
      /levels/,
    ],
    ['deep JSON', `{{ fromJson \`${'['.repeat(5000)}${']'.repeat(5000)}\` }}`, /levels/],
    ['replace', '{{ $x := repeat 200000 "a" }}{{ replace "a" "bb" $x }}', /a text is longer/],
    ['uniq of many', '{{ uniq (until 2000) }}', /more than 100000 steps/],
  ])('%s', (_what, text, reason) => {
    expect(failure(() => render(text)).reason).toMatch(reason);
  });

  test('the limits are those of the call', () => {
    const template = parseTemplate('{{ range 10 }}0123456789{{ end }}', 'ten');
    expect(template.render({})).toHaveLength(100);
    expect(template.render({}, { maxLength: 100 })).toHaveLength(100);
    expect(failure(() => template.render({}, { maxLength: 99 })).reason).toContain('longer than 99 characters');
    expect(failure(() => template.render({}, { maxSteps: 10 })).reason).toContain('more than 10 steps');
  });

  test('what takes too long by the clock is refused, however few steps it has', () => {
    let now = 0;
    const budget = createBudget({ maxMilliseconds: 10, now: () => now++ });
    const template = parseTemplate('{{ range 1000 }}{{ end }}', 'slow');
    expect(failure(() => Array.from({ length: 100 }, () => template.render({}, { budget }))).reason).toBe(
      'the template takes too long: shorten its lists, texts or loops',
    );
  });

  test('renderings that share a budget are refused together', () => {
    const budget = createBudget({ maxSteps: 100, now: () => 0 });
    const template = parseTemplate('{{ range 10 }}{{ end }}', 'ten');
    template.render({}, { budget });
    const { steps } = budget;
    template.render({}, { budget });
    expect(budget.steps).toBeGreaterThanOrEqual(2 * steps - 1);
    expect(failure(() => Array.from({ length: 100 }, () => template.render({}, { budget }))).reason).toContain(
      'more than 100 steps',
    );
  });

  test('prepared data is converted once, and no rendering sees what another changed', () => {
    const about = { map: { a: 1, b: 2 }, large: Array.from({ length: 8000 }, () => 'a') };
    const prepared = prepareData(about);
    const changing = parseTemplate(
      '{{ $_ := set .map "a" 2 }}{{ $_ := unset .map "b" }}{{ $_ := set . "c" 3 }}{{ $_ := set .map "a" 4 }}{{ .map }}{{ .c }}',
      'changing',
    );
    const budget = createBudget();
    expect([1, 2].map(() => changing.render(prepared, { budget }))).toEqual(['map[a:4]3', 'map[a:4]3']);
    expect(budget.steps).toBeLessThan(200);
    expect(
      failure(() => parseTemplate('{{ $_ := set .map "a" 5 }}{{ fail "x" }}', 't').render(prepared)),
    ).toBeDefined();
    expect(parseTemplate('{{ .map }}{{ .c }}', 't').render(prepared)).toBe('map[a:1 b:2]<no value>');
    let deep: unknown = 1;
    for (let level = 0; level < 1000; level++) deep = [deep];
    expect(failure(() => prepareData(deep)).reason).toContain('levels');
  });

  test.each([
    ['{{ fail (repeat 200000 "x") }}', /^x{512}$/],
    ['{{ fail "a\\n\\x1b[31mä" }}', /^a\?\?\[31m\?$/],
    [`{{ template "${'x'.repeat(60_000)}" }}`, /^template "x{502}$/],
    [`{{ ${'x'.repeat(60_000)} }}`, /^function x{503}$/],
    [`{{ ${'1'.repeat(60_000)} }}`, /^a number has more than 1024 characters$/],
    ['{{ (repeat 200000 "/:x" | urlParse) }}{{ dig (repeat 200000 "x") 1 2 }}', /^.{1,512}$/],
    ['{{ $k := repeat 200000 "x" }}{{ dig $k 1 2 }}', /^dig wants a map to look for "x{480}/],
  ])('%.40s has a short message in ASCII', (text, reason) => {
    const error = failure(() => render(text, {}));
    expect(error.reason).toMatch(reason);
    expect(error.reason.length).toBeLessThanOrEqual(512);
    expect(error.message).toMatch(/^[ -~]{1,512}$/);
    expect((error.cause as Error).message.length).toBeLessThanOrEqual(512);
  });

  test('a template of many parts is refused, and the weight of others is known', () => {
    const reason = /more than 32768 parts/;
    expect(failure(() => parseTemplate(`{{ print ${'. '.repeat(32_000)}}}${'{{1}}'.repeat(200)}`, 't')).reason).toMatch(
      reason,
    );
    expect(parseTemplate('{{ print 1 2 }}', 't').weight).toBeLessThan(parseTemplate('{{ print 1 2 3 }}', 't').weight);
  });

  test('data that holds itself, or is deep, is no danger', () => {
    const own: Record<string, unknown> = { a: 1 };
    own['own'] = own;
    expect(render('{{ .own.own.a }}', own)).toBe('1');
    expect(failure(() => render('{{ . }}', own)).reason).toContain('does a map hold itself');
    let deep: unknown = 1;
    for (let level = 0; level < 1000; level++) deep = [deep];
    expect(failure(() => render('', deep)).reason).toContain('levels');
  });

  // Each of these is long, and none may take time that grows faster than its length.
  test.each([
    ['spaces before an end', `{{ 1${' '.repeat(60_000)}- }}`],
    ['opened actions', '{{'.repeat(32_000)],
    ['comments', '{{/*'.repeat(16_000)],
    ['trim markers', ` ${'{{- 1 -}} '.repeat(6000)}`],
    ['percent signs', `{{ printf "${'%5'.repeat(32_000)}" }}`],
    ['flags', `{{ printf "%${'-+# 0'.repeat(13_000)}" }}`],
    ['digits', `{{ ${'1_'.repeat(32_000)} }}`],
    ['many digits', `{{ ${'1'.repeat(65_000)} }}`],
    ['escapes of URLs', `{{ urlParse "${'%41'.repeat(20_000)}" }}`],
    ['a string', `{{ "${'\\\\'.repeat(30_000)} }}`],
    ['fields', `{{ ${'.a'.repeat(32_000)} }}`],
    ['pipes', `{{ 1${' | print'.repeat(8000)} }}`],
    ['uses of a variable', `{{ $a := 1 }}${'{{ $a }}'.repeat(7000)}`],
  ])('%s take no time', (_what, text) => {
    const startedAt = performance.now();
    try {
      render(text, {});
    } catch (error) {
      expect(error).toBeInstanceOf(TemplateError);
    }
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });
});
