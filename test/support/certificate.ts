import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** PEM key and certificate, as `startRegistry({ tls })` takes them; trust the certificate with `ca: cert`. */
export interface SelfSigned {
  readonly key: string;
  readonly cert: string;
}

const oids = { commonName: '550403', subjectAltName: '551d11', ecdsaWithSha256: '2a8648ce3d040302' };

/** A self-signed certificate for these DNS names and IPv4 addresses, valid from 2000 to 2049. */
export function makeSelfSigned(names: readonly string[] = ['localhost', '127.0.0.1']): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(oid(oids.ecdsaWithSha256));
  const body = certificateBody(names, publicKey, algorithm);
  const signature = sign('sha256', body, privateKey);
  const der = sequence(body, algorithm, tagged(0x03, Buffer.of(0), signature));
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
  };
}

/** TBSCertificate (RFC 5280, section 4.1). */
function certificateBody(names: readonly string[], publicKey: KeyObject, algorithm: Buffer): Buffer {
  const version3 = tagged(0xa0, tagged(0x02, Buffer.of(2)));
  const serial = tagged(0x02, Buffer.of(1));
  const commonName = sequence(oid(oids.commonName), tagged(0x0c, Buffer.from('test certificate')));
  const name = sequence(tagged(0x31, commonName));
  const validity = sequence(...['000101000000Z', '491231235959Z'].map((time) => tagged(0x17, Buffer.from(time))));
  const alternatives = sequence(
    ...names.map((entry) =>
      isIPv4(entry) ? tagged(0x87, Buffer.from(entry.split('.').map(Number))) : tagged(0x82, Buffer.from(entry)),
    ),
  );
  const extensions = sequence(sequence(oid(oids.subjectAltName), tagged(0x04, alternatives)));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return sequence(version3, serial, algorithm, name, validity, name, spki, tagged(0xa3, extensions));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'));
}

/** Tag, length and value (X.690); values stay below 64 KiB. */
function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const { length } = Buffer.concat(parts);
  const short = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...short), ...parts]);
}
