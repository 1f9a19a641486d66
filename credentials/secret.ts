import type { ResolvedConnector } from '../connectors/connector.ts';
import { secretValue } from '../connectors/connector-parts.ts';
import { canonicalRegistry } from '../connectors/image-reference.ts';
import { isWithinPath, parseRegistryAddress } from '../connectors/registry-address.ts';
import { type Secret, secretTypes } from '../connectors/schema.ts';
import type { Credential } from './credential.ts';

export type SecretReason = 'SecretWrongType' | 'SecretKeyMissing' | 'SecretMalformed' | 'SecretForOtherRegistry';

/** What a Secret holds for a connector. */
export type ReadCredential =
  | { ok: true; credential: Credential }
  | { ok: false; reason: SecretReason; message: string };

/**
 * The credential of a connector for a repository, from a Secret of its. Of a dockerconfigjson the entry with the longest
 * path counts, and only one for the connector's own registry. Messages name the Secret, and nothing that is in it.
 */
export function credentialIn(secret: Secret, connector: ResolvedConnector, repository: string): ReadCredential {
  switch (secret.type) {
    case secretTypes.registryToken:
    case secretTypes.basicAuth:
      return fromUsernameAndPassword(secret);
    case secretTypes.dockerConfigJson:
      return fromDockerConfig(secret, connector, repository);
    default:
      return refuse(
        secret,
        'SecretWrongType',
        `is of type "${secret.type ?? 'Opaque'}"; it must be ${Object.values(secretTypes).join(' or ')}`,
      );
  }
}

function refuse(secret: Secret, reason: SecretReason, message: string): ReadCredential {
  return { ok: false, reason, message: `Secret "${secret.metadata.name}" ${message}` };
}

function fromUsernameAndPassword(secret: Secret): ReadCredential {
  const [username, password] = ['username', 'password'].map((key) => secretValue(secret, key));
  const missing = [username === undefined && 'username', !password && 'password'].filter(Boolean).join(' and ');
  if (username === undefined || !password) return refuse(secret, 'SecretKeyMissing', `lacks ${missing}`);
  // RFC 7617: a colon ends the user name, so one that holds a colon would be sent as somebody else's.
  if (username.includes(':')) return refuse(secret, 'SecretMalformed', 'has a username with a colon');
  return { ok: true, credential: { kind: 'password', username, password } };
}

interface DockerConfigEntry {
  username?: unknown;
  password?: unknown;
  auth?: unknown;
  identitytoken?: unknown;
}

function fromDockerConfig(secret: Secret, connector: ResolvedConnector, repository: string): ReadCredential {
  const text = secretValue(secret, '.dockerconfigjson');
  if (text === undefined) return refuse(secret, 'SecretKeyMissing', 'lacks .dockerconfigjson');
  const entries = dockerConfigEntries(text);
  if (entries === undefined)
    return refuse(secret, 'SecretMalformed', 'holds a .dockerconfigjson without {"auths":{…}}');
  const matches = entries
    .map(([address, entry]) => ({ entry, path: pathForConnector(address, connector) }))
    .filter((match): match is { entry: DockerConfigEntry; path: string } => match.path !== undefined)
    .filter((match) => isWithinPath(repository, match.path))
    .sort((a, b) => b.path.length - a.path.length);
  const best = matches[0];
  if (best === undefined) {
    return refuse(secret, 'SecretForOtherRegistry', `has no entry for ${connector.address.registries[0]}`);
  }
  const credential = readEntry(best.entry);
  return credential ? { ok: true, credential } : refuse(secret, 'SecretMalformed', 'has an entry without a credential');
}

function dockerConfigEntries(text: string): [string, DockerConfigEntry][] | undefined {
  try {
    const { auths } = JSON.parse(text) as { auths?: unknown };
    if (typeof auths !== 'object' || auths === null) return undefined;
    return Object.entries(auths).filter(([, entry]) => typeof entry === 'object' && entry !== null);
  } catch {
    return undefined;
  }
}

/** The path of an `auths` key that is for the connector's registry; undefined for another registry's key. */
function pathForConnector(key: string, connector: ResolvedConnector): string | undefined {
  const address = parseRegistryAddress(key);
  if (!address.ok) return undefined;
  const isSame = address.address.registries.some((name) =>
    connector.address.registries.some((own) => canonicalRegistry(own) === canonicalRegistry(name)),
  );
  return isSame ? address.address.pathPrefix : undefined;
}

function readEntry(entry: DockerConfigEntry): Credential | undefined {
  // Docker writes an empty `auth` beside a username and password that stand in their own fields.
  const isAuthGiven = typeof entry.auth === 'string' && entry.auth !== '';
  const [username, password] = isAuthGiven ? splitAuth(String(entry.auth)) : [entry.username, entry.password];
  const user = typeof username === 'string' ? username : '';
  if (user.includes(':')) return undefined;
  if (typeof entry.identitytoken === 'string' && entry.identitytoken !== '') {
    return { kind: 'identityToken', username: user, token: entry.identitytoken };
  }
  if (typeof password !== 'string' || password === '') return undefined;
  return { kind: 'password', username: user, password };
}

function splitAuth(auth: string): [string, string] {
  const text = Buffer.from(auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
}
