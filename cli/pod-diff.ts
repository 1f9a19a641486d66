import { createTwoFilesPatch } from 'diff';
import { stringify } from 'yaml';

/** YAML as people write it: no line folding, no anchors. */
export const toYaml = (value: unknown): string => stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });

/** A unified diff of two objects as YAML; empty when they are the same. */
export function diffOf(before: unknown, after: unknown, name: string): string {
  const [from, to] = [toYaml(before), toYaml(after)];
  if (from === to) return '';
  return createTwoFilesPatch(name, `${name} (mutated)`, from, to, '', '', { context: 3 }).replace(/^=+\n/, '');
}
