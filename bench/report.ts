import type { Measured, Round, SlowClients } from './measure.ts';
import { reference } from './peers.ts';

const slowRssMaxBytes = 200 * 2 ** 20;

export const isWithinMemory = (slow: SlowClients): boolean => slow.broken === 0 && slow.rssMaxBytes < slowRssMaxBytes;

/** Medians of all rounds, a row for each peer. */
export function figuresTable(measured: readonly Measured[]): string {
  const rows = measured.map(({ name, rounds, rssBytes, rssMaxBytes }) => [
    name,
    medianOf(rounds, 'requestsPerSecond').toFixed(0),
    medianOf(rounds, 'p50Ms').toFixed(2),
    medianOf(rounds, 'p99Ms').toFixed(2),
    medianOf(rounds, 'cpuMicrosPerRequest').toFixed(1),
    medianOf(rounds, 'megabytesPerSecond').toFixed(0),
    medianOf(rounds, 'cpuSecondsPerGib').toFixed(2),
    `${mebibytes(rssBytes)} / ${mebibytes(rssMaxBytes)}`,
  ]);
  const heads = ['small: req/s', 'p50 ms', 'p99 ms', 'CPU µs each', 'blob: MB/s', 'CPU s/GiB', 'RSS MiB, after / most'];
  return table(['proxy', ...heads], rows);
}

/** Medians of the ratios within each round, which noise disturbs least: both sides had the same minute. */
export function ratiosTable(measured: readonly Measured[]): string {
  const base = measured.find(({ name }) => name === reference);
  if (base === undefined) return '';
  const rows = measured
    .filter(({ name }) => name !== reference)
    .map(({ name, rounds }) => {
      const ratio = (key: keyof Round): string =>
        median(rounds.map((round, at) => round[key] / (base.rounds[at]?.[key] ?? Number.NaN))).toFixed(2);
      return [
        name,
        ...(['requestsPerSecond', 'cpuMicrosPerRequest', 'megabytesPerSecond', 'cpuSecondsPerGib'] as const).map(ratio),
      ];
    });
  return table([`× ${reference}`, 'req/s', 'CPU per request', 'MB/s', 'CPU per GiB'], rows);
}

export function slowClientsLine(slow: SlowClients): string {
  const { name, clients, bytes, broken, rssBeforeBytes, rssMaxBytes } = slow;
  const verdict = isWithinMemory(slow) ? 'pass' : 'FAIL';
  return (
    `${clients} slow clients of a 1 GiB blob (${(bytes / 1e6).toFixed(0)} MB read in all, ${broken} broken), ${name}: ` +
    `RSS ${mebibytes(rssBeforeBytes)} MiB before, at most ${mebibytes(rssMaxBytes)} MiB; under 200 MiB: ${verdict}`
  );
}

const marks = { begin: '<!-- measured: begin -->', end: '<!-- measured: end -->' } as const;

/**
 * Puts the measured section into the text of the README.
 * @throws Error when the text has no place for it
 */
export function replaceMeasured(text: string, measured: string): string {
  const begin = text.indexOf(marks.begin);
  const end = text.indexOf(marks.end);
  if (begin === -1 || end < begin) throw new Error(`the README lacks ${marks.begin} and ${marks.end}`);
  return `${text.slice(0, begin + marks.begin.length)}\n\n${measured.trim()}\n\n${text.slice(end)}`;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = heads.map((_, at) => (at === 0 ? '---' : '---:'));
  return [line(heads), line(rule), ...rows.map(line)].join('\n');
}

const medianOf = (rounds: readonly Round[], key: keyof Round): number => median(rounds.map((round) => round[key]));

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(half)] ?? Number.NaN) + (sorted[Math.ceil(half)] ?? Number.NaN)) / 2;
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
