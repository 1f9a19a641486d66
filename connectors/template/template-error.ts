import { printable } from '../../platform/printable.ts';

const messageLengthMax = 512;

/**
 * What is wrong with a template or with what it does, and where. Lines and columns count from 1. The message has at most
 * 512 characters, all of them printable ASCII.
 */
export class TemplateError extends Error {
  readonly templateName: string;
  readonly line: number;
  readonly column: number;
  /** The message without the place. */
  readonly reason: string;

  constructor(reason: string, place: { templateName: string; line: number; column: number }, options?: ErrorOptions) {
    super(printable(`${place.templateName}:${place.line}:${place.column}: ${reason}`, messageLengthMax), options);
    this.name = 'TemplateError';
    this.reason = printable(reason, messageLengthMax);
    this.templateName = place.templateName;
    this.line = place.line;
    this.column = place.column;
  }
}

/** Why a template cannot go on, thrown where the place is not at hand; whoever knows the place makes it a TemplateError. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** Offset in the template, where it is not that of what was read or evaluated last. */
  readonly at: number | undefined;

  constructor(message: string, at?: number) {
    // Shortened here too: as the cause of a TemplateError it stays.
    super(printable(message, messageLengthMax));
    this.at = at;
  }
}

/** The template's name with the line and column of an offset into its text. */
export function placeOf(templateName: string, text: string, offset: number) {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  let line = 1;
  for (let at = before.indexOf('\n'); at !== -1; at = before.indexOf('\n', at + 1)) line++;
  return { templateName, line, column: offset - lineStart + 1 };
}
