import { createTwoFilesPatch } from 'diff';
import { toYaml } from './to-yaml.ts';

/** A unified diff of two objects as YAML; empty when they are the same. */
export function diffOf(before: unknown, after: unknown, name: string): string {
  const [from, to] = [toYaml(before), toYaml(after)];
  if (from === to) return '';
  return createTwoFilesPatch(name, `${name} (mutated)`, from, to, '', '', { context: 3 }).replace(/^=+\n/, '');
}
