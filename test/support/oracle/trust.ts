import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type Authority, type Certified, makeAuthority } from './authorities.ts';
import type { KeyPair } from './session-tokens.ts';

export const tenancyId = 'ocid1.tenancy.oc1..aaaatenancy';
export const instanceId = 'ocid1.instance.oc1.eu-frankfurt-1.aaaainstance';
export const userId = 'ocid1.user.oc1..aaaauser';

/** Certificates and keys of the cloud and of those that it knows. */
export interface Trust {
  readonly root: Authority;
  /** That signs the certificates of instances. */
  readonly intermediate: Authority;
  readonly leaf: Certified;
  /** CA of a Kubernetes cluster. */
  readonly cluster: Authority;
  readonly proxymux: Certified;
  /** That session tokens are signed with. */
  readonly sessions: KeyPair;
  readonly user: KeyPair;
  readonly resource: KeyPair;
}

let made: Promise<Trust> | undefined;

/** Keys take long to make: all clouds of a process have the same. */
export const sharedTrust = (): Promise<Trust> => {
  made ??= makeTrust();
  return made;
};

async function makeTrust(): Promise<Trust> {
  const root = await makeAuthority('CN=Test Root');
  const intermediate = await root.issueAuthority('CN=Test Intermediate');
  const leaf = await intermediate.issue(
    `CN=${instanceId}, OU=opc-certtype:instance, OU=opc-instance:${instanceId}, OU=opc-tenant:${tenancyId}`,
  );
  const cluster = await makeAuthority('CN=Test Cluster');
  const proxymux = await cluster.issue('CN=proxymux', ['127.0.0.1', 'localhost']);
  const [sessions, user, resource] = [makeKeys(), makeKeys(), makeKeys()] as const;
  return { root, intermediate, leaf, cluster, proxymux, sessions, user, resource };
}

const makeKeys = (): KeyPair => generateKeyPairSync('rsa', { modulusLength: 2048 });

export const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** Oracle's of an API key: MD5 of the public key's DER. */
export function fingerprintOf(key: KeyObject): string {
  const der = key.export({ type: 'spki', format: 'der' });
  const digest = createHash('md5').update(der).digest('hex');
  return digest.replace(/..(?!$)/g, '$&:');
}

/** The key that a user's requests are signed with, as their keyId has it. */
export const userKeyId = ({ user }: Trust): string => `${tenancyId}/${userId}/${fingerprintOf(user.publicKey)}`;
