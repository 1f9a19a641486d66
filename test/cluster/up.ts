/**
 * `npm run cluster:up`: starts a cluster on this machine that stays until `npm run cluster:down`.
 *
 *   npm run cluster:up -- [--containerd 2|1.6] [--product]
 *
 * The last line that it prints makes kubectl use it.
 */
import { parseArgs } from 'node:util';
import { findPart } from '../real/support/find-part.ts';
import { type PartName, partSources } from '../real/support/part-names.ts';
import { startCluster } from './support/cluster.ts';
import type { ContainerdVersion } from './support/node-files.ts';
import { installProduct, productParts } from './support/product.ts';
import { clusterParts } from './support/require-cluster.ts';

async function up(args: readonly string[]): Promise<void> {
  const { containerd, product } = parseFlags(args);
  if (process.getuid?.() !== 0) throw new Error('needs root, for network, mounts and cgroups');
  requireInstalled([...clusterParts(containerd), ...(product ? productParts : [])]);
  const startedAt = performance.now();
  const report = (what: string) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    process.stdout.write(`cluster: ${what} after ${seconds} s\n`);
  };
  const cluster = await startCluster({ containerd, isPersistent: true, lockTimeoutMs: 0 });
  report(`Kubernetes with containerd ${containerd} is ready`);
  if (product) {
    await installProduct(cluster);
    report('oci-connector is ready');
  }
  process.stdout.write(`cluster: files and logs are in ${cluster.folder}; 'npm run cluster:down' ends it\n`);
  process.stdout.write(`export KUBECONFIG=${cluster.kubeconfig}\n`);
}

function parseFlags(args: readonly string[]): { readonly containerd: ContainerdVersion; readonly product: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: { containerd: { type: 'string', default: '2' }, product: { type: 'boolean', default: false } },
  });
  const { containerd, product } = values;
  if (containerd !== '2' && containerd !== '1.6') throw new Error(`--containerd is 2 or 1.6, not '${containerd}'`);
  return { containerd, product };
}

function requireInstalled(names: readonly PartName[]): void {
  const missing = names.filter((name) => findPart(name) === undefined);
  if (missing.length === 0) return;
  throw new Error(`these parts are missing:\n${missing.map((name) => `  ${name}: ${partSources[name]}`).join('\n')}`);
}

try {
  await up(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`cluster: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
