import { functionNamed, functionNames } from '../../../connectors/template/function-table.ts';
import type { ParameterType } from '../../../connectors/template/signature.ts';

/** A template that does as much as it can of one thing. */
export interface LargeCase {
  readonly what: string;
  readonly template: string;
}

/** Variables of large values by name, each with the statements that make it. */
const values: Readonly<Record<string, string>> = {
  ascii: '{{$ascii := repeat 262000 "a"}}',
  special: '{{$special := repeat 87000 "é<\\x01"}}',
  spaces: '{{$spaces := repeat 131000 " \u00a0"}}',
  digits: '{{$digits := print (repeat 200000 "9") "x"}}',
  url: '{{$url := print "http://h/" (repeat 65000 "%41a")}}',
  json: '{{$json := print "[" (repeat 130000 "1,") "1]"}}',
  directives: '{{$directives := repeat 80000 "%5q"}}',
  hostile: '{{$hostile := print (repeat 300 "a") "b" (repeat 80000 "a")}}',
  texts: '{{$s := repeat 100000 "a<"}}{{$texts := list $s}}{{range until 12}}{{$texts = concat $texts $texts}}{{end}}',
  numbers: '{{$numbers := until 8000}}',
  map: '{{$map := dict}}{{range until 3000}}{{$_ := set $map (printf "%d%s" . "key") .}}{{end}}',
  nested:
    '{{$nested := list (repeat 2000 "a")}}{{range until 12}}{{$nested = list $nested $nested}}{{end}}{{$nested = dict "a" $nested}}',
  small: '{{$small := 1.5}}',
  word: '{{$word := "a"}}',
};

const prelude = (names: readonly string[]): string => [...new Set(names)].map((name) => values[name] ?? '').join('');

/** Which of the values a parameter is tried with, one after the other. */
const candidates: Readonly<Record<ParameterType, readonly string[]>> = {
  string: ['ascii', 'special', 'spaces', 'digits', 'url', 'json', 'directives', 'word'],
  any: ['texts', 'numbers', 'map', 'nested', 'ascii', 'special', 'small'],
  value: ['ascii', 'texts', 'numbers', 'map', 'word', 'small'],
  map: ['map'],
  int: ['3', '100000', '1000000000'],
  bool: ['true'],
};

const written = (candidate: string): string => (candidate in values ? `$${candidate}` : candidate);

/** Calls without end of a function with arguments: the `at`-th candidate of each parameter, further ones for the rest. */
function callsOf(name: string, at: number, extra: number): LargeCase {
  const { parameters, variadic } = functionNamed(name);
  const types = [...parameters, ...Array.from({ length: variadic === undefined ? 0 : extra }, () => variadic ?? 'any')];
  const chosen = types.map((type, position) => {
    const options = candidates[type];
    return options[(position === types.length - 1 ? at : at + position + 1) % options.length] ?? '1';
  });
  const call = [name, ...chosen.map(written)].join(' ');
  return {
    what: `${name} ${[...new Set(chosen)].join(' ')} (${chosen.length})`,
    template: `${prelude(chosen)}{{range until 20000}}{{$x := ${call}}}{{end}}`,
  };
}

/** Names of functions without those that are other names of the same. */
const distinctNames = functionNames.filter(
  (name, at) => functionNames.findIndex((other) => functionNamed(other) === functionNamed(name)) === at,
);

const ofFunctions: readonly LargeCase[] = distinctNames.flatMap((name) => {
  const { parameters, variadic } = functionNamed(name);
  const types = variadic === undefined ? parameters : [...parameters, variadic];
  const rounds = Math.max(1, ...types.map((type) => candidates[type].length));
  return Array.from({ length: rounds }, (_, at) => callsOf(name, at, at % 2 === 0 ? 1 : 1000));
});

const large = (what: string, names: readonly string[], body: string): LargeCase => ({
  what,
  template: `${prelude(names)}{{range until 20000}}${body}{{end}}`,
});

/** What has taken long or much once. */
const found: readonly LargeCase[] = [
  large('float of digits', ['digits'], '{{$x := float64 $digits}}'),
  large('sort of long texts', ['texts'], '{{$x := sortAlpha $texts}}'),
  large('break of a range over a map', ['map'], '{{range $map}}{{break}}{{end}}'),
  large('a map as text', ['map'], '{{$x := print $map}}{{$x := toJson $map}}'),
  large('operands', [], `{{$x := list ${'. '.repeat(30_000)}}}`),
  large('operands that are not evaluated', [], `{{$x := or 1 ${'. '.repeat(30_000)}}}`),
  large('fields', ['map'], `{{$_ := set $map "a" $map}}{{$x := $map${'.a'.repeat(30_000)}}}`),
  large('omit', ['map'], `{{$x := omit $map ${'"ab" '.repeat(10_000)}}}`),
  large('has', ['ascii', 'texts'], '{{$x := has (print $ascii "b" | trimSuffix "b") $texts}}'),
  large('JSON', ['texts'], '{{$x := toJson $texts}}'),
  large('cat', ['texts'], `{{$x := cat ${'$texts '.repeat(3000)}}}`),
  large('quotes of lists', ['texts'], `{{$x := quote ${'(list (index $texts 0)) '.repeat(1500)}}}`),
  large('printf without directives', ['texts'], `{{$x := printf "" ${'$texts '.repeat(3000)}}}`),
  large('search', ['ascii', 'hostile'], '{{$x := contains $hostile $ascii}}'),
  large('split by a long separator', ['ascii', 'hostile'], '{{$x := splitList $hostile $ascii}}'),
  large('fractions', [], '{{$x := printf "%.1000f %.100e %.100g" 5e-324 1.5e308 5e-324}}'),
  large('hexadecimal', ['special'], '{{$x := printf "%# x" $special}}'),
  large('empty JSON objects', [], '{{$x := fromJson (print "[" (repeat 87000 "{},") "{}]")}}'),
  large('texts that grow', [], '{{$x := ""}}{{range until 20000}}{{$x = print $x "ab"}}{{end}}'),
  large('lists that grow', [], '{{$x := list}}{{range until 20000}}{{$x = append $x 1}}{{end}}'),
  large('maps', [], '{{$x := list}}{{range until 20000}}{{$x = append $x (dict)}}{{end}}'),
  large('variables', [], `${Array.from({ length: 250 }, (_, at) => `{{$${'v'.repeat(100)}${at} := 1}}`).join('')}`),
  { what: 'output', template: '{{range 1000000}}a{{end}}' },
];

export const largeCases: readonly LargeCase[] = [...found, ...ofFunctions];
