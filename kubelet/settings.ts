import type { ImagePullSecret } from '../connectors/image-pull-secrets.ts';
import type { PrincipalKind } from '../credentials/oracle/oracle.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogSettings {
  /** Undefined: standard error, of which the kubelet keeps what a failure says. */
  readonly file: string | undefined;
  readonly maxBytes: number;
  readonly level: LogLevel;
}

/** What every invocation needs to know, also one that finds its answer in the cache. */
export interface InvocationSettings {
  readonly log: LogSettings;
  /** Undefined: nothing is kept. */
  readonly cacheDir: string | undefined;
  readonly timeoutMs: number;
  /** `host:port` of the node's agent, as images name it; undefined: no image is the agent's. */
  readonly connectorAddress: string | undefined;
}

export interface PrincipalSettings {
  readonly auth: PrincipalKind | 'auto';
  /** User name beside a registry token. */
  readonly username: string;
  readonly registryProtocol: 'https' | 'http';
  readonly registryTokenPath: string | undefined;
  /** Whether a credential is tried at the image's repository before the kubelet gets it. */
  readonly isTokenValidated: boolean;
  readonly metadataUrl: string | undefined;
  readonly federationUrl: string | undefined;
  readonly vaultUrl: string | undefined;
  /** Domains of registries that give tokens to principals, beside Oracle's own. */
  readonly domains: readonly string[];
  readonly configFile: string | undefined;
  readonly profile: string | undefined;
}

export interface ProviderSettings {
  readonly invocation: InvocationSettings;
  readonly principal: PrincipalSettings;
  readonly imagePullSecrets: readonly ImagePullSecret[];
  /** What was passed over, for the log. */
  readonly remarks: readonly string[];
}

/** Environment variables of Oracle's provider, and the fields that they are. It reads them where it is given no file. */
export const providerVariables = {
  REGISTRY_TOKEN_PATH: 'registryTokenPath',
  DEFAULT_USER: 'defaultUser',
  REGISTRY_PROTOCOL: 'registryProtocol',
  OCIR_AUTH_METHOD: 'ocirAuthMethod',
  TOKEN_VALIDATION: 'tokenValidation',
} as const;

const defaultFolder = '/run/oci-connector/credential-provider';
export const defaultInvocation: InvocationSettings = {
  log: { file: '/var/log/oci-connector/credential-provider.log', maxBytes: 10 * 1024 * 1024, level: 'info' },
  cacheDir: defaultFolder,
  timeoutMs: 10_000,
  connectorAddress: undefined,
};
export const defaultConnectorAddress = 'localhost:7450';

/**
 * Where a configuration puts cache and log, without reading YAML, which takes longer than an answer from the cache. A
 * guess: what is found in the folder says which configuration it is of, and the log only counts where reading fails.
 */
export function guessInvocation(text: string): InvocationSettings {
  const { log, cacheDir } = defaultInvocation;
  return {
    ...defaultInvocation,
    log: { ...log, file: unlessWord(guess(text, 'file') ?? log.file) },
    cacheDir: unlessWord(guess(text, 'cacheDir') ?? cacheDir),
  };
}

/** `none` and `journal` are no paths. */
const unlessWord = (path: string | undefined): string | undefined => (path?.startsWith('/') ? path : undefined);

function guess(text: string, field: string): string | undefined {
  const value = '(/[^"\'\\s#,}]+|none\\b|journal\\b)';
  return new RegExp(`^(?:[^#\\n]*[\\s{,])?["']?${field}["']?\\s*:\\s*["']?${value}`, 'm').exec(text)?.[1];
}
