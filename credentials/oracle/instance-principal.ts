import { X509Certificate } from 'node:crypto';
import { OracleError } from './errors.ts';
import { type InstanceIdentity, readIdentity, readRegion } from './metadata.ts';
import { type Principal, readRsaKey } from './session.ts';
import { type Surroundings, urlSetting } from './surroundings.ts';
import { type CertificateChain, federate } from './x509-federation.ts';

/** The instance that this process runs on: its certificate, which the metadata service gives, is federated. */
export const instancePrincipal = (surroundings: Surroundings): Principal => ({
  kind: 'instance',
  absence: async (signal) => {
    try {
      await readRegion(surroundings, signal);
      return undefined;
    } catch (error) {
      // A service that is there and does not serve us now is no reason to be somebody else.
      const isThere = error instanceof OracleError && error.isRetryable && error.isAnswered;
      if (error instanceof OracleError && !isThere) return error.message;
      throw error;
    }
  },
  openSession: async (signal) => {
    // Each session has its own certificates: they are replaced several times a day.
    const [region, identity] = await Promise.all([
      readRegion(surroundings, signal),
      readIdentity(surroundings, signal),
    ]);
    const { regionId, realmDomain } = region;
    const { federationUrl = `https://auth.${regionId}.${realmDomain}` } = surroundings.settings;
    return federate(surroundings, urlSetting('federationUrl', federationUrl), readChain(identity), signal);
  },
});

function readChain(identity: InstanceIdentity): CertificateChain {
  const privateKey = readRsaKey(identity.privateKey);
  if (privateKey === undefined) throw new OracleError('metadata', 'Protocol', 'identity/key.pem is no RSA key');
  const leaf = parseCertificates(identity.certificate, 'identity/cert.pem')[0] as X509Certificate;
  const tenancyId = tenancyOf(leaf);
  if (tenancyId === undefined) {
    throw new OracleError('metadata', 'Protocol', 'identity/cert.pem names no tenancy');
  }
  return {
    leaf,
    privateKey,
    intermediates: parseCertificates(identity.intermediates, 'identity/intermediate.pem'),
    tenancyId,
  };
}

function parseCertificates(pem: string, path: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length > 0) return blocks.map((block) => new X509Certificate(block));
  } catch {
    // Said below.
  }
  throw new OracleError('metadata', 'Protocol', `${path} is no certificate`);
}

/** `OU=opc-tenant:ocid1.tenancy.oc1..…`; services that run for others have `opc-identity`. */
const tenancyOf = ({ subject }: X509Certificate): string | undefined =>
  /opc-tenant:(\S+)/.exec(subject)?.[1] ?? /opc-identity:(\S+)/.exec(subject)?.[1];
