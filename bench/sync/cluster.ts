import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { type KubernetesClient, openKubernetesClient } from '../../platform/kubernetes/client.ts';
import { requestToken } from '../../platform/kubernetes/token-request.ts';
import { type ControlPlane, startControlPlane } from '../../test/cluster/support/control-plane.ts';
import { partPath } from '../../test/real/support/find-part.ts';
import { runProgram } from '../../test/real/support/program.ts';
import { ApiServerMetrics } from './api-server.ts';
import type { Item } from './content.ts';

export const productNamespace = 'oci-connector';
const deploy = join(import.meta.dirname, '../../deploy');
/** What would make pods, of which none could run. */
const workloads: ReadonlySet<unknown> = new Set(['Deployment', 'DaemonSet']);
const requestsAtOnce = 24;

/** A control plane on which all of the product is installed but its pods. */
export interface BenchCluster {
  /** Of somebody who may do everything. */
  readonly client: KubernetesClient;
  readonly metrics: ApiServerMetrics;
  /** Of the controller's own service account: its requests are limited and shared out as in a real cluster. */
  readonly controllerKubeconfig: string;
}

export async function openCluster(folder: string, parts: AsyncDisposableStack): Promise<BenchCluster> {
  const plane = await startControlPlane({ controllers: true });
  parts.defer(() => plane.stop());
  await install(plane, folder);
  const client = parts.use(await openKubernetesClient({ kubeconfig: plane.kubeconfig }));
  const metrics = parts.use(new ApiServerMetrics(plane.kubeconfig));
  return { client, metrics, controllerKubeconfig: await writeControllerKubeconfig(plane, client, folder) };
}

async function install({ kubeconfig }: ControlPlane, folder: string): Promise<void> {
  const kubectl = async (args: readonly string[], input = ''): Promise<void> => {
    const all = ['--kubeconfig', kubeconfig, ...args];
    const { code, stderr } = await runProgram(partPath('kubectl'), all, { env: { HOME: folder }, input });
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  };
  const text = await readFile(join(deploy, 'manifests/oci-connector.yaml'), 'utf8');
  const documents = parseAllDocuments(text).filter((document) => !workloads.has(document.get('kind')));
  const apply = ['apply', '--server-side', '--filename=-'];
  await kubectl(apply, documents.map(String).join('\n---\n'));
  await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
  await kubectl(apply, await readFile(join(deploy, 'classes/oci.yaml'), 'utf8'));
}

async function writeControllerKubeconfig(
  plane: ControlPlane,
  client: KubernetesClient,
  folder: string,
): Promise<string> {
  const account = { namespace: productNamespace, name: 'oci-connector-controller' };
  const { token } = await requestToken(client, account, { audiences: [], expirationSeconds: 4 * 3600 });
  const config = JSON.parse(await readFile(plane.kubeconfig, 'utf8'));
  const file = join(folder, 'controller.kubeconfig');
  const users = [{ name: 'controller', user: { token } }];
  const contexts = [{ name: 'bench', context: { cluster: config.clusters[0].name, user: 'controller' } }];
  const content = { ...config, users, contexts, 'current-context': 'bench' };
  await writeFile(file, JSON.stringify(content), { mode: 0o600 });
  return file;
}

/** Creates all items, some at once; an item begins after all those before it have begun. */
export async function createAll(client: KubernetesClient, items: readonly Item[]): Promise<void> {
  const queue = items.values();
  const work = async (): Promise<void> => {
    for (const { resource, object } of queue) await client.create(resource, object);
  };
  await Promise.all(Array.from({ length: requestsAtOnce }, work));
}
