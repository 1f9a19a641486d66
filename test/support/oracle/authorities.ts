import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const algorithm = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
} as const;
const dayMs = 86_400_000;

/** A certificate with its key, both PEM. */
export interface Certified {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface Authority extends Certified {
  /** A certificate for `subject`; with `names` one that a server shows. */
  issue(subject: string, names?: readonly string[]): Promise<Certified>;
  /** An authority below this one. */
  issueAuthority(subject: string): Promise<Authority>;
}

interface Issuer {
  readonly certificate: X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

let serial = 0;

async function certify(
  subject: string,
  issuer: Issuer | undefined,
  { isAuthority, names = [] }: { isAuthority: boolean; names?: readonly string[] },
): Promise<Issuer & { readonly privateKey: string }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const alternatives = names.map((value) => ({ type: /^[\d.]+$/.test(value) ? 'ip' : 'dns', value }) as const);
  serial += 1;
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: serial.toString(16).padStart(2, '0'),
      subject,
      issuer: issuer?.certificate.subject ?? subject,
      notBefore: new Date(Date.now() - dayMs),
      notAfter: new Date(Date.now() + dayMs),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: issuer?.key ?? keys.privateKey,
      extensions: [
        new BasicConstraintsExtension(isAuthority, undefined, true),
        ...(alternatives.length === 0 ? [] : [new SubjectAlternativeNameExtension(alternatives)]),
      ],
    },
    webcrypto as never,
  );
  const privateKey = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
  return { certificate, key: keys.privateKey, privateKey };
}

/** A root, which signs itself, or with `issuer` an authority below that one. */
export async function makeAuthority(subject: string, issuer?: Issuer): Promise<Authority> {
  const own = await certify(subject, issuer, { isAuthority: true });
  return {
    certificate: own.certificate.toString('pem'),
    privateKey: own.privateKey,
    issue: async (name, names) => {
      const made = await certify(name, own, { isAuthority: false, ...(names && { names }) });
      return { certificate: made.certificate.toString('pem'), privateKey: made.privateKey };
    },
    issueAuthority: (name) => makeAuthority(name, own),
  };
}
