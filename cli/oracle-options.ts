import type { Command } from 'commander';
import { principalKinds } from '../credentials/oracle/oracle.ts';

export const oracleKinds = ['none', ...principalKinds, 'auto'] as const;

/** The options of every command that may ask Oracle's cloud for credentials. */
export function addOracleOptions(command: Command): Command {
  return command
    .option('--oci-auth <kind>', `who this process is in Oracle's cloud: ${oracleKinds.join(', ')}`, 'none')
    .option('--oci-config <file>', 'for "user": configuration of the OCI SDK (default: ~/.oci/config)')
    .option('--oci-profile <name>', 'for "user": profile in that file (default: DEFAULT)')
    .option('--oci-metadata-url <url>', 'metadata service of the instance')
    .option('--oci-federation-url <url>', 'authentication service (default: that of the region)')
    .option('--oci-vault-url <url>', 'secret retrieval service (default: that of the region of a secret)')
    .option('--oci-registry-domains <list>', "domains of registries outside of Oracle's known realms, with commas")
    .option('--oci-registry-protocol <https|http>', 'of those domains, for development', 'https');
}
