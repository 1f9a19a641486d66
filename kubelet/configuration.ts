import { z } from 'zod';
import { type FieldProblem, formatProblem } from '../connectors/field-problem.ts';
import { entryProblem, imagePullSecretSchema } from '../connectors/image-pull-secrets.ts';
import { canonicalRegistry } from '../connectors/image-reference.ts';
import { locateYaml } from '../connectors/located-yaml.ts';
import { registryTokenUser } from '../credentials/oracle/oracle.ts';
import {
  defaultConnectorAddress,
  defaultInvocation,
  logLevels,
  type ProviderSettings,
  providerVariables,
} from './settings.ts';

export type ReadConfiguration =
  | { ok: true; settings: ProviderSettings }
  /** Each names file and line. */
  | { ok: false; problems: readonly string[] };

/** As Oracle's provider calls them, and as we do; the first is what it takes when nothing is said. */
const authMethods = {
  INSTANCE_PRINCIPAL: 'instance',
  USER_PRINCIPAL: 'user',
  RESOURCE_PRINCIPAL: 'resource',
  WORKLOAD_IDENTITY: 'workload',
  AUTO: 'auto',
} as const;
type AuthMethod = keyof typeof authMethods;
const authMethodNames = Object.keys(authMethods) as [AuthMethod, ...AuthMethod[]];

/** Stand in files and examples of Oracle's provider, which reads none of them. */
const ignoredFields = ['apiVersion', 'kind', 'metadata', 'verifyTokenAuth'] as const;

const timeoutMsMin = 1000;
/** The kubelet ends its plugins after a minute. */
const timeoutMsMax = 55_000;

/** An empty text is as good as none: that is how an environment variable is unset. */
const optional = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === '' || value === null ? undefined : value), schema.optional());
const lowerCase = (value: unknown): unknown => (typeof value === 'string' ? value.toLowerCase() : value);
const upperCase = (value: unknown): unknown => (typeof value === 'string' ? value.toUpperCase() : value);

const path = z.string().regex(/^\/[^\0]*$/, 'has to be an absolute path');
const url = z
  .string()
  .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'has to be a URL, as https://host:port');
const switchRule = 'has to be enabled or disabled';
const switchSchema = z.union(
  [z.boolean(), z.preprocess(lowerCase, z.enum(['enabled', 'disabled', 'true', 'false'], switchRule))],
  switchRule,
);

/** The five fields of Oracle's provider. */
const principalFields = {
  registryTokenPath: optional(z.string().regex(/^\/[\x21-\x7e]*$/, 'has to be a path, as /20180419/docker/token')),
  defaultUser: optional(z.string().regex(/^[^:\s]+$/, 'has to be a user name without colon or space')),
  registryProtocol: optional(z.preprocess(lowerCase, z.enum(['https', 'http'], 'has to be https or http'))),
  ocirAuthMethod: optional(
    z.preprocess(upperCase, z.enum(authMethodNames, `has to be one of ${authMethodNames.join(', ')}`)),
  ),
  tokenValidation: optional(switchSchema),
};

const ownFields = {
  imagePullSecrets: optional(z.array(imagePullSecretSchema).max(256)),
  connector: optional(
    z.strictObject({
      address: optional(z.string().refine((text) => canonicalRegistry(text) !== undefined, 'has to be host:port')),
    }),
  ),
  oracle: optional(
    z.strictObject({
      metadataUrl: optional(url),
      federationUrl: optional(url),
      vaultUrl: optional(url),
      domains: optional(z.array(z.string().regex(/^[A-Za-z0-9.-]+(?::\d+)?$/, 'has to be a domain'))),
      configFile: optional(path),
      profile: optional(z.string()),
    }),
  ),
  log: optional(
    z.strictObject({
      file: optional(z.string().regex(/^(?:journal|\/[^\0]*)$/, 'has to be journal or an absolute path')),
      maxBytes: optional(z.int().min(4096, 'has to be 4096 at least')),
      level: optional(z.enum(logLevels, `has to be one of ${logLevels.join(', ')}`)),
    }),
  ),
  cacheDir: optional(z.string().regex(/^(?:none|\/[^\0]*)$/, 'has to be none or an absolute path')),
  timeout: optional(
    z
      .string()
      .regex(/^\d{1,6}(?:\.\d{1,3})?(?:ms|s)$/, 'has to be a duration, as 10s')
      .transform(toMs)
      .pipe(z.number().min(timeoutMsMin, 'has to be 1s at least').max(timeoutMsMax, 'has to be 55s at most')),
  ),
};

const schema = z
  .strictObject({
    ...principalFields,
    ...ownFields,
    ...Object.fromEntries(ignoredFields.map((field) => [field, z.unknown().optional()])),
  })
  .superRefine(({ imagePullSecrets = [] }, context) => {
    for (const [index, entry] of imagePullSecrets.entries()) {
      const problem =
        entry.secretType === 'SECRET'
          ? {
              field: 'secretType',
              message: 'SECRET is for connectors in a cluster: a node reads no Secret. Write VAULT or BASIC',
            }
          : entryProblem(entry);
      if (problem === undefined) continue;
      context.addIssue({ code: 'custom', path: ['imagePullSecrets', index, problem.field], message: problem.message });
    }
  });

type Configuration = z.output<typeof schema>;

function toMs(duration: string): number {
  const number = Number.parseFloat(duration);
  return duration.endsWith('ms') ? number : number * 1000;
}

/** Reads a file of YAML, or of JSON, which is YAML too. Nothing that is said of it quotes its values. */
export function parseConfiguration(text: string, file: string): ReadConfiguration {
  const [document, another] = locateYaml(text, file);
  if (another !== undefined) return refuseFields([another.problemAtStart('a second document: there is one')]);
  if (document === undefined) return { ok: true, settings: toSettings({}, []) };
  const read = document.read();
  if (!read.ok) return refuseFields(read.problems);
  const parsed = schema.safeParse(read.value ?? {});
  if (!parsed.success) return refuseFields(document.problemsOf(parsed.error));
  return { ok: true, settings: toSettings(parsed.data, remarksOf(parsed.data)) };
}

const refuse = (problems: readonly string[]): ReadConfiguration => ({ ok: false, problems });
const refuseFields = (problems: readonly FieldProblem[]): ReadConfiguration => refuse(problems.map(formatProblem));

export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): ReadConfiguration {
  const entries = Object.entries(providerVariables).map(([variable, field]) => [field, environment[variable]]);
  const parsed = schema.safeParse(Object.fromEntries(entries));
  if (parsed.success) return { ok: true, settings: toSettings(parsed.data, []) };
  const variableOf = Object.fromEntries(
    Object.entries(providerVariables).map(([variable, field]) => [field, variable]),
  );
  return refuse(parsed.error.issues.map(({ path: [field], message }) => `${variableOf[String(field)]} ${message}`));
}

function remarksOf(configuration: object): string[] {
  return ignoredFields
    .filter((field) => field in configuration)
    .map((field) => `${field} in the configuration has no meaning, as with Oracle's provider`);
}

function toSettings(given: Configuration, remarks: readonly string[]): ProviderSettings {
  const { log = {}, oracle = {}, connector, cacheDir = defaultInvocation.cacheDir } = given;
  const { file = defaultInvocation.log.file, maxBytes = defaultInvocation.log.maxBytes } = log;
  return {
    invocation: {
      log: { file: file === 'journal' ? undefined : file, maxBytes, level: log.level ?? defaultInvocation.log.level },
      cacheDir: cacheDir === 'none' ? undefined : cacheDir,
      timeoutMs: given.timeout ?? defaultInvocation.timeoutMs,
      connectorAddress: connector === undefined ? undefined : (connector.address ?? defaultConnectorAddress),
    },
    principal: {
      auth: authMethods[given.ocirAuthMethod ?? 'INSTANCE_PRINCIPAL'],
      username: given.defaultUser ?? registryTokenUser,
      registryProtocol: given.registryProtocol ?? 'https',
      registryTokenPath: given.registryTokenPath,
      isTokenValidated: given.tokenValidation === true || /^(?:enabled|true)$/.test(String(given.tokenValidation)),
      metadataUrl: oracle.metadataUrl,
      federationUrl: oracle.federationUrl,
      vaultUrl: oracle.vaultUrl,
      domains: oracle.domains ?? [],
      configFile: oracle.configFile,
      profile: oracle.profile,
    },
    imagePullSecrets: given.imagePullSecrets ?? [],
    remarks,
  };
}
