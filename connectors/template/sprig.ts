import type { Budget } from './budget.ts';
import { atoi, toFloat, toInt } from './convert.ts';
import { fromJson, type JsonStyle, toJson } from './json.ts';
import { type FunctionTable, fixed, type TemplateFunction, variadic } from './signature.ts';
import { listFunctions, mapFunctions } from './sprig-collections.ts';
import { stringFunctions } from './sprig-strings.ts';
import { Refusal } from './template-error.ts';
import { formatUrl, hostnameOf, parseUrl } from './url.ts';
import {
  described,
  type GoMap,
  int,
  isDeepEqual,
  isTrue,
  kindName,
  typedList,
  typeName,
  type Value,
} from './values.ts';

function textIn(map: GoMap | undefined, key: string): string {
  const value = map?.get(key) ?? '';
  if (typeof value !== 'string')
    throw new Refusal(`urlJoin wants ${key} to be a string, and it is ${described(value)}`);
  return value;
}

function urlParse(text: string, budget: Budget): GoMap {
  budget.spendSlowReading(text.length);
  const { host, userinfo = '', ...parts } = parseUrl(text);
  return new Map(Object.entries({ ...parts, host, hostname: hostnameOf(host), userinfo }));
}

function urlJoin(map: GoMap | undefined, budget: Budget): string {
  const of = (key: string): string => {
    const text = textIn(map, key);
    budget.spendSlowReading(text.length);
    return text;
  };
  const userinfo = of('userinfo') === '' ? undefined : parseUrl(`proto://${of('userinfo')}@host`).userinfo;
  const [scheme, opaque, host] = [of('scheme'), of('opaque'), of('host')];
  return formatUrl({ scheme, opaque, userinfo, host, path: of('path'), query: of('query'), fragment: of('fragment') });
}

/** sprig writes nothing where JSON has no word for the value, and its form with `must` fails. */
function jsonFunctions(name: string, style: JsonStyle): FunctionTable {
  const write = (value: Value, budget: Budget): string | undefined => toJson(value, style, budget);
  return {
    [`to${name}`]: fixed(['any'], ([value], budget) => write(value, budget) ?? ''),
    [`mustTo${name}`]: fixed(['any'], ([value], budget) => {
      const text = write(value, budget);
      if (text === undefined) throw new Refusal('JSON has no infinite numbers');
      return text;
    }),
  };
}

const encodingFunctions: FunctionTable = {
  ...jsonFunctions('Json', { isHtmlSafe: true, indent: 0 }),
  ...jsonFunctions('PrettyJson', { isHtmlSafe: true, indent: 2 }),
  ...jsonFunctions('RawJson', { isHtmlSafe: false, indent: 0 }),
  fromJson: fixed(['string'], ([text], budget) => fromJson(text, budget) ?? null),
  mustFromJson: fixed(['string'], ([text], budget) => {
    const value = fromJson(text, budget);
    if (value === undefined) throw new Refusal('mustFromJson wants JSON, and the text is none');
    return value;
  }),
  urlParse: fixed(['string'], ([text], budget) => urlParse(text, budget)),
  urlJoin: fixed(['map'], ([map], budget) => urlJoin(map, budget)),
};

const wrapped = (value: bigint): bigint => BigInt.asIntN(64, value);

/** Go's division rounds towards zero, as that of bigints does. */
const divided = (name: string, work: (a: bigint, b: bigint) => bigint): TemplateFunction =>
  fixed(['any', 'any'], ([a, b]) => {
    const divisor = toInt(b);
    if (divisor === 0n) throw new Refusal(`${name} cannot divide by zero`);
    return wrapped(work(toInt(a), divisor));
  });

const chosen = (isBetter: (a: bigint, b: bigint) => boolean): TemplateFunction =>
  variadic(['any'], 'any', ([first], others) =>
    others.map(toInt).reduce((best, other) => (isBetter(other, best) ? other : best), toInt(first)),
  );

function untilStep(start: number, stop: number, step: number, budget: Budget): Value[] {
  const values: Value[] = typedList([], 'int');
  if (stop < start ? step >= 0 : step <= 0) return values;
  for (let value = start; stop < start ? value > stop : value < stop; value += step) {
    budget.spend(1);
    values.push(int(value));
  }
  return values;
}

const numberFunctions: FunctionTable = {
  int: fixed(['any'], ([value]) => toInt(value)),
  int64: fixed(['any'], ([value]) => toInt(value)),
  float64: fixed(['any'], ([value]) => toFloat(value)),
  atoi: fixed(['string'], ([text]) => atoi(text)),
  add: variadic([], 'any', (_none, values) => wrapped(values.reduce((sum: bigint, value) => sum + toInt(value), 0n))),
  add1: fixed(['any'], ([value]) => wrapped(toInt(value) + 1n)),
  sub: fixed(['any', 'any'], ([a, b]) => wrapped(toInt(a) - toInt(b))),
  mul: variadic(['any'], 'any', ([first], others) =>
    others.reduce((product: bigint, value) => wrapped(product * toInt(value)), toInt(first)),
  ),
  div: divided('div', (a, b) => a / b),
  mod: divided('mod', (a, b) => a % b),
  max: chosen((a, b) => a > b),
  biggest: chosen((a, b) => a > b),
  min: chosen((a, b) => a < b),
  floor: fixed(['any'], ([value]) => Math.floor(toFloat(value))),
  ceil: fixed(['any'], ([value]) => Math.ceil(toFloat(value))),
  until: fixed(['int'], ([count], budget) => untilStep(0, count, count < 0 ? -1 : 1, budget)),
  untilStep: fixed(['int', 'int', 'int'], ([start, stop, step], budget) => untilStep(start, stop, step, budget)),
};

const choiceFunctions: FunctionTable = {
  default: variadic(['any'], 'any', ([fallback], [value]) => (isTrue(value) ? value : fallback)),
  empty: fixed(['any'], ([value]) => !isTrue(value)),
  coalesce: variadic([], 'any', (_none, values) => values.find(isTrue) ?? null),
  all: variadic([], 'any', (_none, values) => values.every(isTrue)),
  any: variadic([], 'any', (_none, values) => values.some(isTrue)),
  ternary: fixed(['any', 'any', 'bool'], ([yes, no, isYes]) => (isYes ? yes : no)),
  fail: fixed(['string'], ([message]) => {
    throw new Refusal(message);
  }),
  typeOf: fixed(['any'], ([value]) => typeName(value)),
  typeIs: fixed(['string', 'any'], ([name, value]) => typeName(value) === name),
  kindOf: fixed(['any'], ([value]) => kindName(value)),
  kindIs: fixed(['string', 'any'], ([name, value]) => kindName(value) === name),
  deepEqual: fixed(['any', 'any'], ([a, b], budget) => isDeepEqual(a, b, budget.spend)),
};

/** The functions of sprig that are here. */
export const sprigFunctions: FunctionTable = {
  ...stringFunctions,
  ...listFunctions,
  ...mapFunctions,
  ...encodingFunctions,
  ...numberFunctions,
  ...choiceFunctions,
};
