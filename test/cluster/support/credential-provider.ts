import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildExecutable } from '../../../deploy/executable/build.ts';
import { ownArchitecture } from '../../../deploy/executable/node-binary.ts';
import type { ClusterOptions } from './cluster.ts';

const group = 'credentialprovider.kubelet.k8s.io';
const name = 'oci-connector-credential-provider';
/** The same program, which is given the token of the pod's service account. */
const podName = `${name}-pod`;

export interface NodePlugin extends AsyncDisposable {
  /** For the kubelet. */
  readonly credentialProviders: NonNullable<ClusterOptions['credentialProviders']>;
  /** Writes the plugin's own configuration, for its next invocation. */
  configure(settings: object): Promise<void>;
  /** All that the plugin has logged. */
  log(): Promise<string>;
  /** Holds what the plugin has kept. */
  readonly cacheDir: string;
}

/**
 * Builds the executable, and lays it out for a kubelet as the installer does.
 * @param matchImages which the plugin is asked about, beside those of the agent
 */
export async function layOutPlugin(matchImages: readonly string[]): Promise<NodePlugin> {
  await using parts = new AsyncDisposableStack();
  const folder = await makeFolder(parts, tmpdir());
  // Credentials are kept in memory only.
  const cacheDir = join(await makeFolder(parts, '/dev/shm'), 'cache');
  const programs = join(folder, 'bin');
  const kubeletFile = join(folder, 'kubelet.json');
  const file = join(folder, 'plugin.json');
  const logFile = join(folder, 'log/plugin.log');
  await mkdir(programs);
  await buildExecutable({ architecture: ownArchitecture(), output: join(programs, name) });
  await symlink(name, join(programs, podName));
  await writeFile(kubeletFile, JSON.stringify(kubeletConfiguration(matchImages, file)));
  const kept = parts.move();
  return {
    credentialProviders: { configuration: kubeletFile, programs },
    cacheDir,
    configure: (settings) =>
      writeFile(file, JSON.stringify({ log: { file: logFile, level: 'debug' }, cacheDir, ...settings }, null, 2)),
    log: () => readFile(logFile, 'utf8').catch(() => ''),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function makeFolder(parts: AsyncDisposableStack, parent: string): Promise<string> {
  const folder = await mkdtemp(join(parent, 'node-plugin-'));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function kubeletConfiguration(matchImages: readonly string[], file: string): object {
  const common = { apiVersion: `${group}/v1`, args: ['--config', file] };
  const tokenAttributes = {
    serviceAccountTokenAudience: 'oci-connector',
    cacheType: 'Token',
    requireServiceAccount: true,
  };
  return {
    apiVersion: 'kubelet.config.k8s.io/v1',
    kind: 'CredentialProviderConfig',
    providers: [
      { name, ...common, matchImages, defaultCacheDuration: '5m' },
      { name: podName, ...common, matchImages: ['localhost:7450'], defaultCacheDuration: '0s', tokenAttributes },
    ],
  };
}
