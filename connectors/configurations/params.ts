import { z } from 'zod';
import { ProxyError } from '../../platform/errors.ts';
import { printable } from '../../platform/printable.ts';
import type { Configuration } from '../schema.ts';

/** A declaration in a class; what else stands in it is for user interfaces. */
const declaration = z.object({
  name: z.string(),
  default: z.union([z.string(), z.number(), z.boolean()]).nullish(),
});

interface Declared {
  readonly name: string;
  readonly value: string | undefined;
}

/** The parameters that a class declares for a configuration, with their defaults. */
function declaredBy({ params = [] }: Configuration): readonly Declared[] {
  return params.flatMap((param) => {
    const parsed = declaration.safeParse(param);
    if (!parsed.success) return [];
    const { name, default: value } = parsed.data;
    return [{ name, value: value === undefined || value === null ? undefined : String(value) }];
  });
}

/**
 * The values of a configuration's parameters: those given, and the defaults of the others.
 * @throws ProxyError CONFIGURATION_INVALID for a parameter that the class does not declare, or one that is missing
 */
export function paramsOf(
  configuration: Configuration,
  given: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const declared = declaredBy(configuration);
  const names = declared.map(({ name }) => name);
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const known = names.length === 0 ? 'it has none' : `it has: ${names.join(', ')}`;
    throw invalid(
      `configuration "${configuration.name}" has no parameter "${printable(unknown, 80)}" (${printable(known, 1024)})`,
    );
  }
  const values = declared.map(({ name, value }) => [name, Object.hasOwn(given, name) ? given[name] : value] as const);
  const missing = values.find(([, value]) => value === undefined);
  if (missing === undefined) return Object.fromEntries(values as [string, string][]);
  throw invalid(
    `configuration "${configuration.name}" needs parameter "${printable(missing[0], 80)}": give it in configuration.params`,
  );
}

const invalid = (message: string): ProxyError => new ProxyError('CONFIGURATION_INVALID', message);
