import { z } from 'zod';
import { documentsFor, renderConfigurations } from '../connectors/configurations/render.ts';
import { openFolderStore } from '../connectors/folder-store.ts';
import { CsiError } from '../csi/errors.ts';
import { readAttributes } from '../csi/volume-attributes.ts';
import { manifests, namespace, readFlags } from './flags.ts';
import type { Output } from './output.ts';
import { UsageError } from './usage-error.ts';

const flags = z.object({
  manifests,
  namespace,
  connectors: z.string().min(1, '--connectors is empty: write namespace/name[,name…]'),
  configurations: z.string(),
  params: z.string().optional(),
  clusterDomain: z.string(),
});

/** Stand for what only a pod in a cluster gets. */
const placeholders = { token: 'TOKEN-OF-THE-POD', caBundle: 'CERTIFICATES-OF-THE-PROXY\n' };

/**
 * Shows the files that a pod would find in a volume of the CSI driver, with a placeholder for its token.
 * @throws UsageError, or Error for manifests that cannot be used and templates that fail
 */
export async function render(options: unknown, output: Output): Promise<void> {
  const settings = readFlags(flags, options);
  const want = readWant(settings);
  const store = await openFolderStore({ folder: settings.manifests });
  await store.close();
  const context = { ...placeholders, clusterDomain: settings.clusterDomain };
  const files = renderConfigurations(want, documentsFor(want, store.catalogue), context);
  const byName = files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  output.result(byName.map(({ name, content }) => `==> ${name} <==\n${content.replace(/\n?$/, '\n')}`).join('\n'));
}

/** In the words of a volume's attributes, which they become. */
function readWant({ connectors, configurations, params, namespace: ofPod }: z.infer<typeof flags>) {
  const attributes = { connectors, 'configuration.names': configurations };
  try {
    return readAttributes(params === undefined ? attributes : { ...attributes, 'configuration.params': params }, ofPod);
  } catch (error) {
    throw error instanceof CsiError ? new UsageError(error.message) : error;
  }
}
