const special = (value: number): string | undefined => {
  if (Number.isNaN(value)) return 'NaN';
  if (Number.isFinite(value)) return undefined;
  return value > 0 ? '+Inf' : '-Inf';
};

const sign = (value: number): string => (value < 0 || Object.is(value, -0) ? '-' : '');

/** `1.5e+7` as Go writes exponents: at least two digits. */
const withGoExponent = (text: string): string => text.replace(/e([+-])(\d)$/, 'e$10$2');

/** A float64 as Go's `%v` writes it: as few digits as tell it from all others, with an exponent from 1e+06 on and below 1e-04. */
export function shortestFloat(value: number): string {
  const text = value.toExponential();
  const exponent = Number(text.slice(text.indexOf('e') + 1));
  const named = special(value);
  if (named !== undefined) return named;
  if (exponent < -4 || exponent >= 6) return sign(value) + withGoExponent(Math.abs(value).toExponential());
  return sign(value) + plainDigits(Math.abs(value));
}

/** The shortest digits without an exponent. */
function plainDigits(value: number): string {
  const text = String(value);
  const [digits = '', exponent] = text.split('e');
  if (exponent === undefined) return text;
  const [whole = '', fraction = ''] = digits.split('.');
  const shift = Number(exponent);
  if (shift < 0) return `0.${'0'.repeat(-shift - 1)}${whole}${fraction}`;
  return `${whole}${fraction}${'0'.repeat(shift - fraction.length)}`;
}

/** Go's `%e`. */
export function exponentialFloat(value: number, precision: number): string {
  return special(value) ?? sign(value) + withGoExponent(exponential(Math.abs(value), precision));
}

/** As toExponential, but exact halves go to the even digit. */
function exponential(value: number, precision: number): string {
  if (value === 0) return value.toExponential(precision);
  const text = value.toExponential();
  const exponent = Number(text.slice(text.indexOf('e') + 1));
  const digits = roundedHalfEven(value, precision - exponent).toString();
  const shown = digits.length > precision + 1 ? exponent + 1 : exponent;
  const fraction = precision === 0 ? '' : `.${digits.slice(1, precision + 1)}`;
  return `${digits.charAt(0)}${fraction}e${shown < 0 ? '-' : '+'}${Math.abs(shown)}`;
}

/** Go's `%f`: exact, and halves go to the even digit. */
export function fixedFloat(value: number, precision: number): string {
  const named = special(value);
  if (named !== undefined) return named;
  const scaled = roundedHalfEven(Math.abs(value), precision)
    .toString()
    .padStart(precision + 1, '0');
  const whole = scaled.slice(0, scaled.length - precision);
  return sign(value) + (precision === 0 ? whole : `${whole}.${scaled.slice(-precision)}`);
}

/** `value` times ten to the `precision`, rounded. */
function roundedHalfEven(value: number, precision: number): bigint {
  let numerator = value;
  let shift = 0n;
  // A double is a whole number over a power of two, and doubling loses nothing.
  while (!Number.isInteger(numerator)) {
    numerator *= 2;
    shift++;
  }
  const scaled = BigInt(numerator) * 10n ** BigInt(Math.max(0, precision));
  const divisor = (1n << shift) * 10n ** BigInt(Math.max(0, -precision));
  const quotient = scaled / divisor;
  const twice = (scaled % divisor) * 2n;
  const isUp = twice > divisor || (twice === divisor && quotient % 2n === 1n);
  return isUp ? quotient + 1n : quotient;
}

/** Go's `%g` with a precision. */
export function generalFloat(value: number, precision?: number): string {
  if (precision === undefined) return shortestFloat(value);
  const named = special(value);
  if (named !== undefined) return named;
  const digits = Math.max(1, precision);
  const [mantissa = '', exponentText] = exponential(Math.abs(value), Math.min(100, digits - 1)).split('e');
  const exponent = Number(exponentText);
  const trimmed = mantissa.includes('.') ? mantissa.replace(/\.?0*$/, '') : mantissa;
  const shown = trimmed.replace('.', '').length;
  // As strconv does: a whole number that fits into its digits is written out.
  const limit = digits > shown && shown >= exponent + 1 ? shown : digits;
  if (exponent < -4 || exponent >= limit)
    return sign(value) + withGoExponent(`${trimmed}e${exponent < 0 ? '' : '+'}${exponent}`);
  return sign(value) + plainDigits(Number(`${trimmed}e${exponent}`));
}
