import { z } from 'zod';
import { isNamespaceName } from '../connectors/address.ts';
import { UsageError } from './usage-error.ts';

/** `--manifests` of commands that read a folder. */
export const manifests = z
  .string({ error: '--manifests DIR is needed: the folder of Connectors, Secrets and Namespaces' })
  .min(1, '--manifests is empty: name the folder of Connectors, Secrets and Namespaces');

/** `-n` of commands that ask about pods. */
export const namespace = z.string().refine(isNamespaceName, {
  error: ({ input }) => `-n is "${String(input)}": write the name of a namespace, as demo`,
});

/**
 * Reads the options of a command.
 * @throws UsageError that names every option which is wrong
 */
export function readFlags<T extends z.ZodType>(schema: T, options: unknown): z.output<T> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  throw new UsageError(parsed.error.issues.map((issue) => issue.message).join('; '));
}
