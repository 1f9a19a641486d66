import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  bundle,
  CLOCK_SKEW_MS,
  createCertificateAuthority,
  issueServerCertificate,
  parseAuthority,
  serializeAuthority,
} from '../../certs/authority.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const HOUR_MS = 60 * 60_000;
const now = Math.floor(Date.now() / 1000) * 1000;
const createCa = (lifeMs = 24 * HOUR_MS) => createCertificateAuthority({ name: 'serving', now, lifeMs });

describe('a certificate authority', () => {
  it('is named after what it signs for, with an id of its own', async () => {
    const subjects = (await Promise.all([createCa(), createCa()])).map((ca) => new X509Certificate(ca.cert).subject);
    expect(subjects[0]).toMatch(/^CN=oci-connector serving [0-9a-f]{8}$/);
    expect(subjects[0]).not.toBe(subjects[1]);
  });

  it('is valid from five minutes ago until the end of its life', async () => {
    const ca = await createCa(HOUR_MS);
    expect(ca).toMatchObject({ notBefore: now - CLOCK_SKEW_MS, notAfter: now + HOUR_MS });
  });

  it('has a positive serial number of at most 128 random bits', async () => {
    const serials = await Promise.all(
      Array.from({ length: 8 }, async () => BigInt(`0x${new X509Certificate((await createCa()).cert).serialNumber}`)),
    );
    expect(new Set(serials).size).toBe(8);
    for (const serial of serials) expect(serial > 2n ** 64n && serial < 2n ** 128n).toBe(true);
  });
});

describe('a server certificate', () => {
  it.each([
    ['webhook.oci.svc', 'DNS:webhook.oci.svc'],
    ['*.oci.svc', 'DNS:*.oci.svc'],
    ['127.0.0.1', 'IP Address:127.0.0.1'],
    ['::1', 'IP Address:0:0:0:0:0:0:0:1'],
    ['2001:DB8:0:0::1', 'IP Address:2001:DB8:0:0:0:0:0:1'],
    ['::ffff:192.0.2.1', 'IP Address:0:0:0:0:0:FFFF:C000:201'],
  ])('names %s', async (name, expected) => {
    const { cert } = await issueServerCertificate(await createCa(), { names: [name], now, lifeMs: HOUR_MS });
    expect(new X509Certificate(cert).subjectAltName).toBe(expected);
  });

  it('never outlives its CA', async () => {
    const { cert } = await issueServerCertificate(await createCa(HOUR_MS), { names: ['a'], now, lifeMs: 2 * HOUR_MS });
    expect(new X509Certificate(cert).validToDate.getTime()).toBe(now + HOUR_MS);
  });

  it('is accepted by OpenSSL in strict mode, from the bundle alone', async ({ skip }) => {
    if (!hasOpenssl()) skip('openssl is not installed');
    const directory = await temporaryDirectory();
    const authority = [await createCa(), await createCa()] as const;
    const { cert } = await issueServerCertificate(authority[1], { names: ['a.b', '::1'], now, lifeMs: HOUR_MS });
    await writeFile(join(directory, 'ca.crt'), bundle(authority));
    await writeFile(join(directory, 'tls.crt'), cert);
    const verify = ['verify', '-x509_strict', '-check_ss_sig', '-purpose', 'sslserver', '-verify_hostname', 'a.b'];
    const output = execFileSync('openssl', [...verify, '-no-CApath', '-CAfile', 'ca.crt', 'tls.crt'], {
      cwd: directory,
    });
    expect(output.toString()).toBe('tls.crt: OK\n');
    const text = execFileSync('openssl', ['x509', '-in', 'tls.crt', '-noout', '-text'], { cwd: directory }).toString();
    for (const line of [
      'ASN1 OID: prime256v1',
      'ecdsa-with-SHA256',
      'TLS Web Server Authentication',
      'IP Address:0:0:0:0:0:0:0:1',
    ])
      expect(text).toContain(line);
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
  });
});

describe('the text of an authority', () => {
  it('holds keys and certificates, and reads back the same', async () => {
    const authority = [await createCa(), await createCa(HOUR_MS)];
    expect(parseAuthority(serializeAuthority(authority))).toEqual({ authority });
  });

  it.each([
    ['empty', () => '', 'it is not a sequence of PEM blocks'],
    ['not PEM', () => 'hello', 'it is not a sequence of PEM blocks'],
    ['cut off', (text: string) => text.slice(0, -40), 'it is not a sequence of PEM blocks'],
    [
      'without its last certificate',
      (text: string) => text.slice(0, text.lastIndexOf('-----BEGIN')),
      'PEM block 3 and',
    ],
    ['without its first key', (text: string) => text.slice(text.indexOf('-----BEGIN C')), 'PEM block 1 and'],
    [
      'with a damaged certificate',
      (text: string) => text.replace('CERTIFICATE-----\nMII', 'CERTIFICATE-----\nAAA'),
      'PEM block 1 and',
    ],
    ['with the keys exchanged', exchangeKeys, 'the key in PEM block 1 does not belong'],
  ])('is refused when it is %s', async (_, damage, reason) => {
    const text = serializeAuthority([await createCa(), await createCa()]);
    expect(parseAuthority(damage(text))).toEqual({ reason: expect.stringContaining(reason) });
  });
});

function exchangeKeys(text: string): string {
  const [key1 = '', cert1 = '', key2 = '', cert2 = ''] = text.split(/(?=-----BEGIN)/);
  return key2 + cert1 + key1 + cert2;
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version']);
    return true;
  } catch {
    return false;
  }
}
