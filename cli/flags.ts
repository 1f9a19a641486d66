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

// What a certificate can be made for: a DNS name, with a wildcard for its first label at most, or an address.
const certificateNames = /^(?:(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/;

/** `--webhook-name` of commands that serve the webhook. */
export const certificateName = z
  .string()
  .regex(certificateNames, '--webhook-name is a DNS name in ASCII or an IP address');

const drainSecondsMax = 3600;
const drainRule = `--drain-seconds is a number of seconds from 0 to ${drainSecondsMax}`;

/** `--drain-seconds` of commands that serve. */
export const drainSeconds = z
  .string()
  .regex(/^\d+(\.\d+)?$/, drainRule)
  .transform(Number)
  .pipe(z.number().max(drainSecondsMax, drainRule));

/**
 * Reads the options of a command.
 * @throws UsageError that names every option which is wrong
 */
export function readFlags<T extends z.ZodType>(schema: T, options: unknown): z.output<T> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  throw new UsageError(parsed.error.issues.map((issue) => issue.message).join('; '));
}
