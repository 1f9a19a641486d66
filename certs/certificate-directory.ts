import { createPrivateKey, randomInt, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { writeFileAtomic } from '../platform/atomic-file.ts';
import { type CertificateAuthority, issueServerCertificate, type KeyPair, validity } from './authority.ts';
import { hasCode, readIfExists } from './file.ts';
import { renewAt } from './rotation.ts';

interface CertificateRequest {
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
  /** Epoch milliseconds. */
  readonly now: number;
  readonly lifeMs: number;
}

/** Where the files are: the authority with its keys, what clients trust, and the pair that is served. */
export function certificatePaths(directory: string) {
  return {
    authority: join(directory, 'ca.pem'),
    bundle: join(directory, 'ca.crt'),
    cert: join(directory, 'tls.crt'),
    key: join(directory, 'tls.key'),
  };
}

/**
 * Makes the directory where it is missing, and closes its files to everyone but the owner; the directory itself too,
 * unless it holds something that is not ours.
 */
export async function openCertificateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (await isOurs(directory)) await closeDirectory(directory);
  for (const path of Object.values(certificatePaths(directory))) {
    await chmod(path, 0o600).catch((error) => {
      if (!hasCode(error, 'ENOENT')) throw error;
    });
  }
}

/** Writes what clients trust, where it has changed. */
export async function writeBundle(directory: string, bundle: string): Promise<void> {
  const path = certificatePaths(directory).bundle;
  if ((await readIfExists(path)) !== bundle) await writeFileAtomic(path, bundle);
}

/** The pair in the directory while it is good, otherwise a new one of `ca` in its place. */
export async function loadKeyPair(
  directory: string,
  ca: CertificateAuthority,
  request: CertificateRequest,
): Promise<KeyPair> {
  const paths = certificatePaths(directory);
  for (let attempt = 0; attempt < 10; attempt += 1) {
    // Two processes that write at once may leave a mixed pair. Both read what is there now, but no longer in step.
    if (attempt > 0) await setTimeout(randomInt(50));
    const [key, cert] = [await readIfExists(paths.key), await readIfExists(paths.cert)];
    if (key !== undefined && cert !== undefined && isGood({ key, cert }, ca, request)) return { key, cert };
    const issued = await issueServerCertificate(ca, request);
    await writeFileAtomic(paths.key, issued.key);
    await writeFileAtomic(paths.cert, issued.cert);
  }
  throw new Error(`${paths.cert}: what is issued for ${request.names.join(', ')} is not a good certificate`);
}

function isGood(pair: KeyPair, ca: CertificateAuthority, { names, now }: CertificateRequest): boolean {
  const issuer = new X509Certificate(ca.cert);
  try {
    const certificate = new X509Certificate(pair.cert);
    const valid = validity(certificate);
    return (
      certificate.toString() === pair.cert &&
      certificate.checkPrivateKey(createPrivateKey(pair.key)) &&
      certificate.checkIssued(issuer) &&
      certificate.verify(issuer.publicKey) &&
      names.every((name) => covers(certificate, name)) &&
      now >= valid.notBefore &&
      now < renewAt(valid)
    );
  } catch {
    return false;
  }
}

function covers(certificate: X509Certificate, name: string): boolean {
  const covering = isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name, { subject: 'never' });
  return covering !== undefined;
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
