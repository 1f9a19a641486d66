import type { DeclaredConfigurations } from '../connectors/configurations/declared.ts';
import { cleanPath, overlap, refusalOf } from './mount-path.ts';
import { quote, type Warnings } from './warnings.ts';

/** What the class of a connector has containers get for one configuration, beside the mounts that all have. */
export interface Injection {
  readonly configuration: string;
  /** Clean; undefined where the class names none that may be mounted. */
  readonly mountPath: string | undefined;
  readonly env: readonly Variable[];
}

interface Variable {
  readonly name: string;
  /** With `$(MOUNT_PATH)` in it, see `valueAt`. */
  readonly value: string;
}

/** What of the class would make the API server refuse the pod is left out with a warning, as is what is dangerous. */
export function injectionsOf(
  names: readonly string[],
  declared: DeclaredConfigurations | undefined,
  warnings: Warnings,
): readonly Injection[] {
  const injections: Injection[] = [];
  for (const name of names) {
    const { mountPath, env = [] } = declared?.get(name)?.configuration.injection ?? {};
    injections.push({
      configuration: name,
      mountPath: mountPath === undefined ? undefined : usablePath(mountPath, name, injections, warnings),
      env: env.filter((variable) => isUsable(variable, name, injections, warnings)),
    });
  }
  return injections;
}

function usablePath(
  path: string,
  configuration: string,
  earlier: readonly Injection[],
  warnings: Warnings,
): string | undefined {
  const clean = cleanPath(path);
  const rival = earlier.find(
    ({ mountPath }) => mountPath !== undefined && mountPath !== clean && overlap(mountPath, clean),
  );
  const refusal = rival === undefined ? refusalOf(clean) : `it overlaps that of ${quote(rival.configuration)}`;
  if (refusal === undefined) return clean;
  warnings.add(
    `configuration ${quote(configuration)} is not mounted at ${quote(clean)}, as its class says: ${refusal}`,
  );
  return undefined;
}

/** By these a class would choose which code runs in containers: no client is led to its files by them. */
const dangerousVariable = /^(?:PATH|LD_.*|BASH_ENV|ENV|NODE_OPTIONS|PYTHONPATH|PERL5LIB|RUBYLIB|JAVA_TOOL_OPTIONS)$/;
/** Every version of Kubernetes takes these. */
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

function isUsable(
  { name, value }: Variable,
  configuration: string,
  earlier: readonly Injection[],
  warnings: Warnings,
): boolean {
  if (!variableName.test(name)) {
    warnings.add(`configuration ${quote(configuration)}: its class sets ${quote(name)}, which is no variable's name`);
    return false;
  }
  if (dangerousVariable.test(name)) {
    warnings.add(
      `configuration ${quote(configuration)}: its class sets ${name}, which is left out: it chooses which code runs`,
    );
    return false;
  }
  for (const rival of earlier) {
    const other = rival.env.find((variable) => variable.name === name);
    if (other === undefined) continue;
    if (other.value !== value) {
      const [first, second] = [quote(rival.configuration), quote(configuration)];
      warnings.add(`configurations ${first} and ${second} both set ${name}: the value of ${first} counts`);
    }
    return false;
  }
  return true;
}

/**
 * A variable's value where the files are at `path`. As everywhere in Kubernetes `$$` is a dollar sign that begins no
 * reference; references to other variables are left to the kubelet.
 */
export const valueAt = (value: string, path: string): string =>
  value.replace(/\$\$|\$\(MOUNT_PATH\)/g, (found) => (found === '$$' ? found : path));
