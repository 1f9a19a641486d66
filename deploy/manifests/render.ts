/**
 * Renders the chart, with its defaults, to what `kubectl apply -f` takes: `node deploy/manifests/render.ts`. With
 * --check compares, and fails where the manifest is not what the chart says. Needs helm: the one that the tests build,
 * else the machine's own.
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { toolPath } from '../../test/tools/cache.ts';

const chart = join(import.meta.dirname, '../chart');
export const manifestFile = join(import.meta.dirname, 'oci-connector.yaml');
const namespace = 'oci-connector';

const head = `# Made from deploy/chart by \`npm run generate:manifest\`: change it there.
#
#   kubectl apply --server-side -f oci-connector.yaml
#
# The agents are in the network of their nodes, and the CSI driver is privileged, which the stricter levels of Pod
# Security forbid. The CSIDriver is for Kubernetes 1.30 to 1.34; a later one warns that serviceAccountTokenInSecrets is
# unset, which this sets: kubectl patch csidriver connectors-csi -p '{"spec":{"serviceAccountTokenInSecrets":true}}'
apiVersion: v1
kind: Namespace
metadata:
  name: ${namespace}
  labels:
    pod-security.kubernetes.io/enforce: privileged
`;

/** The whole manifest. Rejects where there is no helm, or helm refuses the chart. */
export async function renderManifest(helm: string = toolPath('helm') ?? 'helm'): Promise<string> {
  // The class cannot be applied together with its CRD; the product knows it without.
  const options = ['--include-crds', '--set', 'connectorClass.install=false', '--kube-version', '1.30.0'];
  const { stdout } = await promisify(execFile)(helm, ['template', namespace, chart, '-n', namespace, ...options], {
    maxBuffer: 2 ** 26,
  });
  const documents = stdout.split(/^---$/m).map((document) => document.replace(/^# Source: .*\n/gm, '').trim());
  return [head, ...documents.filter((document) => document !== '').map((document) => `${document}\n`)].join('---\n');
}

if (import.meta.main) {
  const manifest = await renderManifest();
  const isCurrent = (await readFile(manifestFile, 'utf8').catch(() => '')) === manifest;
  if (!process.argv.includes('--check')) await writeFile(manifestFile, manifest);
  else if (!isCurrent) {
    process.stderr.write('deploy/manifests/oci-connector.yaml is not what the chart says: npm run generate:manifest\n');
    process.exitCode = 1;
  }
}
