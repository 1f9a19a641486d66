import { z } from 'zod';
import type { OracleSettings } from '../credentials/oracle/oracle.ts';
import { oracleKinds as kinds } from './oracle-options.ts';

/** Who this process is in Oracle's cloud, and for which registries. */
export interface OracleAccess {
  readonly settings: OracleSettings;
  /** Domains of registries besides those of Oracle's realms that are known. */
  readonly furtherDomains: readonly string[];
}

const url = (option: string) =>
  z.url({ protocol: /^https?$/, error: `${option} is an address, as https://auth.example.com` }).optional();

const domains = z
  .string()
  .default('')
  .transform((text) => text.split(',').map((domain) => domain.trim().toLowerCase()))
  .transform((list) => list.filter((domain) => domain !== ''))
  .refine(
    (list) => list.every((domain) => /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$/.test(domain)),
    '--oci-registry-domains is DOMAIN[,DOMAIN]: names of hosts, without scheme and wildcard',
  );

/** What `addOracleOptions` (oracle-options.ts) gives, for the schema of a command. */
export const oracleFlags = {
  ociAuth: z.enum(kinds, { error: `--oci-auth is one of ${kinds.join(', ')}` }).default('none'),
  ociConfig: z.string().min(1, '--oci-config is empty: name the file').optional(),
  ociProfile: z.string().min(1, '--oci-profile is empty: name a profile of the file').optional(),
  ociMetadataUrl: url('--oci-metadata-url'),
  ociFederationUrl: url('--oci-federation-url'),
  ociVaultUrl: url('--oci-vault-url'),
  ociRegistryDomains: domains,
  ociRegistryProtocol: z
    .enum(['https', 'http'], { error: '--oci-registry-protocol is https or http' })
    .default('https'),
};

type OracleFlags = z.output<z.ZodObject<typeof oracleFlags>>;

/** Undefined where this process has no identity in Oracle's cloud. */
export function oracleAccess(given: OracleFlags, environment: NodeJS.ProcessEnv): OracleAccess | undefined {
  const { ociAuth } = given;
  if (ociAuth === 'none') return undefined;
  const settings: OracleSettings = {
    auth: ociAuth,
    environment,
    metadataUrl: given.ociMetadataUrl,
    federationUrl: given.ociFederationUrl,
    vaultUrl: given.ociVaultUrl,
    registryProtocol: given.ociRegistryProtocol,
    configFile: given.ociConfig,
    profile: given.ociProfile,
  };
  return Object.freeze({ settings, furtherDomains: given.ociRegistryDomains });
}
