/** Names of fields and positions in lists, from the document down. */
export type FieldPath = readonly (string | number)[];

/** What is wrong with a field of a file, and where. */
export interface FieldProblem {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** Path of the field, as `spec.auth.secretRef.name`; empty for the document. */
  readonly field: string;
  readonly message: string;
}

export function formatProblem(problem: FieldProblem): string {
  const field = problem.field === '' ? '' : `${problem.field}: `;
  return `${problem.file}:${problem.line}: ${field}${problem.message}`;
}

export function formatField(path: FieldPath): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : at === 0 ? part : `.${part}`)).join('');
}
