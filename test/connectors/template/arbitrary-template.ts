import fc from 'fast-check';

const constants = fc.constantFrom(
  ...[
    '1',
    '0',
    '-3',
    '2',
    '1.5',
    '0.0',
    '"a"',
    '""',
    '"x/y"',
    '"https://h:1/p"',
    '`r"w`',
    "'c'",
    'true',
    'false',
    'nil',
  ],
  ...['"ä"', '"a,b,,c"', '"/"', '","', '"%s-%v"', '"%5d|%q"', '1e6', '12345678.5', '"name"'],
);
const paths = fc.constantFrom(
  ...['.', '$', '.connector', '.connector.name', '.connector.spec', '.connector.status.proxyAddress', '.connectors'],
  ...['$.connector.name', '.texts', '.mixed', '.nested', '.n.one', '.n.half', '.n.big', '.flags.yes', '.flags.no'],
  ...['.missing', '.missing.deep', '.nothing', '.nothing.deep', '.emptyList', '.emptyMap', '$.texts', '$.nested.b.c'],
  ...['.name', '.spec.priority', '$x', '$y', '$x.name', '.configurations', '.configurations.x', '.context.token'],
);
// Not nospace: sprig's takes texts for bytes, and what is not ASCII comes out broken.
const functions = fc.constantFrom(
  ...['and', 'or', 'not', 'eq', 'ne', 'lt', 'le', 'gt', 'ge', 'len', 'index', 'slice', 'print', 'println', 'printf'],
  ...['urlquery', 'html', 'b64enc', 'default', 'empty', 'coalesce', 'ternary', 'urlParse', 'trim', 'trimAll'],
  ...['trimSuffix', 'trimPrefix', 'upper', 'lower', 'replace', 'contains', 'hasPrefix', 'hasSuffix', 'splitList'],
  ...['join', 'first', 'last', 'rest', 'initial', 'list', 'append', 'prepend', 'concat', 'has', 'uniq', 'dict', 'get'],
  ...['hasKey', 'keys', 'values', 'quote', 'squote', 'toString', 'toJson', 'toPrettyJson', 'toRawJson', 'fromJson'],
  ...['indent', 'nindent', 'repeat', 'sha256sum', 'kindOf', 'without', 'compact', 'reverse', 'sortAlpha'],
  ...['cat', 'toStrings', 'pick', 'omit', 'pluck', 'unset', 'all', 'any', 'deepEqual', 'until', 'title'],
);

type Typed = {
  readonly text: string;
  readonly list: string;
  readonly map: string;
  readonly truth: string;
  readonly whole: string;
  readonly any: string;
};

const joined = (...parts: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts).map((texts) => `(${texts.join(' ')})`);
const oneOf = (...names: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...names);
const shallow = { maxDepth: 2, depthSize: 'small' } as const;

/** Expressions in which the types of arguments are right, so that most of them have a value. */
const typed = fc.letrec<Typed>((tie) => ({
  text: fc.oneof(
    shallow,
    oneOf('"a"', '""', '"a/b//c"', '"https://u:p@h:1/p?q=1#f"', '"{\\"a\\":[1,null]}"', '`"<ä>\\n`', '"  x "'),
    oneOf('$.connector.name', '.context.token', '$.configurations.x', '$.connector.status.proxyAddress'),
    joined(oneOf('upper', 'lower', 'trim', 'b64enc', 'sha256sum', 'title'), tie('text')),
    joined(oneOf('trimAll', 'trimSuffix', 'trimPrefix'), tie('text'), tie('text')),
    joined(oneOf('replace'), tie('text'), tie('text'), tie('text')),
    joined(oneOf('indent', 'nindent', 'repeat'), tie('whole'), tie('text')),
    joined(oneOf('toJson', 'toPrettyJson', 'toRawJson', 'toString', 'kindOf', 'print', 'quote'), tie('any')),
    joined(oneOf('squote', 'cat', 'print', 'println', 'urlquery', 'html', 'quote'), tie('any'), tie('any')),
    joined(oneOf('join'), tie('text'), tie('list')),
    joined(oneOf('printf "%v|%5v|%-4q"', 'printf "%s %d"'), tie('any'), tie('any')),
    joined(oneOf('b64dec (b64enc'), tie('text')).map((text) => `${text})`),
    joined(oneOf('urlJoin (urlParse "http://h/"'), oneOf(')')),
  ),
  list: fc.oneof(
    shallow,
    oneOf('$.texts', '$.mixed', '$.emptyList', 'list', '(list 1 "b" nil)', '$.connectors'),
    joined(oneOf('rest', 'initial', 'uniq', 'compact', 'reverse', 'sortAlpha', 'toStrings'), tie('list')),
    joined(oneOf('append', 'prepend', 'without'), tie('list'), tie('any')),
    joined(oneOf('concat'), tie('list'), tie('list')),
    joined(oneOf('splitList'), tie('text'), tie('text')),
    joined(oneOf('keys', 'values'), tie('map')),
    joined(oneOf('list'), tie('any'), tie('any')),
    joined(oneOf('until'), tie('whole')),
    joined(oneOf('slice'), tie('list')),
  ),
  map: fc.oneof(
    shallow,
    oneOf('$.connector', '$.nested', '$.emptyMap', '$.n', '$.flags', '(urlParse "https://h:8/p/")'),
    joined(oneOf('dict'), tie('text'), tie('any')),
    joined(oneOf('dict'), tie('any'), tie('any'), tie('text'), tie('any')),
    // A map that holds itself ends Go's process.
    joined(oneOf('set'), tie('map'), tie('text'), tie('truth')),
    joined(oneOf('pick', 'omit', 'unset'), tie('map'), tie('text')),
  ),
  truth: fc.oneof(
    shallow,
    oneOf('true', 'false', '$.flags.yes'),
    joined(oneOf('not', 'empty'), tie('any')),
    joined(oneOf('eq', 'ne', 'lt', 'le', 'gt', 'ge'), tie('text'), tie('text')),
    joined(oneOf('eq', 'ne', 'lt', 'le', 'gt', 'ge'), tie('whole'), tie('whole')),
    joined(oneOf('contains', 'hasPrefix', 'hasSuffix'), tie('text'), tie('text')),
    joined(oneOf('has'), tie('any'), tie('list')),
    joined(oneOf('hasKey'), tie('map'), tie('text')),
    joined(oneOf('eq'), tie('any'), oneOf('nil', '.missing')),
    joined(oneOf('deepEqual'), tie('any'), tie('any')),
  ),
  whole: fc.oneof(
    shallow,
    oneOf('0', '1', '3', '7', '$.n.one', '$.n.zero', '0x2', "'\\x03'"),
    joined(oneOf('len'), fc.oneof(tie('text'), tie('list'), tie('map'))).map((text) => `(min 9 ${text} | int)`),
  ),
  any: fc.oneof(
    shallow,
    oneOf('1', '-2.5', '1e6', 'nil', '.missing', '$.nothing', '$.n.half', '.', '$x', '$y', '.missing.a'),
    tie('text'),
    tie('list'),
    tie('map'),
    tie('truth'),
    tie('whole'),
    joined(oneOf('default', 'coalesce', 'and', 'or'), tie('any'), tie('any')),
    joined(oneOf('ternary'), tie('any'), tie('any'), tie('truth')),
    joined(oneOf('first', 'last'), tie('list')),
    joined(oneOf('get'), tie('map'), tie('text')),
    joined(oneOf('index'), tie('map'), tie('text')),
    joined(oneOf('fromJson'), tie('text')),
    fc.tuple(tie('map'), oneOf('.name', '.a', '.host', '.b.c')).map((parts) => parts.join('')),
  ),
}));

type Grammar = {
  readonly operand: string;
  readonly command: string;
  readonly pipeline: string;
  readonly loose: string;
  readonly statement: string;
  readonly body: string;
};

const piped = fc
  .tuple(oneOf('default', 'print', 'list', 'cat', 'and', 'or', 'coalesce', 'printf "%v-%s"', 'dict "k"'), typed.any)
  .map((parts) => parts.join(' '));

const grammarOf = (looseness: 'loose' | 'typed') =>
  fc.letrec<Grammar>((tie) => ({
    operand: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      { weight: 3, arbitrary: constants },
      { weight: 5, arbitrary: paths },
      { weight: 2, arbitrary: tie('pipeline').map((inner) => `(${inner})`) },
      { weight: 1, arbitrary: tie('pipeline').map((inner) => `(${inner}).name`) },
    ),
    command: fc.oneof(
      { weight: 2, arbitrary: paths },
      {
        weight: 5,
        arbitrary: fc
          .tuple(functions, fc.array(tie('operand'), { maxLength: 3 }))
          .map(([name, operands]) => [name, ...operands].join(' ')),
      },
    ),
    pipeline: fc.oneof(
      { weight: 1, arbitrary: tie('loose') },
      { weight: looseness === 'loose' ? 1 : 30, arbitrary: typed.any },
      {
        weight: looseness === 'loose' ? 1 : 10,
        arbitrary: fc
          .tuple(
            typed.any,
            fc.array(fc.oneof(piped, oneOf('toJson', 'quote', 'print')), { minLength: 1, maxLength: 2 }),
          )
          .map(([first, rest]) => [first, ...rest].join(' | ')),
      },
    ),
    loose: fc
      .tuple(fc.oneof(tie('command'), constants), fc.array(tie('command'), { maxLength: 2 }))
      .map(([first, rest]) => [first, ...rest].join(' | ')),
    statement: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      { weight: 3, arbitrary: fc.constantFrom('text', ' ', '\n', ' a\n', '"', '{', '}') },
      { weight: 6, arbitrary: tie('pipeline').map((inner) => `{{ ${inner} }}`) },
      { weight: 1, arbitrary: tie('pipeline').map((inner) => `{{- ${inner} -}}`) },
      {
        weight: 2,
        arbitrary: fc
          .tuple(fc.constantFrom('$x := ', '$y := ', '$x = ', '$y = '), tie('pipeline'))
          .map(([variable, inner]) => `{{ ${variable}${inner} }}`),
      },
      {
        weight: 4,
        arbitrary: fc
          .tuple(
            fc.constantFrom('if', 'with', 'range', 'range $x :=', 'range $x, $y :=', 'range $x =', 'with $y :='),
            tie('pipeline'),
            tie('body'),
            fc.option(tie('body')),
          )
          .map(
            ([head, inner, body, other]) =>
              `{{ ${head} ${inner} }}${body}${other === null ? '' : `{{ else }}${other}`}{{ end }}`,
          ),
      },
      {
        weight: 1,
        arbitrary: fc
          .tuple(tie('pipeline'), tie('body'), tie('pipeline'), tie('body'))
          .map(([a, b, c, d]) => `{{ if ${a} }}${b}{{ else if ${c} }}${d}{{- end }}`),
      },
      { weight: 1, arbitrary: fc.constantFrom('{{ break }}', '{{ continue }}', '{{/* c */}}') },
    ),
    body: fc.array(tie('statement'), { maxLength: 4 }).map((statements) => statements.join('')),
  }));

/** A template about the data of cases.ts, whose variables $x and $y are there. Those that are loose mostly fail. */
export function templates(looseness: 'loose' | 'typed'): fc.Arbitrary<string> {
  const { statement, body } = grammarOf(looseness);
  return fc.tuple(fc.array(statement, { minLength: 1, maxLength: 5 }), body).map(([statements, inner]) => {
    const definition = `{{ define "t1" }}{{ $x := 1 }}{{ $y := "y" }}${inner}{{ end }}`;
    return `${definition}{{ $x := .connector }}{{ $y := 7 }}${statements.join('')}{{ template "t1" $ }}`;
  });
}
