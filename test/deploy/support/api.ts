import { dirname } from 'node:path';
import { type KubernetesClient, KubernetesError } from '../../../platform/kubernetes/client.ts';
import { partPath } from '../../real/support/find-part.ts';
import { runProgram } from '../../real/support/program.ts';
import { type RenderedObject, releaseNamespace } from './chart.ts';

/** Runs kubectl with these objects as its input. Rejects with what it says on standard error, warnings included. */
export type Kubectl = (args: readonly string[], input?: readonly object[]) => Promise<string>;

export function kubectlFor(kubeconfig: string): Kubectl {
  return async (args, input = []) => {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: input });
    const { code, stdout, stderr } = await runProgram(partPath('kubectl'), ['--kubeconfig', kubeconfig, ...args], {
      env: { HOME: dirname(kubeconfig) },
      input: list,
    });
    if (code !== 0 || stderr !== '') throw new Error(stderr);
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
