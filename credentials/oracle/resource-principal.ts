import { isAbsolute } from 'node:path';
import { misconfigured } from './errors.ts';
import { readFileOf } from './file.ts';
import { inStep } from './in-step.ts';
import { type Principal, readRsaKey, tokenSession } from './session.ts';
import type { Surroundings } from './surroundings.ts';

const version = 'OCI_RESOURCE_PRINCIPAL_VERSION';
const token = 'OCI_RESOURCE_PRINCIPAL_RPST';
const privateKey = 'OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM';
const passphrase = 'OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM_PASSPHRASE';

/**
 * A resource that Oracle gives a session token to by its environment: functions, container instances, data science.
 * Version 2.2, as the SDK; read by ourselves, because the SDK reads the environment of the process, and a file without
 * bound.
 */
export const resourcePrincipal = ({ settings, stepTimeoutMs, now }: Surroundings): Principal => {
  const { environment } = settings;

  /** A setting is a file where it is an absolute path, and otherwise the value itself. */
  const read = async (name: string, signal: AbortSignal): Promise<string> => {
    const value = environment[name];
    if (value === undefined || value === '') throw misconfigured(`${name} is not set`);
    return isAbsolute(value) ? readFileOf(name, value, signal) : value;
  };

  return {
    kind: 'resource',
    absence: async () => (environment[version] ? undefined : `${version} is not set`),
    openSession: (signal) =>
      inStep(
        { step: 'configuration', whom: 'the resource principal', timeoutMs: stepTimeoutMs },
        signal,
        async (within) => {
          if (!environment[version])
            throw misconfigured(`${version} is not set: nothing here has a resource principal`);
          if (environment[version] !== '2.2') throw misconfigured(`${version} is a version that is not known; 2.2 is`);
          const phrase = environment[passphrase] ? (await read(passphrase, within)).trimEnd() : undefined;
          const key = readRsaKey(await read(privateKey, within), phrase);
          if (key === undefined) throw misconfigured(`${privateKey} is no RSA key that can be read with ${passphrase}`);
          const session = tokenSession(await read(token, within), key);
          if (session === undefined) throw misconfigured(`${token} is no session token`);
          if (session.expiresAt !== undefined && session.expiresAt <= now()) {
            throw misconfigured(`the session token of ${token} has expired, and nobody has put another one there`);
          }
          return session;
        },
      ),
  };
};
