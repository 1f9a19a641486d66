import type { DeclaredConfigurations } from '../connectors/configurations/declared.ts';
import { paramsOf } from '../connectors/configurations/params.ts';
import type { Configuration } from '../connectors/schema.ts';
import { ProxyError } from '../platform/errors.ts';
import { parseJson } from '../platform/json.ts';
import { configurationParamsAnnotation } from './annotations.ts';

import { isObject, textOf } from './raw.ts';
import { quote, type Warnings } from './warnings.ts';

type Values = Readonly<Record<string, string>>;
/** Values of parameters, by configuration. */
export type ConfigurationParams = Readonly<Record<string, Values>>;

const lengthMax = 16_384;

/** Reads the annotation, `{configuration: {param: text}}`; empty, with a warning, for a text that is not that. */
export function readParams(text: string | undefined, warnings: Warnings): ConfigurationParams {
  if (text === undefined || text.trim() === '') return {};
  const params = parseParams(text);
  if (typeof params !== 'string') return params;
  warnings.add(`annotation ${configurationParamsAnnotation} is not acted on: ${params}`);
  return {};
}

/** The params, or what is wrong with them. */
function parseParams(text: string): ConfigurationParams | string {
  if (text.length > lengthMax) return `it is longer than ${lengthMax} characters`;
  const params = parseJson(text);
  if (!isObject(params)) return 'it has to be a JSON object, {"configuration": {"param": "text"}}';
  for (const [name, values] of Object.entries(params)) {
    if (!isObject(values)) return `${quote(name)} has to be an object, {"param": "text"}`;
    const odd = Object.keys(values).find((param) => textOf(values[param]) === undefined);
    if (odd !== undefined) return `${quote(odd)} of ${quote(name)} has to be a text, in quotation marks`;
  }
  return params as ConfigurationParams;
}

/**
 * The names with the params that their classes take. With params that do not fit, a configuration comes as if none had
 * been given; one that cannot do without is left out: a volume that asks for it never gets ready. A namespace may hold
 * params of configurations that a pod does not ask for.
 */
export function fitParams(
  names: readonly string[],
  declared: DeclaredConfigurations | undefined,
  given: ConfigurationParams,
  warnings: Warnings,
): { readonly names: readonly string[]; readonly params: ConfigurationParams } {
  const fitting: string[] = [];
  const params: Record<string, Values> = {};
  for (const name of names) {
    const values = Object.hasOwn(given, name) ? given[name] : undefined;
    const configuration = declared?.get(name)?.configuration;
    const problem = problemOf(configuration, values);
    if (problem !== undefined) warnings.add(`annotation ${configurationParamsAnnotation}: ${problem}`);
    if (problem === undefined && values !== undefined) params[name] = values;
    if (problem === undefined || problemOf(configuration, undefined) === undefined) fitting.push(name);
  }
  return { names: fitting, params };
}

function problemOf(configuration: Configuration | undefined, values: Values | undefined): string | undefined {
  if (configuration === undefined) return undefined;
  try {
    paramsOf(configuration, values);
    return undefined;
  } catch (error) {
    if (error instanceof ProxyError) return error.message;
    throw error;
  }
}
