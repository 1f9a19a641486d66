/** A table in Markdown; numbers stand to the right. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = heads.map((_, at) => (at === 0 ? '---' : '---:'));
  return [line(heads), line(rule), ...rows.map(line)].join('\n');
}

export const list = (lines: readonly string[]): string => lines.map((line) => `- ${line}`).join('\n');

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(half)] ?? Number.NaN) + (sorted[Math.ceil(half)] ?? Number.NaN)) / 2;
}

/** Median of the ratios within each round, which noise disturbs least: both sides had the same minute. */
export const medianRatio = (values: readonly number[], base: readonly number[]): number =>
  median(values.map((value, at) => value / (base[at] ?? Number.NaN)));

export const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
