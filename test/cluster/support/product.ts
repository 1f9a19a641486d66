import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildImage } from '../../../deploy/image/build.ts';
import { partPath } from '../../real/support/find-part.ts';
import type { PartName } from '../../real/support/part-names.ts';
import type { Cluster } from './cluster.ts';
import { mustRun } from './machine.ts';

export const productNamespace = 'oci-connector';
/** What the product's image and its chart are made with. */
export const productParts = ['helm', 'buildah', 'debootstrap'] as const satisfies readonly PartName[];

const chart = join(import.meta.dirname, '../../../deploy/chart');
const readyTimeoutS = 90;

/** Values of the chart. */
export type ChartValues = Readonly<{ csi?: object; pullIdentity?: 'secret' | 'kubelet' } & Record<string, unknown>>;

/** Builds the product's image from the sources as they are, and installs the chart; waits until it is ready. */
export async function installProduct(cluster: Cluster, values: ChartValues = {}): Promise<void> {
  // Another name each time: who changes the sources while a cluster runs gets what was built last.
  const tag = randomUUID().slice(0, 8);
  const output = join(cluster.folder, 'product.tar');
  await buildImage({ name: `localhost/oci-connector:${tag}`, output });
  await cluster.importImage(output);
  const csi = { kubeletRoot: cluster.paths.kubeletRoot, ...values.csi };
  await applyChart(cluster, { image: { tag, pullPolicy: 'Never' }, ...values, csi });
  await productIsReady(cluster);
}

/** Installs or upgrades the chart with exactly these values. */
async function applyChart(cluster: Cluster, values: object): Promise<void> {
  const file = join(cluster.folder, 'values.json');
  await writeFile(file, JSON.stringify(values));
  const where = ['--namespace', productNamespace, '--create-namespace'];
  const env = { KUBECONFIG: cluster.kubeconfig, HOME: cluster.folder };
  await mustRun(partPath('helm'), ['upgrade', '--install', 'oci-connector', chart, ...where, '--values', file], {
    env,
  });
}

export async function productIsReady(cluster: Cluster): Promise<void> {
  for (const workload of [
    'deployment/oci-connector-controller',
    'daemonset/oci-connector-node',
    'daemonset/oci-connector-csi',
  ]) {
    const wait = ['rollout', 'status', '-n', productNamespace, workload, `--timeout=${readyTimeoutS}s`];
    await cluster.kubectl(wait, { timeoutMs: (readyTimeoutS + 10) * 1000 });
  }
}
