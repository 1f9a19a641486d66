import { z } from 'zod';
import { type ProxySettings, readProxySettings } from '../platform/environment-proxy.ts';
import { type LogLevel, logLevels } from '../platform/logger.ts';
import { certificateName, drainSeconds, manifests, readFlags } from './flags.ts';
import { imageHost } from './image-host.ts';
import { formatListenAddress, isLoopback, type ListenAddress, parseListenAddress } from './listen-address.ts';
import { type OracleAccess, oracleAccess, oracleFlags } from './oracle-settings.ts';
import { UsageError } from './usage-error.ts';

/** All that `standalone` is told, read once and frozen. */
export interface StandaloneSettings {
  readonly manifests: string;
  readonly proxy: ListenAddress;
  /** Undefined where the proxy listens for plain HTTP only. */
  readonly proxyHttps: ListenAddress | undefined;
  readonly webhook: ListenAddress;
  readonly management: ListenAddress;
  readonly certs: string;
  /** File of callers; undefined when everybody on this machine may call. */
  readonly callers: string | undefined;
  /** How images name the proxy; undefined for `localhost` and the port that the proxy listens on. */
  readonly imageHost: string | undefined;
  /** Further names and addresses that the webhook's certificate is for. */
  readonly webhookNames: readonly string[];
  readonly drainMs: number;
  readonly logLevel: LogLevel;
  readonly isPretty: boolean;
  readonly proxies: ProxySettings;
  /** Undefined where it has no identity in Oracle's cloud. */
  readonly oracle: OracleAccess | undefined;
}

export const standaloneDefaults = {
  proxy: '127.0.0.1:7450',
  webhook: '127.0.0.1:8443',
  management: '127.0.0.1:9450',
  certs: '.oci-connector/certs',
  callers: 'none',
  drainSeconds: '30',
  logLevel: 'info',
} as const;

const text = (option: string, what: string) =>
  z.string({ error: `${option} is needed: ${what}` }).min(1, `${option} is empty: name ${what}`);

const flags = z.object({
  manifests,
  proxy: z.string(),
  proxyHttps: z.string().optional(),
  webhook: z.string(),
  management: z.string(),
  certs: text('--certs DIR', 'the folder for the CA and the certificate'),
  callers: text('--callers', '"none" or a file of callers'),
  imageHost: imageHost.optional(),
  webhookName: z.array(certificateName).default([]),
  drainSeconds,
  logLevel: z.enum(logLevels, { error: `--log-level is one of ${logLevels.join(', ')}` }),
  ...oracleFlags,
});

/**
 * Reads flags and environment.
 * @throws UsageError
 */
export function readStandaloneSettings(
  given: unknown,
  environment: NodeJS.ProcessEnv,
  isTerminal: boolean,
): StandaloneSettings {
  const data = readFlags(flags, given);
  const proxy = parseListenAddress(data.proxy, '--proxy');
  const proxyHttps = data.proxyHttps === undefined ? undefined : parseListenAddress(data.proxyHttps, '--proxy-https');
  const callers = data.callers === 'none' ? undefined : data.callers;
  if (callers === undefined) {
    forbidStrangers('--proxy', proxy);
    if (proxyHttps !== undefined) forbidStrangers('--proxy-https', proxyHttps);
  }
  return Object.freeze({
    manifests: data.manifests,
    proxy,
    proxyHttps,
    webhook: parseListenAddress(data.webhook, '--webhook'),
    management: parseListenAddress(data.management, '--management'),
    certs: data.certs,
    callers,
    imageHost: data.imageHost,
    webhookNames: data.webhookName,
    drainMs: data.drainSeconds * 1000,
    logLevel: data.logLevel,
    isPretty: isTerminal,
    proxies: readProxySettings(environment),
    oracle: oracleAccess(data, environment),
  });
}

function forbidStrangers(option: string, address: ListenAddress): void {
  if (isLoopback(address)) return;
  throw new UsageError(
    `--callers none lets everybody pull and push who reaches ${option} ${formatListenAddress(address)}: ` +
      'listen on 127.0.0.1 or ::1, or name a file of callers',
  );
}
