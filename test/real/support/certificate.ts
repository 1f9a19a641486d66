import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';

export interface SelfSigned {
  readonly certificatePem: string;
  /** The certificate's DER in base64, as a JWT's `x5c` header holds it. */
  readonly certificateBase64: string;
  /** PKCS #8. */
  readonly keyPem: string;
  readonly key: KeyObject;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const lifetimeMs = 24 * 60 * 60 * 1000;

/** A P-256 certificate that is its own authority: for a registry's TLS (`names` are DNS names or addresses), or a token issuer. */
export async function makeSelfSigned(names: readonly string[], now = new Date()): Promise<SelfSigned> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${names[0] ?? 'test'}`,
    notBefore: new Date(now.getTime() - lifetimeMs),
    notAfter: new Date(now.getTime() + lifetimeMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name }) as const),
      ),
    ],
  });
  const key = KeyObject.from(keys.privateKey);
  return {
    certificatePem: certificate.toString('pem'),
    certificateBase64: certificate.toString('base64'),
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }),
    key,
  };
}
