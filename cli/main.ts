import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';
import { Command, CommanderError } from 'commander';
import { controllerDefaults as centre } from './controller-settings.ts';
import { csiDefaults as csi } from './csi-settings.ts';
import { nodeDefaults as node } from './node-settings.ts';
import { addOracleOptions } from './oracle-options.ts';
import { type Output, processOutput } from './output.ts';
import { standaloneDefaults as defaults } from './standalone-settings.ts';
import { UsageError } from './usage-error.ts';

/** Exit codes of every command. */
const failed = 1;
const usage = 2;

// One registry address that does not answer must not cost the connect timeout; Node's 250 ms is too short for far ones.
setDefaultAutoSelectFamilyAttemptTimeout(500);

const manifestsOption = [
  '--manifests <dir>',
  'folder of Connector, ConnectorClass, Secret and Namespace manifests',
] as const;
const defaultImageHost = 'localhost:7450';
const imageHostOption = ['--image-host <host:port>', 'how rewritten images name the proxy'] as const;

/** Commands are loaded when they are called: `--help` needs none of their parts. */
function buildProgram(output: Output): Command {
  const program = new Command('oci-connector')
    .description('Pods pull private OCI images, and nobody but this holds the registry credential.')
    .exitOverride()
    .configureHelp({ sortSubcommands: true })
    .showHelpAfterError('(--help tells more)');
  addStandalone(program);
  addController(program);
  addNode(program);
  addCsi(program);
  addProbe(program, output);
  addCredentialProvider(program);
  addMutate(program, output);
  addExplain(program, output);
  addDoctor(program, output);
  addRender(program, output);
  addDemo(program, output);
  return program;
}

function addStandalone(program: Command): void {
  const command = program
    .command('standalone')
    .description('run webhook and proxy in one process, with manifests from a folder and no cluster')
    .option(...manifestsOption)
    .option('--proxy <host:port>', 'where the proxy listens', defaults.proxy)
    .option('--proxy-https <host:port>', 'where the proxy listens for HTTPS (default: nowhere)')
    .option('--webhook <host:port>', 'where the webhook listens (HTTPS)', defaults.webhook)
    .option('--management <host:port>', 'where /livez, /readyz and /metrics listen', defaults.management)
    .option(
      '--certs <dir>',
      'folder of the CAs (ca.crt of the webhook, interception-ca.crt of the proxy) and what they sign',
      defaults.certs,
    )
    .option(
      '--callers <none|file>',
      'none: everybody on this machine; or a file of tokens and what they may use',
      defaults.callers,
    )
    .option(...imageHostOption)
    .option('--webhook-name <name...>', 'further DNS names or addresses that the webhook is called by')
    .option(
      '--drain-seconds <n>',
      'how long requests under way may take when the process is told to end',
      defaults.drainSeconds,
    )
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent', defaults.logLevel)
    .action(async (options) => (await import('./standalone-command.ts')).runStandalone(options));
  addOracleOptions(command);
}

function addController(program: Command): void {
  const command = program
    .command('controller')
    .description('run a replica of the centre in a cluster: webhook, central proxy, API for agents, reconcilers')
    .option('--namespace <name>', "the product's own namespace (default: POD_NAMESPACE)")
    .option('--identity <name>', 'name of this replica (default: POD_NAME, or the host name)')
    .option('--proxy <host:port>', 'where the central proxy listens', centre.proxy)
    .option('--proxy-https <host:port>', 'where the central proxy listens for HTTPS', centre.proxyHttps)
    .option('--webhook <host:port>', 'where the webhook listens (HTTPS)', centre.webhook)
    .option('--agents <host:port>', 'where the API for agents listens (HTTPS)', centre.agents)
    .option('--management <host:port>', 'where /livez, /readyz and /metrics listen', centre.management)
    .option('--image-host <host:port>', 'how rewritten images name the agents', centre.imageHost)
    .option('--pull-identity <secret|kubelet>', 'who hands over the token of a pull', centre.pullIdentity)
    .option('--shared-namespace <name>', 'namespace whose connectors are for all', centre.sharedNamespace)
    .option('--cluster-domain <name>', 'DNS domain of the cluster', centre.clusterDomain)
    .option('--service <name>', 'Service of the central proxy', centre.service)
    .option('--webhook-service <name>', 'Service of the webhook', centre.webhookService)
    .option('--agents-service <name>', 'Service of the API for agents', centre.agentsService)
    .option('--agents-account <name>', 'service account of the agents', centre.agentsAccount)
    .option('--csi-account <name>', 'service account of the CSI driver', centre.csiAccount)
    .option('--no-csi', 'the CSI driver is not installed: add no volumes of its to pods')
    .option('--webhook-configuration <name>', 'MutatingWebhookConfiguration to keep', centre.webhookConfiguration)
    .option('--webhook-name <name...>', 'further DNS names or addresses that the webhook is called by')
    .option('--secrets-namespace <name...>', 'namespaces whose Secrets may be read (default: all)')
    .option('--startup-taint', 'take the startup taint from nodes whose agent is ready')
    .option('--allow-loopback', 'registries may be at loopback addresses (for development)')
    .option('--agentless-nodes <key=value,…>', 'labels of nodes without an agent, as virtual ones')
    .option('--probe-seconds <n>', 'how often a connector is probed', centre.probeSeconds)
    .option('--drain-seconds <n>', 'how long requests under way may take when it is told to end', centre.drainSeconds)
    .option('--kubeconfig <file>', 'for development; in a pod its service account is used')
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent', centre.logLevel)
    .action(async (options) => (await import('./controller-command.ts')).runController(options));
  addOracleOptions(command);
}

function addNode(program: Command): void {
  program
    .command('node')
    .description('run the agent of a node: the proxy on loopback, pull only, with grants from the centre')
    .option('--port <port>', 'where it listens, on 127.0.0.1 and ::1', node.port)
    .option('--centre <url>', 'the API for agents of the controller', node.centre)
    .option('--centre-ca <file>', 'certificates that sign the one of the centre', node.centreCa)
    .option('--token <file>', 'projected token of audience oci-connector-agent', node.token)
    .option('--management <path|host:port>', 'Unix socket of /livez, /readyz and /metrics', node.management)
    .option('--allow-loopback', 'registries may be at loopback addresses (for development)')
    .option('--drain-seconds <n>', 'how long pulls under way may take when it is told to end', node.drainSeconds)
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent', node.logLevel)
    .action(async (options) => (await import('./node-command.ts')).runNode(options));
}

function addCsi(program: Command): void {
  program
    .command('csi')
    .description('run the CSI driver of a node: volumes with client configurations, which the centre renders')
    .option('--kubelet-root <dir>', 'folder of the kubelet, by the path that the kubelet knows it by', csi.kubeletRoot)
    .option('--node-name <name>', 'name of this node (default: NODE_NAME)')
    .option('--centre <url>', 'the API for agents of the controller', csi.centre)
    .option('--centre-ca <file>', 'certificates that sign the one of the centre', csi.centreCa)
    .option('--token <file>', 'projected token of audience oci-connector-agent', csi.token)
    .option('--management <path>', 'Unix socket of /livez, /readyz and /metrics', csi.management)
    .option('--refresh-seconds <n>', 'within it a change of a connector shows in the files', csi.refreshSeconds)
    .option('--volumes-mib <n>', 'memory that the volumes of the node may take together', csi.volumesMib)
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent', csi.logLevel)
    .action(async (options) => (await import('./csi-command.ts')).runCsi(options));
}

function addProbe(program: Command, output: Output): void {
  program
    .command('probe')
    .description('ask a management socket whether its process is ready: exit code 0 where it is')
    .option('--socket <path>', 'the management socket', node.management)
    .option('--path <path>', '/readyz, /livez, or /metrics to see them', '/readyz')
    .action(async ({ socket, path }) => {
      const { probe } = await import('./probe.ts');
      process.exitCode = await probe(socket, path, (text) => output.note(text.trimEnd()));
    });
}

/** Reads its arguments by itself: the kubelet calls it without the rest of this command line, which takes time to load. */
function addCredentialProvider(program: Command): void {
  program
    .command('credential-provider')
    .description("answer the kubelet's request for a credential (standard input): --config FILE, or the environment")
    .usage('[--config FILE] <CredentialProviderRequest')
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async (_options, command: Command) => {
      await (await import('./credential-provider.ts')).runCredentialProvider(command.args);
    });
}

function addMutate(program: Command, output: Output): void {
  program
    .command('mutate')
    .description('show what the webhook makes of the pods in a file')
    .requiredOption('-f, --filename <file>', 'manifest of pods, or - for standard input')
    .requiredOption(...manifestsOption)
    .option('-n, --namespace <namespace>', "namespace of the pods (default: the pod's own, or default)")
    .option('-o, --output <format>', 'yaml, json, patch or diff', 'yaml')
    .option(...imageHostOption, defaultImageHost)
    .action(async (options) => (await import('./mutate.ts')).mutate(options, output));
}

function addExplain(program: Command, output: Output): void {
  const command = program
    .command('explain')
    .description('say which connector an image would use, why, what a pod would get and what the registry answers')
    .argument('<image>', 'image as it stands in a pod')
    .requiredOption(...manifestsOption)
    .option('-n, --namespace <namespace>', 'namespace of the pod', 'default')
    .option(...imageHostOption, defaultImageHost)
    .action(async (image, options) => {
      const { explain } = await import('./explain.ts');
      if (!(await explain(image, options, output))) process.exitCode = failed;
    });
  addOracleOptions(command);
}

function addDoctor(program: Command, output: Output): void {
  program
    .command('doctor')
    .description("walk the way to a credential of Oracle's cloud, step by step, and say where it stops and what to do")
    .option('--oci', "look at Oracle's cloud")
    .option(
      '--registry <host>',
      "registry that is asked for a token (default: that of the image, or of the instance's region)",
    )
    .option('--image <image>', 'image that should be pulled with the token')
    .option('--secret <ocid...>', 'Vault secrets that should be readable (default: those of the configuration)')
    .option('--auth <kind>', 'instance, resource, workload, user or auto (default: that of the configuration)')
    .option('--config <file>', "configuration of the kubelet's plugin (default: its environment variables)")
    .action(async (options) => {
      const { doctor } = await import('./doctor.ts');
      if (!(await doctor(options, output))) process.exitCode = failed;
    });
}

function addRender(program: Command, output: Output): void {
  program
    .command('render')
    .description('show the client configurations that a pod would find in a volume of the CSI driver')
    .argument('[configurations]', 'names of configurations, with commas; !file leaves a file out', '')
    .requiredOption(...manifestsOption)
    .requiredOption('--connectors <names>', 'namespace/name, or name in the same namespace, with commas')
    .option('-n, --namespace <namespace>', 'namespace of the pod', 'default')
    .option('--params <json>', 'parameters: {"configuration": {"parameter": "text"}}')
    .option('--cluster-domain <name>', 'DNS domain of the cluster', centre.clusterDomain)
    .action(async (configurations, options) => {
      const { render } = await import('./render.ts');
      await render({ ...options, configurations }, output);
    });
}

function addDemo(program: Command, output: Output): void {
  program
    .command('demo')
    .description('show the whole way of a private image on this machine, with a registry of its own')
    .action(async () => (await import('./demo.ts')).demo(output));
}

/** Runs a command line; resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const output = processOutput();
  try {
    await buildProgram(output).parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usage;
    const message = error instanceof Error ? error.message : String(error);
    output.note(`oci-connector: ${message}`);
    return error instanceof UsageError ? usage : failed;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
