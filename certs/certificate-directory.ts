import { chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeFileAtomic } from '../platform/atomic-file.ts';
import { hasCode } from '../platform/system-error.ts';
import type { AuthorityStore, CertificateStore } from './certificate-store.ts';
import { readIfExists } from './file.ts';
import { type TextStore, textFile } from './text-store.ts';

/**
 * A directory of its own for a standalone process: `ca.pem` (the authority, secret), `ca.crt` (for clients), `tls.crt`
 * and `tls.key`, all of mode 0600.
 */
export function certificateDirectory(directory: string): CertificateStore {
  const paths = certificatePaths(directory);
  return {
    location: paths.cert,
    authority: textFile(paths.authority),
    open: () => openDirectory(directory),
    writeBundle: (bundle) => writeIfChanged(paths.bundle, bundle),
    async readPair() {
      const [key, cert] = [await readIfExists(paths.key), await readIfExists(paths.cert)];
      return key === undefined || cert === undefined ? undefined : { key, cert };
    },
    async writePair(pair) {
      await writeFileAtomic(paths.key, pair.key);
      await writeFileAtomic(paths.cert, pair.cert);
    },
  };
}

/** The authority that signs for clients, in the same directory: `interception-ca.pem` (secret) and `interception-ca.crt`. */
export function interceptionDirectory(directory: string): AuthorityStore {
  const paths = certificatePaths(directory);
  return {
    authority: textFile(paths.interception),
    open: () => openDirectory(directory),
    writeBundle: (bundle) => writeIfChanged(paths.interceptionBundle, bundle),
  };
}

/** The keys that addresses of uploads are sealed with, in the same directory: `sealing-keys.json`, secret. */
export function sealingKeyFile(directory: string): TextStore {
  return textFile(certificatePaths(directory).sealing);
}

function certificatePaths(directory: string) {
  return {
    authority: join(directory, 'ca.pem'),
    bundle: join(directory, 'ca.crt'),
    cert: join(directory, 'tls.crt'),
    key: join(directory, 'tls.key'),
    interception: join(directory, 'interception-ca.pem'),
    interceptionBundle: join(directory, 'interception-ca.crt'),
    sealing: join(directory, 'sealing-keys.json'),
  };
}

async function writeIfChanged(path: string, text: string): Promise<void> {
  if ((await readIfExists(path)) !== text) await writeFileAtomic(path, text);
}

/**
 * Makes the directory where it is missing, and closes its files to everyone but the owner; the directory itself too,
 * unless it holds something that is not ours.
 */
async function openDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (await isOurs(directory)) await closeDirectory(directory);
  for (const path of Object.values(certificatePaths(directory))) {
    await chmod(path, 0o600).catch((error) => {
      if (!hasCode(error, 'ENOENT')) throw error;
    });
  }
}

/** Whether there is nothing in it but our files, and what a crash may have left of writing them. */
async function isOurs(directory: string): Promise<boolean> {
  const names = Object.values(certificatePaths(directory)).map((path) => basename(path));
  const entries = await readdir(directory);
  return entries.every((entry) => names.some((name) => entry === name || entry.startsWith(`.${name}.`)));
}

async function closeDirectory(directory: string): Promise<void> {
  const { mode } = await stat(directory);
  // A sticky directory, as /tmp, is shared on purpose and not ours to close.
  if ((mode & 0o077) === 0 || (mode & 0o1000) !== 0) return;
  await chmod(directory, 0o700).catch((error) => {
    // A mounted volume may belong to root. The files in it are closed all the same.
    if (!hasCode(error, 'EPERM')) throw error;
  });
}
