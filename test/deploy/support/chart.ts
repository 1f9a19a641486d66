import { dirname, join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { partPath } from '../../real/support/find-part.ts';
import { runProgram } from '../../real/support/program.ts';

export const chartFolder = join(import.meta.dirname, '../../../deploy/chart');
export const releaseNamespace = 'oci-connector';

export interface RenderedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: objects of every kind of the API
  readonly [field: string]: any;
}

/** Runs helm, which is told of no cluster and keeps its files where nobody else's are. */
export function helm(args: readonly string[], kubeconfig = '/dev/null') {
  // For the rendering helm writes nothing; else beside the kubeconfig, whose folder is a test's own.
  const home = kubeconfig === '/dev/null' ? '/nonexistent' : join(dirname(kubeconfig), 'helm');
  const env = {
    HOME: home,
    HELM_CACHE_HOME: home,
    HELM_CONFIG_HOME: home,
    HELM_DATA_HOME: home,
    KUBECONFIG: kubeconfig,
  };
  return runProgram(partPath('helm'), args, { env });
}

/** The chart's objects for `values`, in the order of the rendering. Throws with what helm says. */
export async function renderChart(values: unknown = {}, kubeVersion?: string): Promise<RenderedObject[]> {
  const { code, stdout, stderr } = await templateChart(values, kubeVersion);
  if (code !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS())
    .filter((object) => object !== null);
}

/** The CRDs come with it; without the class, which cannot be applied before they are there. */
export function templateChart(values: unknown, kubeVersion = '1.35.4') {
  const all = { connectorClass: { install: false }, ...(values as object) };
  const sets = [
    '--set-json',
    `global={}`,
    ...Object.entries(all).flatMap(([k, v]) => ['--set-json', `${k}=${JSON.stringify(v)}`]),
  ];
  return helm([
    'template',
    'oci-connector',
    chartFolder,
    '-n',
    releaseNamespace,
    '--include-crds',
    '--kube-version',
    kubeVersion,
    ...sets,
  ]);
}
