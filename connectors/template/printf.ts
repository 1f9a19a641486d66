import type { Budget } from './budget.ts';
import { exponentialFloat, fixedFloat, generalFloat } from './format-float.ts';
import { formatNested, formatValue } from './format-value.ts';
import { goQuote } from './quote.ts';
import { Refusal } from './template-error.ts';
import { joinedTexts, TextBuilder } from './text-builder.ts';
import { isNil, typeName, type Value } from './values.ts';

interface Directive {
  readonly verb: string;
  readonly isLeft: boolean;
  readonly hasPlus: boolean;
  readonly hasSharp: boolean;
  readonly hasSpace: boolean;
  readonly hasZero: boolean;
  readonly width: number | undefined;
  readonly precision: number | undefined;
}

// One possible end for each part, so that no text takes long.
const directive = /%([-+# 0]*)(\*|[0-9]+)?(?:\.(?=.)(\*|[0-9]+)?|())(.)?/gsu;
const maxWidth = 1_000_000;
const directiveSteps = 4;
/** The digits of a float64 are reckoned with whole numbers of a thousand bits. */
const floatSteps = 8;

/** Go's fmt.Sprintf for the verbs v T t d b o O x X c q U e E f F g G s. Argument indexes (`%[1]d`) are refused. */
export function sprintf(format: string, values: readonly Value[], budget: Budget): string {
  let next = 0;
  let copied = 0;
  const builder = new TextBuilder(budget);
  const amount = (text: string | undefined): number | undefined | 'bad' => {
    if (text !== '*') return text === undefined ? undefined : Math.min(Number(text), maxWidth + 1);
    const value = values[next++];
    return typeof value === 'bigint' && value <= maxWidth && value >= -maxWidth ? Number(value) : 'bad';
  };
  for (const match of format.matchAll(directive)) {
    const [found, flags = '', widthText, precisionText, noDot, verb] = match;
    budget.spend(directiveSteps);
    builder.add(format.slice(copied, match.index));
    copied = match.index + found.length;
    const isDotted = noDot === undefined;
    const width = amount(widthText);
    const precision = isDotted ? amount(precisionText ?? '0') : undefined;
    const complaint = `${width === 'bad' ? '%!(BADWIDTH)' : ''}${precision === 'bad' || Number(precision) < 0 ? '%!(BADPREC)' : ''}`;
    if (verb === '[') throw new Refusal('printf does not take argument indexes as %[1]s: give the argument twice');
    if (verb === undefined) builder.add(`${complaint}%!(NOVERB)`);
    else if (verb === '%') builder.add('%');
    else if (next >= values.length) builder.add(`${complaint}%!${verb}(MISSING)`);
    else {
      const parsed = parsedDirective(verb, flags, width, precision);
      builder.add(complaint + formatted(values[next++], parsed, budget));
    }
  }
  builder.add(format.slice(copied));
  if (next >= values.length) return builder.text;
  const extra = joinedTexts(
    values.slice(next),
    ', ',
    budget,
    (value) => `${typeName(value)}${isNil(value) ? '' : `=${formatValue(value, budget)}`}`,
  );
  builder.add(`%!(EXTRA ${extra})`);
  return builder.text;
}

function parsedDirective(
  verb: string,
  flags: string,
  width: number | undefined | 'bad',
  precision: number | undefined | 'bad',
): Directive {
  const hasWidth = typeof width === 'number';
  const isLeft = flags.includes('-') || (hasWidth && width < 0);
  return {
    verb,
    isLeft,
    // With %v it asks for the names of fields, which no value here has.
    hasPlus: flags.includes('+') && verb !== 'v',
    hasSharp: flags.includes('#'),
    hasSpace: flags.includes(' '),
    hasZero: flags.includes('0') && !isLeft,
    width: hasWidth ? Math.abs(width) : undefined,
    precision: typeof precision === 'number' && precision >= 0 ? precision : undefined,
  };
}

function formatted(value: Value, directive: Directive, budget: Budget): string {
  const { verb, width, precision, hasSharp } = directive;
  budget.spendText(Math.max(width ?? 0, precision ?? 0));
  if (hasSharp && verb === 'v') throw new Refusal('printf does not take %#v: write toJson');
  if (hasSharp && 'OU'.includes(verb)) throw new Refusal(`printf does not take %#${verb}: write %${verb}`);
  if (verb === 'T') return padded(cutTo(precision, typeName(value)), directive);
  if (isNil(value)) return verb === 'v' ? padded('<nil>', directive) : `%!${verb}(<nil>)`;
  return formatNested(value, budget, (leaf) => formatLeaf(leaf, directive, budget));
}

function formatLeaf(value: Value, directive: Directive, budget: Budget): string {
  // Within a list or map Go writes every nil alike.
  if (isNil(value)) return '<nil>';
  const plain = { ...directive, verb: 'v' };
  return (
    formatOf(value, directive, budget) ??
    `%!${directive.verb}(${typeName(value)}=${formatOf(value, plain, budget) ?? ''})`
  );
}

function formatOf(value: Value, directive: Directive, budget: Budget): string | undefined {
  switch (typeof value) {
    case 'string':
      return formatText(value, directive, budget);
    case 'boolean':
      return 'tv'.includes(directive.verb) ? padded(String(value), directive) : undefined;
    case 'bigint':
      return formatInteger(value, directive, budget);
    case 'number':
      budget.spend(floatSteps + (directive.precision ?? 0) / 8);
      return formatFloat(value, directive);
    default:
      return undefined;
  }
}

const length = (text: string): number => {
  let count = 0;
  for (const _ of text) count++;
  return count;
};

function padded(text: string, { width = 0, isLeft, hasZero }: Directive): string {
  if (width === 0) return text;
  const missing = width - length(text);
  if (missing <= 0) return text;
  if (isLeft) return text + ' '.repeat(missing);
  return (hasZero ? '0' : ' ').repeat(missing) + text;
}

function cutTo(count: number | undefined, text: string): string {
  if (count === undefined || text.length <= count) return text;
  let at = 0;
  for (let left = count; left > 0 && at < text.length; left--) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  return text.slice(0, at);
}

function formatText(value: string, directive: Directive, budget: Budget): string | undefined {
  const { precision, verb, hasSharp, hasSpace } = directive;
  if (verb === 'x' || verb === 'X') {
    const bytes = Buffer.from(value).subarray(0, precision);
    budget.checkLength(bytes.length * (hasSpace ? 3 : 2));
    budget.spendSlowReading(bytes.length);
    const hex = verb === 'x' ? bytes.toString('hex') : bytes.toString('hex').toUpperCase();
    const prefix = hasSharp && hex !== '' ? `0${verb}` : '';
    const parts = hasSpace ? (hex.match(/../g) ?? []) : [hex];
    return padded(parts.map((part) => prefix + part).join(' '), directive);
  }
  const text = cutTo(precision, value);
  if (verb === 'v' || verb === 's') return padded(text, directive);
  if (verb !== 'q') return undefined;
  return padded(
    hasSharp && isRawQuotable(text) ? `\`${text}\`` : goQuote(text, budget, '"', directive.hasPlus),
    directive,
  );
}

// As strconv.CanBackquote.
const isRawQuotable = (text: string): boolean => !/[\0-\x08\x0a-\x1f`\x7f\ufeff]/.test(text);

const radixes: Readonly<Record<string, number>> = { v: 10, d: 10, b: 2, o: 8, O: 8, x: 16, X: 16 };

function formatInteger(value: bigint, directive: Directive, budget: Budget): string | undefined {
  const { verb } = directive;
  const radix = radixes[verb];
  if (radix !== undefined) return paddedInteger(value, radix, directive);
  const isCharacter = value >= 0n && value <= 0x10ffffn && (value < 0xd800n || value > 0xdfffn);
  const text = isCharacter ? String.fromCodePoint(Number(value)) : '\ufffd';
  if (verb === 'c') return padded(text, directive);
  if (verb === 'q') return padded(goQuote(text, budget, "'", directive.hasPlus), directive);
  if (verb === 'U')
    return padded(`U+${BigInt.asUintN(64, value).toString(16).toUpperCase().padStart(4, '0')}`, {
      ...directive,
      hasZero: false,
    });
  return undefined;
}

function paddedInteger(value: bigint, radix: number, directive: Directive): string {
  const { verb, width = 0, precision, hasZero, hasSharp } = directive;
  const magnitude = (value < 0n ? -value : value).toString(radix);
  const sign = signOf(value < 0n, directive);
  if (precision === 0 && value === 0n) return padded('', { ...directive, hasZero: false });
  // Go counts the sign, and not the prefix, when it fills up with zeros.
  const digits = hasZero && precision === undefined ? width - sign.length : (precision ?? 0);
  const body = (verb === 'X' ? magnitude.toUpperCase() : magnitude).padStart(digits, '0');
  return padded(sign + prefixOf(verb, hasSharp, body) + body, { ...directive, hasZero: false });
}

function prefixOf(verb: string, hasSharp: boolean, body: string): string {
  if (verb === 'O') return '0o';
  if (!hasSharp) return '';
  if (verb === 'o') return body.startsWith('0') ? '' : '0';
  return { b: '0b', x: '0x', X: '0X' }[verb] ?? '';
}

function signOf(isNegative: boolean, { hasPlus, hasSpace }: Directive): string {
  if (isNegative) return '-';
  if (hasPlus) return '+';
  return hasSpace ? ' ' : '';
}

function formatFloat(value: number, directive: Directive): string | undefined {
  const text = floatText(value, directive);
  if (text === undefined) return undefined;
  const isNegative = text.startsWith('-');
  const sign = signOf(isNegative, directive);
  const magnitude = text.replace(/^[-+]/, '');
  const isNumber = Number.isFinite(value);
  if (!isNumber) {
    const shown = Number.isNaN(value) || isNegative || directive.hasPlus ? sign : directive.hasSpace ? ' ' : '+';
    return padded((Number.isNaN(value) && !directive.hasPlus && !directive.hasSpace ? '' : shown) + magnitude, {
      ...directive,
      hasZero: false,
    });
  }
  if (!directive.hasZero) return padded(sign + magnitude, directive);
  return sign + padded(magnitude, { ...directive, width: (directive.width ?? 0) - sign.length });
}

function floatText(value: number, { verb, precision, hasSharp }: Directive): string | undefined {
  if (hasSharp) throw new Refusal('printf does not take # for fractions');
  switch (verb) {
    case 'v':
    case 'g':
      return generalFloat(value, precision);
    case 'G':
      return generalFloat(value, precision).replace('e', 'E');
    case 'f':
    case 'F':
      return fixedFloat(value, Math.min(precision ?? 6, 1000));
    case 'e':
      return exponentialFloat(value, Math.min(precision ?? 6, 100));
    case 'E':
      return exponentialFloat(value, Math.min(precision ?? 6, 100)).replace('e', 'E');
    case 'x':
    case 'X':
    case 'b':
      throw new Refusal(`printf does not take %${verb} for fractions: write %g or %f`);
    default:
      return undefined;
  }
}
