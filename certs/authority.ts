// tsyringe, inside @peculiar/x509, needs the Reflect polyfill loaded before it.
import 'reflect-metadata';
import { createPrivateKey, KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  X509Certificate as Certificate,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** Certificates are valid from this long before they are made: the clocks of clients may be behind. */
export const CLOCK_SKEW_MS = 5 * 60_000;

const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256' };

/** A certificate and its private key (PKCS#8), both PEM: what `tls.createSecureContext` takes. */
export interface KeyPair {
  readonly key: string;
  readonly cert: string;
}

/** Epoch milliseconds, in whole seconds as certificates have them. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface CertificateAuthority extends KeyPair, Validity {}

/** The CAs that are trusted, oldest first; more than one while a CA replaces another. */
export type Authority = readonly CertificateAuthority[];

/** Makes a CA with the common name `oci-connector <name> <id>`, valid until `lifeMs` after `now`. */
export async function createCertificateAuthority(options: {
  name: string;
  now: number;
  lifeMs: number;
}): Promise<CertificateAuthority> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    // The id tells two CAs apart where an issuer is looked up by its name.
    name: commonName(`oci-connector ${options.name} ${randomBytes(4).toString('hex')}`),
    keys,
    notBefore: new Date(options.now - CLOCK_SKEW_MS),
    notAfter: new Date(options.now + options.lifeMs),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return certificateAuthority(toKeyPair(keys.privateKey, certificate));
}

/**
 * Issues a server certificate for DNS names and IP addresses (IPv6 without brackets), valid until `lifeMs` after
 * `now` and never longer than its CA.
 */
export async function issueServerCertificate(
  ca: CertificateAuthority,
  options: { names: readonly string[]; now: number; lifeMs: number },
): Promise<KeyPair> {
  const issuer = new Certificate(ca.cert);
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.create({
    subject: commonName('oci-connector'),
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey: await importSigningKey(ca.key),
    notBefore: new Date(options.now - CLOCK_SKEW_MS),
    notAfter: new Date(Math.min(options.now + options.lifeMs, ca.notAfter)),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(options.names.map(toGeneralName)),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return toKeyPair(keys.privateKey, certificate);
}

/** The certificates that clients need in order to trust what this authority signs, as PEM. */
export function bundle(authority: Authority): string {
  return authority.map((ca) => ca.cert).join('');
}

/** Keys and certificates as ONE text, so that one atomic write replaces them: `parseAuthority` reads it. */
export function serializeAuthority(authority: Authority): string {
  return authority.map((ca) => ca.key + ca.cert).join('');
}

/** Reads what `serializeAuthority` wrote, or says what is wrong with it. */
export function parseAuthority(text: string): { authority: Authority } | { reason: string } {
  const blocks = text.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n/g) ?? [];
  if (blocks.length === 0 || blocks.join('') !== text) return { reason: 'it is not a sequence of PEM blocks' };
  const authority: CertificateAuthority[] = [];
  for (let i = 0; i < blocks.length; i += 2) {
    const [key = '', cert = ''] = blocks.slice(i, i + 2);
    try {
      const [certificate, privateKey] = [new X509Certificate(cert), createPrivateKey(key)];
      if (!certificate.checkPrivateKey(privateKey)) {
        return { reason: `the key in PEM block ${i + 1} does not belong to the certificate after it` };
      }
      if (!certificate.ca) return { reason: `the certificate in PEM block ${i + 2} is not that of a CA` };
      if (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
        return { reason: `the key in PEM block ${i + 1} is not an ECDSA key on P-256` };
      }
      authority.push(certificateAuthority({ key, cert }));
    } catch {
      return { reason: `PEM block ${i + 1} and the next are not a private key and its certificate` };
    }
  }
  return { authority };
}

/** When a certificate is valid, in epoch milliseconds. */
export function validity(certificate: X509Certificate): Validity {
  return { notBefore: certificate.validFromDate.getTime(), notAfter: certificate.validToDate.getTime() };
}

function certificateAuthority(pair: KeyPair): CertificateAuthority {
  return { ...pair, ...validity(new X509Certificate(pair.cert)) };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ECDSA_P256, true, ['sign', 'verify']);
}

function importSigningKey(pem: string): Promise<webcrypto.CryptoKey> {
  const pkcs8 = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', pkcs8, ECDSA_P256, false, ['sign']);
}

function toKeyPair(privateKey: webcrypto.CryptoKey, certificate: Certificate): KeyPair {
  const key = KeyObject.from(privateKey).export({ type: 'pkcs8', format: 'pem' });
  return { key, cert: `${certificate.toString('pem')}\n` };
}

function commonName(value: string): { CN: string[] }[] {
  return [{ CN: [value] }];
}

function toGeneralName(name: string): JsonGeneralName {
  if (!isIP(name)) return { type: 'dns', value: name };
  // The URL parser knows every spelling of an IPv6 address, as `::ffff:192.0.2.1`; @peculiar/x509 does not.
  return { type: 'ip', value: isIPv6(name) ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name };
}
