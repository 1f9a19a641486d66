import { createHash, createPublicKey } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { misconfigured } from './errors.ts';
import { readFileOf } from './file.ts';
import { inStep } from './in-step.ts';
import { loadCommon } from './sdk.ts';
import { type Principal, readRsaKey, type Session, tokenSession } from './session.ts';
import type { Surroundings } from './surroundings.ts';

/** A user with an API key, or a session of the command line, by the configuration file of Oracle's tools. */
export const userPrincipal = ({ settings, stepTimeoutMs, now }: Surroundings): Principal => {
  const path = configPath(settings);
  const profile = settings.profile ?? 'DEFAULT';
  return {
    kind: 'user',
    absence: async () => {
      if (path === undefined) return 'there is no home with a configuration file';
      return access(path).then(
        () => undefined,
        () => `there is no configuration file ${path}`,
      );
    },
    openSession: (signal) =>
      inStep(
        { step: 'configuration', whom: 'the configuration file', timeoutMs: stepTimeoutMs },
        signal,
        async (within) => {
          if (path === undefined) throw misconfigured('HOME is not set, and no configuration file is named');
          await readFileOf('the configuration file', path, within);
          return readProfile(path, profile, now());
        },
      ),
  };
};

function configPath({ configFile, environment }: Surroundings['settings']): string | undefined {
  const home = environment['HOME'];
  const named = configFile || environment['OCI_CONFIG_FILE'];
  if (named) return named.startsWith('~/') && home ? join(home, named.slice(2)) : named;
  return home ? join(home, '.oci', 'config') : undefined;
}

async function readProfile(path: string, profile: string, now: number): Promise<Session> {
  const { ConfigFileAuthenticationDetailsProvider } = await loadCommon();
  const where = `profile ${profile} of ${path}`;
  const provider = attempt(() => new ConfigFileAuthenticationDetailsProvider(path, profile), where);
  if (provider.getAuthType()) {
    throw misconfigured(
      `${where} has an authentication_type, which belongs to another kind of principal: name that kind`,
    );
  }
  const privateKey = readRsaKey(provider.getPrivateKey(), provider.getPassphrase() ?? undefined);
  if (privateKey === undefined) throw misconfigured(`key_file in ${where} is no RSA key that pass_phrase opens`);
  if (provider.sessionToken) {
    const session = tokenSession(provider.sessionToken, privateKey);
    if (session === undefined) throw misconfigured(`security_token_file in ${where} is no session token`);
    if (session.expiresAt !== undefined && session.expiresAt <= now) {
      throw misconfigured(`the session of ${where} has expired: oci session refresh`);
    }
    return session;
  }
  if (provider.getFingerprint().toLowerCase() !== fingerprintOf(privateKey)) {
    throw misconfigured(`fingerprint in ${where} is not that of key_file`);
  }
  return { keyId: await provider.getKeyId(), privateKey, expiresAt: undefined, claims: {} };
}

/** Oracle's fingerprint of an API key: MD5 of the public key's DER. */
function fingerprintOf(privateKey: string): string {
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const digest = createHash('md5').update(der).digest('hex');
  return digest.replace(/..(?!$)/g, '$&:');
}

/** The SDK repeats lines of the file in its messages, and they may be anything: only sentences that are known pass. */
function attempt<T>(read: () => T, where: string): T {
  try {
    return read();
  } catch (error) {
    const text = typeof error === 'string' ? error : error instanceof Error ? error.message : '';
    throw misconfigured(`${where} ${reasonOf(text)}`);
  }
}

function reasonOf(text: string): string {
  const missing = /missing (tenancy|fingerprint|key_file|user) in config/.exec(text)?.[1];
  if (missing !== undefined) return `has no ${missing}`;
  if (text.startsWith('No profile named')) return 'does not exist';
  if (text.startsWith('Region not specified')) return 'has no region';
  if (text.startsWith('Failed to read private key'))
    return 'names a key_file or security_token_file that cannot be read';
  return 'cannot be read: it takes lines of key=value below [PROFILE]';
}
