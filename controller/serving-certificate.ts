import type { Lifetimes } from '../certs/rotation.ts';
import { openServingCertificate, type ServingCertificate } from '../certs/serving-certificate.ts';
import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import { servingSecret } from './certificate-secret.ts';

/** How long a replica may go on with a certificate that another has replaced: both are trusted for a day. */
const checkEveryMs = 60_000;

export interface SharedCertificateOptions {
  readonly client: KubernetesClient;
  /** The product's own namespace. */
  readonly namespace: string;
  /** `oci-connector-serving` when absent. */
  readonly secretName?: string;
  /** What clients call: see `servingNames`. */
  readonly names: readonly string[];
  readonly lifetimes?: Partial<Lifetimes>;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  readonly onError: (error: unknown) => void;
}

/**
 * The serving certificate that all replicas share. Every replica opens it: whoever is the first to notice makes it or
 * rotates it, and the others take that over within a minute. Rejects where the Secret cannot be read or written.
 */
export function openSharedCertificate(options: SharedCertificateOptions): Promise<ServingCertificate> {
  const { client, namespace, secretName = 'oci-connector-serving', ...rest } = options;
  return openServingCertificate({
    ...rest,
    checkEveryMs,
    store: servingSecret(client, { namespace, name: secretName }),
  });
}

/** The names under which the API server and agents reach Services of the product, and `extra` ones, each once. */
export function servingNames(options: {
  readonly namespace: string;
  readonly clusterDomain: string;
  readonly services: readonly string[];
  readonly extra: readonly string[];
}): string[] {
  const { namespace, clusterDomain, services, extra } = options;
  const names = services.flatMap((service) => [
    `${service}.${namespace}.svc`,
    `${service}.${namespace}.svc.${clusterDomain}`,
  ]);
  return [...new Set([...names, ...extra])];
}
