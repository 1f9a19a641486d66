import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { toYaml } from '../../cli/to-yaml.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';

// What some reader takes for a boolean, a number, a time, nothing, or structure.
const tricky =
  'yes Yes no on off y N true FALSE null Null ~ = << 0644 0o17 0x1F 0b11 1e3 1.5e-3 e3 .5 1. +1 -0 1_000 1__0 0_ 1,000 12:30 1:20:30.5 2001-01-01 2001-01-01T00:00:00Z .inf -.INF .NaN 08 100m 1Gi 10.0.0.1 --- ... - ? : # %x &a *a !x !!str @ ` | > [ { "'.split(
    ' ',
  );
const texts = fc.oneof(
  fc.constantFrom(
    ...tricky,
    '',
    ' ',
    'a: b',
    'a #b',
    'a\n',
    'a\n\n',
    '\na',
    ' a\n b',
    'a\n---\nb\n',
    '\t',
    'a\r\nb',
    'x ',
  ),
  fc.constantFrom(...tricky).map((text) => `${text}\n`),
  fc.stringMatching(/^[-+.\d_:eExoTZ]{1,8}$/),
  arbitraryText({ maxLength: 20 }),
);
const { value: values } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    texts,
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number || 0),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      texts.filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
}));

describe('YAML that is written', () => {
  test.each(['1.1', '1.2'] as const)('means the same to a reader of YAML %s', (version) => {
    const read = (yaml: string) => parse(yaml, { version, uniqueKeys: false, logLevel: 'error' });
    for (const text of tricky) expect(read(toYaml({ [text]: [text] })), text).toEqual({ [text]: [text] });
    fc.assert(
      fc.property(values, (value) => void expect(read(toYaml(value))).toEqual(value)),
      { numRuns: 500 },
    );
  });

  test.each(['yes', '0644', '0o17', '1e3', '12:30', '1_000', '2001-01-01', '~', 'null'])(
    'quotes the text %s',
    (text) => {
      expect(toYaml({ value: text })).toBe(`value: "${text}"\n`);
    },
  );

  test.each(['app', 'harbor.example.com/team/app:v1', '/etc/ssl', 'v1', 'a b', 'Größe'])(
    'does not quote %s',
    (text) => {
      expect(toYaml({ value: text })).toBe(`value: ${text}\n`);
    },
  );

  test('writes lines as lines, and line breaks that only YAML 1.1 knows as escapes', () => {
    expect(toYaml({ value: 'a\nb\n' })).toBe('value: |\n  a\n  b\n');
    expect(toYaml({ value: 'a\u2028b\u0085' })).toBe('value: "a\\u2028b\\u0085"\n');
  });
});
