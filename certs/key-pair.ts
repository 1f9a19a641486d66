import { createPrivateKey, randomInt, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { type CertificateAuthority, issueServerCertificate, type KeyPair, validity } from './authority.ts';
import type { CertificateStore } from './certificate-store.ts';
import { renewAt } from './rotation.ts';

interface CertificateRequest {
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
  /** Epoch milliseconds. */
  readonly now: number;
  readonly lifeMs: number;
}

/** The pair in the store while it is good, otherwise a new one of `ca` in its place. */
export async function loadKeyPair(
  store: Pick<CertificateStore, 'location' | 'readPair' | 'writePair'>,
  ca: CertificateAuthority,
  request: CertificateRequest,
): Promise<KeyPair> {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    // Two processes that write at once may leave a mixed pair. Both read what is there now, but no longer in step.
    if (attempt > 0) await setTimeout(randomInt(50));
    const pair = await store.readPair();
    if (pair !== undefined && isGood(pair, ca, request)) return pair;
    await store.writePair(await issueServerCertificate(ca, request), pair);
  }
  throw new Error(`${store.location}: what is issued for ${request.names.join(', ')} is not a good certificate`);
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
