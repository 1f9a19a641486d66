import { z } from 'zod';
import { type ProxySettings, readProxySettings } from '../platform/environment-proxy.ts';
import { type LogLevel, logLevels } from '../platform/logger.ts';
import { drainSeconds, readFlags } from './flags.ts';
import { type ListenAddress, parseListenAddress } from './listen-address.ts';
import { defaultSocket } from './probe.ts';

/** All that `node` is told, read once and frozen. */
export interface NodeSettings {
  /** On 127.0.0.1 and ::1. */
  readonly port: number;
  /** `https://host[:port]` of the centre's API for agents. */
  readonly centre: string;
  readonly centreCa: string;
  readonly token: string;
  /** A Unix socket's path, or host and port. */
  readonly management: string | ListenAddress;
  readonly drainMs: number;
  /** Registries may be at loopback addresses: for development. */
  readonly allowLoopback: boolean;
  readonly logLevel: LogLevel;
  readonly isPretty: boolean;
  readonly proxies: ProxySettings;
}

export const nodeDefaults = {
  port: '7450',
  centre: 'https://oci-connector-agents.oci-connector.svc',
  centreCa: '/etc/oci-connector/serving-ca/ca.crt',
  token: '/var/run/secrets/oci-connector/token',
  management: defaultSocket,
  drainSeconds: '300',
  logLevel: 'info',
} as const;

const portRule = '--port is a number from 1 to 65535';

/** How a node's process finds the centre. */
export const centreFlags = {
  centre: z
    .string()
    .refine(isHttpsOrigin, '--centre is https://host[:port] of the API for agents, without a path')
    .transform((text) => new URL(text).origin),
  centreCa: z.string().min(1, '--centre-ca is empty: name the file of the certificates that sign the centre’s'),
  token: z.string().min(1, '--token is empty: name the file of the projected token'),
};

const flags = z.object({
  port: z
    .string()
    .regex(/^\d{1,5}$/, portRule)
    .transform(Number)
    .pipe(z.number().min(1, portRule).max(65_535, portRule)),
  ...centreFlags,
  management: z.string(),
  allowLoopback: z.boolean().default(false),
  drainSeconds,
  logLevel: z.enum(logLevels, { error: `--log-level is one of ${logLevels.join(', ')}` }),
});

function isHttpsOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, origin, href } = new URL(text);
  return protocol === 'https:' && href === `${origin}/`;
}

/**
 * Reads flags and environment.
 * @throws UsageError
 */
export function readNodeSettings(given: unknown, environment: NodeJS.ProcessEnv, isTerminal: boolean): NodeSettings {
  const { drainSeconds: drain, management, ...data } = readFlags(flags, given);
  return Object.freeze({
    ...data,
    management: management.startsWith('/') ? management : parseListenAddress(management, '--management'),
    drainMs: drain * 1000,
    isPretty: isTerminal,
    proxies: readProxySettings(environment),
  });
}
