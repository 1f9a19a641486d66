import type { Budget } from './budget.ts';
import type { GoMap, Value } from './values.ts';

/** What a parameter of a function takes, by the name of its type in Go. `any` has nil as null; `value` takes everything. */
interface ParameterTypes {
  string: string;
  int: number;
  bool: boolean;
  map: GoMap | undefined;
  any: Value;
  value: Value;
}

export type ParameterType = keyof ParameterTypes;

type Arguments<P extends readonly ParameterType[]> = { -readonly [K in keyof P]: ParameterTypes[P[K]] };

export interface TemplateFunction {
  readonly parameters: readonly ParameterType[];
  /** Type of any number of further arguments. */
  readonly variadic: ParameterType | undefined;
  readonly call: (values: readonly Value[], budget: Budget) => Value;
}

export type FunctionTable = Readonly<Record<string, TemplateFunction>>;

/** A function of a fixed number of arguments, which are checked as Go does before it is called. */
export function fixed<const P extends readonly ParameterType[]>(
  parameters: P,
  work: (values: Arguments<P>, budget: Budget) => Value,
): TemplateFunction {
  // The evaluator has checked them against `parameters`.
  return { parameters, variadic: undefined, call: (values, budget) => work(values as unknown as Arguments<P>, budget) };
}

/** The same with any number of further arguments of one type. */
export function variadic<const P extends readonly ParameterType[], V extends ParameterType>(
  parameters: P,
  rest: V,
  work: (values: Arguments<P>, others: readonly ParameterTypes[V][], budget: Budget) => Value,
): TemplateFunction {
  const count = parameters.length;
  return {
    parameters,
    variadic: rest,
    call: (values, budget) =>
      work(
        values.slice(0, count) as unknown as Arguments<P>,
        values.slice(count) as unknown as readonly ParameterTypes[V][],
        budget,
      ),
  };
}
