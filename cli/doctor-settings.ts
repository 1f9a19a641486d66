import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { type ImageReference, parseImageReference } from '../connectors/image-reference.ts';
import { isOracleRegistry } from '../credentials/oracle/hosts.ts';
import { type OracleSettings, principalKinds } from '../credentials/oracle/oracle.ts';
import { parseConfiguration, readEnvironment } from '../kubelet/configuration.ts';
import type { ProviderSettings } from '../kubelet/settings.ts';
import { readFlags } from './flags.ts';
import { UsageError } from './usage-error.ts';

const kinds = [...principalKinds, 'auto'] as const;

const image = z.string().transform((text, context): ImageReference => {
  const parsed = parseImageReference(text);
  if (parsed.ok) return parsed.reference;
  context.addIssue({ code: 'custom', message: `--image is not an image: ${parsed.reason}` });
  return z.NEVER;
});

const flags = z.object({
  oci: z.literal(true, { error: 'say what is to be looked at: --oci' }),
  registry: z
    .string()
    .regex(/^[A-Za-z0-9.-]+(?::\d{1,5})?$/, '--registry is a host, as fra.ocir.io')
    .transform((host) => host.toLowerCase())
    .optional(),
  image: image.optional(),
  secret: z.array(z.string().min(1, '--secret is the OCID of a secret')).default([]),
  auth: z.enum(kinds, { error: `--auth is one of ${kinds.join(', ')}` }).optional(),
  config: z.string().min(1, '--config names no file').optional(),
});

export interface DoctorSettings {
  readonly oracle: OracleSettings;
  /** Where the settings come from, as people name it. */
  readonly source: string;
  /** `host[:port]`; undefined: that of the region. */
  readonly registry: string | undefined;
  readonly image: ImageReference | undefined;
  readonly secretIds: readonly string[];
}

/**
 * Reads the command line and the configuration of the kubelet's plugin: what is looked at is what the plugin would do.
 * @throws UsageError
 */
export async function readDoctorSettings(options: unknown, environment: NodeJS.ProcessEnv): Promise<DoctorSettings> {
  const given = readFlags(flags, options);
  const { principal, imagePullSecrets } = await readProvider(given.config, environment);
  const registry = given.registry ?? given.image?.registry;
  if (given.image !== undefined && given.image.registry !== registry) {
    throw new UsageError(`--image is of ${given.image.registry}, and --registry is ${registry}: leave one of them out`);
  }
  if (registry !== undefined && !isOracleRegistry(registry, principal.domains)) {
    throw new UsageError(
      `${registry} is no registry of Oracle's, and gets no token: list its domain under oracle.domains of --config if it is one`,
    );
  }
  const fromFile = imagePullSecrets.flatMap(({ secretType, secretId }) =>
    secretType === 'VAULT' && secretId !== undefined ? [secretId] : [],
  );
  return {
    oracle: { ...principal, auth: given.auth ?? principal.auth, environment },
    source: given.config ?? 'the environment',
    registry,
    image: given.image,
    secretIds: [...new Set(given.secret.length > 0 ? given.secret : fromFile)],
  };
}

async function readProvider(file: string | undefined, environment: NodeJS.ProcessEnv): Promise<ProviderSettings> {
  const read = file === undefined ? readEnvironment(environment) : parseConfiguration(await textOf(file), file);
  if (!read.ok) throw new UsageError(read.problems.join('\n'));
  return read.settings;
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--config ${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}
