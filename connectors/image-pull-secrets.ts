import { z } from 'zod';
import { decodeUtf8 } from '../platform/utf8.ts';
import { canonicalRegistry } from './image-reference.ts';

/** Bounds that keep what a CRD checks cheap enough for the API server. */
const endpointLengthMax = 512;
const secretIdLengthMax = 255;
const valueLengthMax = 8192;

/**
 * One of several credentials for images, as Oracle's Container Instances have them: those whose endpoint matches are
 * tried in their order until the registry lets the pull through. What belongs to which type: `entryProblem`.
 */
export const imagePullSecretSchema = z.strictObject({
  secretType: z
    .enum(['VAULT', 'BASIC', 'SECRET'])
    .describe('Where the credential is: an OCI Vault secret, here, or a Secret of the namespace.'),
  registryEndpoint: z
    .string()
    .min(1)
    .max(endpointLengthMax)
    .describe('host[:port][/path]: the host of an image, and what its path begins with.'),
  secretId: z.string().min(1).max(secretIdLengthMax).optional().describe('VAULT: OCID of the secret.'),
  username: z.string().max(valueLengthMax).optional().describe('BASIC, in files only: base64.'),
  password: z.string().max(valueLengthMax).optional().describe('BASIC, in files only: base64.'),
  secretRef: z
    .strictObject({ name: z.string().min(1).max(253).describe('Name of the Secret.') })
    .optional()
    .describe('SECRET: a Secret in the namespace of the connector.'),
});

export type ImagePullSecret = z.infer<typeof imagePullSecretSchema>;

/** That an entry cannot be what its type says: which field, what is wrong, and what to do. Holds no value of the entry. */
export interface EntryProblem {
  readonly field: keyof ImagePullSecret;
  readonly message: string;
}

/** The fields of each type, all of them needed. */
const fieldsOf = {
  VAULT: ['secretId'],
  BASIC: ['username', 'password'],
  SECRET: ['secretRef'],
} as const satisfies Record<ImagePullSecret['secretType'], readonly (keyof ImagePullSecret)[]>;
const typedFields = ['secretId', 'username', 'password', 'secretRef'] as const;

export function entryProblem(entry: ImagePullSecret): EntryProblem | undefined {
  const own: readonly string[] = fieldsOf[entry.secretType];
  const missing = fieldsOf[entry.secretType].find((field) => entry[field] === undefined);
  if (missing !== undefined) return { field: missing, message: `is needed by secretType ${entry.secretType}` };
  const foreign = typedFields.find((field) => entry[field] !== undefined && !own.includes(field));
  if (foreign !== undefined) {
    return { field: foreign, message: `does not belong to secretType ${entry.secretType}: leave it out` };
  }
  if (readEndpoint(entry.registryEndpoint) === undefined) {
    return { field: 'registryEndpoint', message: 'is no host[:port][/path], as registry.example.com/team' };
  }
  return entry.secretType === 'BASIC' ? basicProblem(entry) : undefined;
}

function basicProblem(entry: ImagePullSecret): EntryProblem | undefined {
  const username = decoded(entry.username);
  if (username === undefined) return { field: 'username', message: basicHint };
  // RFC 7617: a colon ends the user name, so one that holds a colon would be sent as somebody else's.
  if (username.includes(':')) return { field: 'username', message: 'holds a colon, which no user name may' };
  return decoded(entry.password) === undefined ? { field: 'password', message: basicHint } : undefined;
}

const basicHint = 'is not the base64 of a text that is not empty';

/** User name and password of an entry of type BASIC that has no problem. */
export function basicOf(entry: ImagePullSecret): { readonly username: string; readonly password: string } | undefined {
  const [username, password] = [decoded(entry.username), decoded(entry.password)];
  return username === undefined || password === undefined ? undefined : { username, password };
}

/** Text of a base64 value; undefined where it is none, and where it is no text. */
function decoded(value: string | undefined): string | undefined {
  const compact = value?.replace(/\s+/g, '') ?? '';
  if (!/^(?:[A-Za-z0-9+/]{4})+$|^(?:[A-Za-z0-9+/]{4})*[A-Za-z0-9+/]{2,3}={0,2}$/.test(compact)) return undefined;
  return decodeUtf8(Buffer.from(compact, 'base64'));
}

/** What a `registryEndpoint` says. */
export interface RegistryEndpoint {
  /** Canonical, see canonicalRegistry. */
  readonly registry: string;
  /** What a repository begins with, character by character; empty for all. */
  readonly path: string;
}

/** Undefined for what `entryProblem` refuses. */
export function readEndpoint(text: string): RegistryEndpoint | undefined {
  const [, host = '', path = ''] = /^(?:https?:\/\/)?([^/\s@]+)(?:\/(\S*))?$/.exec(text) ?? [];
  const registry = canonicalRegistry(host);
  // As in the keys of docker's configuration, which name the root of the API.
  const isRoot = /^v[12]\/?$/.test(path);
  return registry === undefined ? undefined : { registry, path: isRoot ? '' : path };
}

/**
 * Whether an entry is for a repository: the same host, and a path that the repository begins with. As in the kubelet the
 * path is no whole component: `host/team` is for `host/team-a/app` too. A path with a `/` at its end is not.
 * @param registry as an image names it; a repository is without tag and digest
 */
export function isEntryFor(entry: ImagePullSecret, registry: string, repository: string): boolean {
  const endpoint = readEndpoint(entry.registryEndpoint);
  return isAt(endpoint, registry) && repository.startsWith(endpoint.path);
}

/** Whether an entry is for some repository of a registry: nobody else may be shown what it holds. */
export const isEntryOf = (entry: ImagePullSecret, registry: string): boolean =>
  isAt(readEndpoint(entry.registryEndpoint), registry);

const isAt = (endpoint: RegistryEndpoint | undefined, registry: string): endpoint is RegistryEndpoint =>
  endpoint !== undefined && endpoint.registry === canonicalRegistry(registry);
