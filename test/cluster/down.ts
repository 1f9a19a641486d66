/** `npm run cluster:down`: ends the cluster of `npm run cluster:up`, and removes what a crash left of any. */
import { removeCluster } from './support/cluster.ts';
import { defaultSettings } from './support/settings.ts';

try {
  await removeCluster();
  process.stdout.write(`cluster: nothing is left of it in ${defaultSettings.folder}\n`);
} catch (error) {
  process.stderr.write(`cluster: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
