import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildCatalogue, type ConnectorCatalogue } from '../../../connectors/catalogue.ts';
import { documentsFor, renderConfigurations } from '../../../connectors/configurations/render.ts';
import { readAttributes } from '../../../csi/volume-attributes.ts';
import { mutatePod } from '../../../webhook/mutate-pod.ts';
import { partPath } from './find-part.ts';
import { runProgram } from './program.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import type { Credential } from './token-issuer.ts';
import { makeContainer, type Workload } from './workload-container.ts';
import { addresses, proxyHost, registryHost, type SiteReady, type SiteSettings } from './workload-site.ts';
import { sandboxEnv, writeTools } from './workload-tools.ts';

const credential: Credential = { username: 'robot', password: 'canary/of the registry:credential' };
const token = 'token-of-the-builder-in-demo';
const namespace = 'demo';

type Attributes = Readonly<Record<string, string>>;

export interface RunOptions {
  /** Files of the working folder, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** Nothing answers at the proxy's port 80. */
  readonly isHttpsOnly?: boolean;
}

export interface WorkloadRun {
  /** What it said on stdout and stderr. */
  readonly output: string;
  /** `repository:tag` of the manifests that the registry took since, as far as it has told. */
  pushed(): readonly string[];
}

/** A private registry, the product, and pods, none of which knows where the registry is. */
export interface WorkloadScene {
  /** The first container of a pod, as the webhook and the CSI driver make it, and what the webhook warns of. */
  admit(pod: object): { readonly workload: Workload; readonly warnings: readonly string[] };
  /** Runs a shell script in a container of its own; throws what it said when it fails. */
  run(script: string, workload: Workload, options?: RunOptions): Promise<WorkloadRun>;
  /** Files with the registry's credential, and requests to the registry with a pod's token. */
  leaks(): readonly string[];
  close(): Promise<void>;
}

/** The first Go program that a machine builds takes the standard library along. */
const timeoutMs = 110_000;

/** Everything is kept in this folder, and gone with its mount namespace. */
const siteFolder = '/mnt';
const toolFolder = join(siteFolder, 'bin');

/** What must not be this machine's own: the network, mounts, processes, and folders that clients write to. */
const siteScript = `set -e
ip link set lo up
ip address add "$1/32" dev lo
ip address add "$2/32" dev lo
mount -t tmpfs tmpfs ${siteFolder}
cp -a /etc ${siteFolder}/etc
mount --bind ${siteFolder}/etc /etc
mkdir -p ${siteFolder}/tmp ${siteFolder}/site ${siteFolder}/pods
printf '127.0.0.1 localhost\\n%s ${proxyHost}\\n%s ${registryHost}\\n' "$1" "$3" > /etc/hosts
shift 3
exec "$@" ${siteFolder}/site`;

export async function openWorkloadScene(): Promise<WorkloadScene> {
  await using parts = new AsyncDisposableStack();
  const server = await startSite();
  parts.defer(() => server.stop());
  const ready = await server.waitFor((line) => parseLine(line)['ready'] as SiteReady | undefined, 60_000);
  const sitePid = Number(await readFile(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8'));
  await writeTools(join(`/proc/${sitePid}/root`, toolFolder));
  const catalogue = buildCatalogue(ready.documents);
  const rendered: string[] = [];
  const filesOf = (attributes: Attributes) => {
    const want = readAttributes(attributes, namespace);
    const context = { token, caBundle: ready.caBundle, clusterDomain: 'cluster.local' };
    const files = renderConfigurations(want, documentsFor(want, catalogue), context);
    rendered.push(...files.map(({ content }) => content));
    return Object.fromEntries(files.map(({ name, content }) => [name, content]));
  };
  let count = 0;
  const opened = parts.move();
  return {
    admit: (pod) => admit(pod, catalogue, filesOf),
    run: async (script, workload, { files = {}, isHttpsOnly = false } = {}) => {
      count += 1;
      const folder = join(siteFolder, 'pods', String(count));
      const container = { workload, files, isHttpsOnly, folder, sitePid };
      const [program = '', ...args] = await makeContainer(container, ['/bin/sh', '-euc', script]);
      const before = server.lines.length;
      const { code, stdout, stderr } = await runProgram(program, args, { env: envOf(workload), timeoutMs });
      if (code !== 0) throw new Error(`ended with ${code}:\n${script}\n${stderr}${stdout}`);
      const pushed = () => server.lines.slice(before).flatMap((line) => parseLine(line)['pushed'] ?? []);
      return { output: `${stdout}${stderr}`, pushed: () => pushed().map(String) };
    },
    leaks: () => [
      ...rendered.filter(holdsCredential),
      ...server.lines.flatMap((line) => parseLine(line)['leak'] ?? []).map(String),
    ],
    close: () => opened.disposeAsync(),
  };
}

function startSite(): Promise<ServerProcess> {
  const settings: SiteSettings = { credential, token };
  const program = join(import.meta.dirname, 'workload-site.ts');
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const { httpAndHttps, httpsOnly, registry } = addresses;
  const script = ['/bin/sh', '-c', siteScript, 'sh', httpAndHttps, httpsOnly, registry];
  const command = [process.execPath, program, JSON.stringify(settings)];
  const cache = process.env['OCI_CONNECTOR_TOOLS'];
  const env = { PATH: searchPath, HOME: siteFolder, TMPDIR: join(siteFolder, 'tmp') };
  return startServer(partPath('unshare'), [...namespaces, '--', ...script, ...command], {
    env: cache === undefined ? env : { ...env, OCI_CONNECTOR_TOOLS: cache },
    // unshare passes over SIGTERM; there is nothing to be put away.
    stopTimeoutMs: 0,
  });
}

const searchPath = `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`;

const envOf = ({ env }: Workload): Readonly<Record<string, string>> => ({
  PATH: `${toolFolder}:${searchPath}`,
  HOME: '/var/lib',
  TMPDIR: '/run',
  ...sandboxEnv,
  ...env,
});

interface AdmittedPod {
  readonly spec: {
    readonly containers: readonly {
      readonly env?: readonly { readonly name: string; readonly value: string }[];
      readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
    }[];
    readonly volumes?: readonly { readonly name: string; readonly csi?: { readonly volumeAttributes: Attributes } }[];
  };
}

function admit(
  pod: object,
  catalogue: ConnectorCatalogue,
  filesOf: (attributes: Attributes) => Readonly<Record<string, string>>,
): ReturnType<WorkloadScene['admit']> {
  const settings = { proxyHost: 'localhost:7450', pullSecretName: undefined };
  const decision = mutatePod({ pod, operation: 'CREATE', subresource: '', namespace, catalogue, settings });
  const { containers, volumes = [] } = (decision.pod as AdmittedPod).spec;
  const { env = [], volumeMounts = [] } = containers[0] ?? {};
  const mounts = volumeMounts.flatMap(({ name, mountPath }) => {
    const attributes = volumes.find((volume) => volume.name === name)?.csi?.volumeAttributes;
    return attributes === undefined ? [] : [[mountPath, filesOf(attributes)] as const];
  });
  const variables = env.map(({ name, value }) => [name, value] as const);
  return {
    workload: { env: Object.fromEntries(variables), mounts: Object.fromEntries(mounts) },
    warnings: decision.warnings,
  };
}

function holdsCredential(content: string): boolean {
  const { username, password } = credential;
  const encoded = Buffer.from(`${username}:${password}`).toString('base64');
  return [password, encoded].some((text) => content.includes(text));
}

/** A line of the site's; empty for anything else that it says. */
function parseLine(line: string): Readonly<Record<string, unknown>> {
  return line.startsWith('{') ? JSON.parse(line) : {};
}
