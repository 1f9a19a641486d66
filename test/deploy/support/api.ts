import { dirname } from 'node:path';
import { type KubernetesClient, KubernetesError } from '../../../platform/kubernetes/client.ts';
import { partPath } from '../../real/support/find-part.ts';
import { runProgram } from '../../real/support/program.ts';
import { type RenderedObject, releaseNamespace } from './chart.ts';

export interface KubectlOptions {
  /** What standard error may be, whole. */
  readonly warnings?: readonly RegExp[];
}

/** Runs kubectl with these objects as its input. Rejects with what it says on standard error, other warnings included. */
export type Kubectl = (args: readonly string[], input?: readonly object[], options?: KubectlOptions) => Promise<string>;

export function kubectlFor(kubeconfig: string): Kubectl {
  return async (args, input = [], { warnings = [] } = {}) => {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: input });
    const { code, stdout, stderr } = await runProgram(partPath('kubectl'), ['--kubeconfig', kubeconfig, ...args], {
      env: { HOME: dirname(kubeconfig) },
      input: list,
    });
    const isExpected = stderr === '' || warnings.some((warning) => warning.test(stderr));
    if (code !== 0 || !isExpected) throw new Error(stderr);
    return stdout;
  };
}

/** Applies the chart's objects as the API server would take them from anybody: strictly. */
export async function applyChart(kubectl: Kubectl, objects: readonly RenderedObject[]): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: releaseNamespace } };
  await kubectl(['apply', '--server-side', '--validate=strict', '-f', '-'], [namespace, ...objects]);
}

/** Undefined when `create` succeeds, else what the API server says. */
export async function refusalOf(create: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await create();
    return undefined;
  } catch (error) {
    if (error instanceof KubernetesError && [403, 422].includes(error.status)) return error.message;
    throw error;
  }
}

/** Asks the API server to create `object`, and to forget it. */
export function dryRun(client: KubernetesClient, path: string, object: object): Promise<unknown> {
  return client.post(`${path}?dryRun=All&fieldValidation=Strict`, object);
}
