import { hostname } from 'node:os';
import { z } from 'zod';
import { isNamespaceName } from '../connectors/address.ts';
import { defaultSharedNamespace } from '../connectors/catalogue.ts';
import { type ProxySettings, readProxySettings } from '../platform/environment-proxy.ts';
import { type LogLevel, logLevels } from '../platform/logger.ts';
import type { AgentlessNodes } from '../webhook/pod.ts';
import { certificateName, drainSeconds, readFlags } from './flags.ts';
import { imageHost } from './image-host.ts';
import { formatListenAddress, type ListenAddress, parseListenAddress } from './listen-address.ts';
import { type OracleAccess, oracleAccess, oracleFlags } from './oracle-settings.ts';
import { UsageError } from './usage-error.ts';

/** All that `controller` is told, read once and frozen. */
export interface ControllerSettings {
  /** The product's own. */
  readonly namespace: string;
  /** Unlike that of every other replica: the name of the pod. */
  readonly identity: string;
  readonly proxy: ListenAddress;
  readonly proxyHttps: ListenAddress;
  readonly webhook: ListenAddress;
  readonly agents: ListenAddress;
  readonly management: ListenAddress;
  /** What stands before rewritten images: where the agents listen. */
  readonly imageHost: string;
  readonly pullIdentity: 'secret' | 'kubelet';
  readonly sharedNamespace: string;
  readonly clusterDomain: string;
  /** Names of the product's Services and objects in its namespace. */
  readonly service: string;
  readonly webhookService: string;
  readonly agentsService: string;
  readonly agentsAccount: string;
  readonly csiAccount: string;
  /** Whether the CSI driver is installed: without it no volume of its is added to pods. */
  readonly csi: boolean;
  readonly webhookConfiguration: string;
  /** Further names and addresses that the serving certificate is for. */
  readonly webhookNames: readonly string[];
  /** Namespaces whose Secrets may be read; undefined where all may. */
  readonly secretsNamespaces: ReadonlySet<string> | undefined;
  readonly startupTaint: boolean;
  /** Registries may be at loopback addresses: for development. */
  readonly allowLoopback: boolean;
  readonly agentless: AgentlessNodes;
  readonly probeMs: number;
  readonly drainMs: number;
  readonly kubeconfig: string | undefined;
  readonly logLevel: LogLevel;
  readonly isPretty: boolean;
  readonly proxies: ProxySettings;
  /** Undefined where it has no identity in Oracle's cloud. */
  readonly oracle: OracleAccess | undefined;
}

export const controllerDefaults = {
  proxy: '0.0.0.0:8080',
  proxyHttps: '0.0.0.0:8445',
  webhook: '0.0.0.0:8443',
  agents: '0.0.0.0:8444',
  management: '0.0.0.0:9450',
  imageHost: 'localhost:7450',
  pullIdentity: 'secret',
  sharedNamespace: defaultSharedNamespace,
  clusterDomain: 'cluster.local',
  service: 'oci-connector',
  webhookService: 'oci-connector-webhook',
  agentsService: 'oci-connector-agents',
  agentsAccount: 'oci-connector-node',
  csiAccount: 'oci-connector-csi',
  webhookConfiguration: 'oci-connector',
  probeSeconds: '300',
  drainSeconds: '30',
  logLevel: 'info',
} as const;

const objectName = (option: string) =>
  z.string().regex(/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/, `${option} is the name of a Kubernetes object`);
const namespaceOf = (option: string) =>
  z.string({ error: `${option} is needed: the name of a namespace` }).refine(isNamespaceName, {
    error: ({ input }) => `${option} is "${String(input)}": write the name of a namespace`,
  });
const probeRule = '--probe-seconds is a number of seconds from 10 to 86400';
const agentlessRule = '--agentless-nodes is KEY=VALUE[,KEY=VALUE]: labels of nodes that have no agent';

const flags = z.object({
  namespace: namespaceOf('--namespace (or POD_NAMESPACE)'),
  identity: z.string().min(1, '--identity (or POD_NAME) is empty: name this replica'),
  proxy: z.string(),
  proxyHttps: z.string(),
  webhook: z.string(),
  agents: z.string(),
  management: z.string(),
  imageHost,
  pullIdentity: z.enum(['secret', 'kubelet'], { error: '--pull-identity is secret or kubelet' }),
  sharedNamespace: namespaceOf('--shared-namespace'),
  clusterDomain: z.string().regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, '--cluster-domain is a DNS name'),
  service: objectName('--service'),
  webhookService: objectName('--webhook-service'),
  agentsService: objectName('--agents-service'),
  agentsAccount: objectName('--agents-account'),
  csiAccount: objectName('--csi-account'),
  csi: z.boolean().default(true),
  webhookConfiguration: objectName('--webhook-configuration'),
  webhookName: z.array(certificateName).default([]),
  secretsNamespace: z.array(namespaceOf('--secrets-namespace')).optional(),
  startupTaint: z.boolean().default(false),
  allowLoopback: z.boolean().default(false),
  agentlessNodes: z
    .string()
    .default('')
    .refine((text) => text === '' || text.split(',').every((pair) => /^[^=,\s]+=[^=,\s]*$/.test(pair)), agentlessRule),
  probeSeconds: z
    .string()
    .regex(/^\d+$/, probeRule)
    .transform(Number)
    .pipe(z.number().min(10, probeRule).max(86_400, probeRule)),
  drainSeconds,
  kubeconfig: z.string().min(1, '--kubeconfig is empty: name the file').optional(),
  logLevel: z.enum(logLevels, { error: `--log-level is one of ${logLevels.join(', ')}` }),
  ...oracleFlags,
});

/**
 * Reads flags and environment.
 * @throws UsageError
 */
export function readControllerSettings(
  given: object,
  environment: NodeJS.ProcessEnv,
  isTerminal: boolean,
): ControllerSettings {
  const fallbacks = { namespace: environment['POD_NAMESPACE'], identity: environment['POD_NAME'] ?? hostname() };
  const {
    webhookName,
    secretsNamespace,
    agentlessNodes,
    probeSeconds,
    drainSeconds: drain,
    ...data
  } = readFlags(flags, {
    ...fallbacks,
    ...given,
  });
  return Object.freeze({
    ...data,
    ...readListeners(data),
    webhookNames: webhookName,
    secretsNamespaces: secretsNamespace === undefined ? undefined : new Set(secretsNamespace),
    agentless: readAgentless(agentlessNodes),
    probeMs: probeSeconds * 1000,
    drainMs: drain * 1000,
    kubeconfig: data.kubeconfig,
    isPretty: isTerminal,
    proxies: readProxySettings(environment),
    oracle: oracleAccess(data, environment),
  });
}

const listenerFlags = {
  proxy: '--proxy',
  proxyHttps: '--proxy-https',
  webhook: '--webhook',
  agents: '--agents',
  management: '--management',
} as const;
type ListenerName = keyof typeof listenerFlags;

function readListeners(given: Readonly<Record<ListenerName, string>>): Record<ListenerName, ListenAddress> {
  const taken = new Map<string, string>();
  const read = Object.entries(listenerFlags).map(([name, flag]) => {
    const address = parseListenAddress(given[name as ListenerName], flag);
    const text = formatListenAddress(address);
    const other = address.port === 0 ? undefined : taken.get(text);
    if (other !== undefined) throw new UsageError(`${other} and ${flag} are two listeners: give each its own port`);
    taken.set(text, flag);
    return [name, address];
  });
  return Object.fromEntries(read);
}

function readAgentless(text: string): AgentlessNodes {
  return text
    .split(',')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [label = '', value = ''] = pair.split('=');
      return { label, value };
    });
}
