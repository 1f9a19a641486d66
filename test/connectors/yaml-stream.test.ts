import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LineCounter } from 'yaml';
import { faultsOf, parseYamlStream } from '../../connectors/yaml-stream.ts';

const read = (text: string) => parseYamlStream(text, new LineCounter());
const messagesOf = (text: string) => read(text).flatMap((document) => faultsOf(document).map(({ message }) => message));
const lines = (text: string) => text.trim().split(/\n\s*/);

test.each<[yaml: string, value: unknown]>([
  ['2001-01-01', '2001-01-01'],
  ['12:30:45', '12:30:45'],
  ['"\\x21 \\u00e4"', '! ä'],
  ["'it''s'", "it's"],
  ['|-\n  a\n  b', 'a\nb'],
  ['&a text', 'text'],
  ['yes', true],
  ['0777', 511],
  ['{<<: [{a: 1}, {a: 2, b: 2}]}', { a: 1, b: 2 }],
])('%j is %j, as for the Kubernetes tools', (yaml, value) => {
  const [document] = read(yaml);
  expect(document && faultsOf(document)).toEqual([]);
  expect(document?.toJS()).toEqual(value);
});

test.each<[what: string, yaml: string, messages: string[]]>([
  ['an empty stream', '', []],
  ['repeated keys', '{a: 1, b: {a: 1}, "a": 2}', ['the key stands twice']],
  ['circles', 'a: &a {b: [*a]}', ['an alias to what it stands in']],
  ['aliases without anchor', 'a: *b', ['an alias without anchor: quote a text that starts with "*"']],
  ['very many aliases', `a: &a x\nb: [${'*a,'.repeat(200)}]`, ['more than 100 aliases']],
  ['tags', 'a: !b c', ['a tag that is not known: quote a text that starts with "!"']],
  ['the second document alone', 'a\n---\n@\n---\nb', ['a text cannot start with this character: quote it']],
])('of %s it is said what is wrong', (_what, yaml, messages) => {
  expect(messagesOf(yaml)).toEqual(messages);
});

test('deep nesting is a fault, and no overflow', () => {
  expect(messagesOf('['.repeat(3000) + ']'.repeat(3000))).toContain('nested too deeply');
});

test('of a document not more than ten faults are named', () => {
  expect(messagesOf(`[${','.repeat(1000)}`)).toHaveLength(10);
});

describe('no message, and no warning of the process, repeats the text', () => {
  const canary = 'canary-7f3a';
  const secret = (template: string) => `data:\n  password: ${template.replaceAll('C', canary)}\n`;
  const unreadable = String.raw`
    *C
    !C x
    !!C x
    !<C> x
    !e!C x
    %C
    @C
    |C
    "C
    "C\qC"
    'C' 'C'
    [C
    {C: 1
    C: C
    - C
    ? {C: 1} : 2}
    !!set {C: x}`;

  test.each(lines(unreadable))('%s', (template) => {
    const messages = messagesOf(secret(template));
    expect(messages.length).toBeGreaterThan(0);
    expect(messages.join('\n')).not.toContain(canary);
  });

  test('keys that are collections', async () => {
    const warnings: string[] = [];
    const onWarning = ({ message }: Error) => void warnings.push(message);
    process.on('warning', onWarning);
    onTestFinished(() => void process.off('warning', onWarning));
    for (const key of ['{C: 1}', '[C]']) for (const document of read(secret(`{? ${key} : 1}`))) document.toJS();
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  });

  test('wherever it stands', () => {
    const pieces = fc.constantFrom(
      'C',
      ...'&*!|>%@`"\'[]{},:?#-~\\',
      ': ',
      '- ',
      '\n',
      '\n  ',
      ' ',
      '<<',
      '---\n',
      '!!',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        expect(messagesOf(secret(parts.join(''))).join('\n')).not.toContain(canary);
      }),
      { numRuns: 1000 },
    );
  });
});

test('hostile text takes a moment', () => {
  const keys = Array.from({ length: 10_000 }, (_, at) => `k${at}: 1`);
  const units = ['[', '{a: ', '- ', '? ', '---\n', '"', ': ', '!', '[,', 'a: |\n', '*a ', '&a '];
  const hostile = units.map((unit) => unit.repeat(30_000 / unit.length));
  for (const text of [...hostile, keys.join('\n'), `{${keys.join(',')}}`]) {
    const startedAt = performance.now();
    messagesOf(text);
    expect(performance.now() - startedAt).toBeLessThan(3000);
  }
});
