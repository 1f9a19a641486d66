export const principalKinds = ['instance', 'resource', 'workload', 'user'] as const;
/** How a process proves to Oracle's cloud who it is. */
export type PrincipalKind = (typeof principalKinds)[number];

/** Whoever logs in to OCIR by a token is called so. */
export const registryTokenUser = 'BEARER_TOKEN';

export interface OracleSettings {
  /** `auto` tries what the surroundings speak for, and says which; anything else is that principal alone. */
  readonly auth: PrincipalKind | 'auto';
  /** OCI_RESOURCE_PRINCIPAL_*, KUBERNETES_SERVICE_*, HOME. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of the instance, instead of http://169.254.169.254/opc/v2/. */
  readonly metadataUrl?: string | undefined;
  /** Instead of https://auth.<region>.oraclecloud.com. */
  readonly federationUrl?: string | undefined;
  /** Instead of https://secrets.vaults.<region>.oci.oraclecloud.com. */
  readonly vaultUrl?: string | undefined;
  /** For registries outside of Oracle's own domains, which are asked by HTTPS; `http` for development. */
  readonly registryProtocol?: 'https' | 'http' | undefined;
  /** By default /20180419/docker/token. */
  readonly registryTokenPath?: string | undefined;
  /** Of a user: by default ~/.oci/config and DEFAULT. */
  readonly configFile?: string | undefined;
  readonly profile?: string | undefined;
  /** Of one step, by default 5 seconds. */
  readonly stepTimeoutMs?: number | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
}

export interface RegistryLogin {
  /** The password of `registryTokenUser`. */
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface VaultLogin {
  readonly username: string;
  readonly password: string;
  /** Of the secret: it changes with each new content. */
  readonly version: number;
}

/** What Oracle's cloud gives to the principal that this process is. Each call asks: whoever calls often remembers. */
export interface Oracle {
  /**
   * A token for the registry at `host` (`host[:port]`).
   * @throws OracleError
   */
  registryToken(host: string, signal: AbortSignal): Promise<RegistryLogin>;
  /**
   * The latest version of a Vault secret, which is JSON with `username` and `password`.
   * @throws OracleError; no message holds what the secret holds
   */
  vaultSecret(secretId: string, signal: AbortSignal): Promise<VaultLogin>;
  close(): void;
}
