/** A file of CommonJS as an expression, whose value is a function. V8 knows prepared code again by this text. */
export const wrapped = (code: string): string => `(function(module,exports,require){${code}\n})`;
