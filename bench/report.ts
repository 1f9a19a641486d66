import type { Findings, Part } from './part.ts';
import { list } from './table.ts';

/** What a part found, under its title. */
export function section(part: Part, { markdown, failures }: Findings): string {
  const failed = failures.map((failure) => `**FAILED**: ${failure}`);
  return [`### ${part.title}`, markdown, ...(failed.length > 0 ? [list(failed)] : [])].join('\n\n');
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
