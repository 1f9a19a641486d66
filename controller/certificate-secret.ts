import type { AuthorityStore, CertificateStore } from '../certs/certificate-store.ts';
import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import type { ObjectKey } from '../platform/kubernetes/object.ts';
import { type SecretTexts, type SharedSecret, sharedSecret, textInSecret } from './shared-secret.ts';

/**
 * The serving certificate in one Secret for all replicas: `ca.pem` (the authority with its keys), `ca.crt` (for
 * clients), `tls.crt` and `tls.key`.
 */
export function servingSecret(client: KubernetesClient, key: Required<ObjectKey>): CertificateStore {
  const secret = sharedSecret(client, key);
  return {
    ...authorityIn(secret),
    location: `tls.crt in ${secret.location}`,
    readPair: async () => pairOf(await secret.read()),
    writePair: ({ cert, key: privateKey }, previous) =>
      secret.write({ 'tls.crt': cert, 'tls.key': privateKey }, (present) => {
        const pair = pairOf(present);
        return pair?.cert === previous?.cert && pair?.key === previous?.key;
      }),
  };
}

/** An authority in one Secret for all replicas: `ca.pem` (with its keys) and `ca.crt` (for clients). */
export function authoritySecret(client: KubernetesClient, key: Required<ObjectKey>): AuthorityStore {
  return authorityIn(sharedSecret(client, key));
}

function authorityIn(secret: SharedSecret): AuthorityStore {
  return {
    authority: textInSecret(secret, 'ca.pem'),
    async open() {},
    writeBundle: (bundle) => secret.write({ 'ca.crt': bundle }, (present) => present['ca.crt'] !== bundle),
  };
}

function pairOf({ 'tls.key': key, 'tls.crt': cert }: SecretTexts) {
  return key === undefined || cert === undefined ? undefined : { key, cert };
}
