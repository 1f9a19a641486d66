import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A certificate and its key (PKCS #8). */
export interface PemPair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** Who a component is to the API server: the common name is the user, the organization a group. */
export interface ComponentIdentity {
  readonly commonName: string;
  readonly organization?: string;
}

/** The authority of one cluster, for clients and servers alike, as kubeadm's `ca.crt`. */
export interface ClusterAuthority extends PemPair {
  issueClient(identity: ComponentIdentity): Promise<PemPair>;
  /** `names` are DNS names and addresses. */
  issueServer(identity: ComponentIdentity, names: readonly string[]): Promise<PemPair>;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const lifeMs = 365 * 24 * 60 * 60 * 1000;

/** Makes the authority of a test cluster; what it issues lives for a year. */
export async function makeClusterAuthority(now = new Date()): Promise<ClusterAuthority> {
  const validity = {
    notBefore: new Date(now.getTime() - 60 * 60 * 1000),
    notAfter: new Date(now.getTime() + lifeMs),
    signingAlgorithm: algorithm,
  };
  const keys = await generateKeys();
  const authority = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=test-cluster',
    ...validity,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  const issue = async (identity: ComponentIdentity, usage: ExtendedKeyUsage, names: readonly string[]) => {
    const subjectKeys = await generateKeys();
    const alternatives = names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name }) as const);
    const certificate = await X509CertificateGenerator.create({
      subject: formatSubject(identity),
      issuer: authority.subject,
      ...validity,
      publicKey: subjectKeys.publicKey,
      signingKey: keys.privateKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
        new ExtendedKeyUsageExtension([usage]),
        ...(alternatives.length === 0 ? [] : [new SubjectAlternativeNameExtension(alternatives)]),
      ],
    });
    return toPem(certificate, subjectKeys.privateKey);
  };
  return {
    ...toPem(authority, keys.privateKey),
    issueClient: (identity) => issue(identity, ExtendedKeyUsage.clientAuth, []),
    issueServer: (identity, names) => issue(identity, ExtendedKeyUsage.serverAuth, names),
  };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

function formatSubject({ commonName, organization }: ComponentIdentity): string {
  return organization === undefined ? `CN=${commonName}` : `O=${organization}, CN=${commonName}`;
}

function toPem(certificate: X509Certificate, privateKey: webcrypto.CryptoKey): PemPair {
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    keyPem: KeyObject.from(privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
