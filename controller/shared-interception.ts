import { type Interception, openInterception } from '../certs/interception.ts';
import type { Lifetimes } from '../certs/rotation.ts';
import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import { authoritySecret } from './certificate-secret.ts';

export interface SharedInterceptionOptions {
  readonly client: KubernetesClient;
  /** The product's own namespace. */
  readonly namespace: string;
  /** `oci-connector-interception` when absent. */
  readonly secretName?: string;
  readonly lifetimes?: Partial<Lifetimes>;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  readonly onError: (error: unknown) => void;
}

/**
 * The authority that all replicas sign with for clients in pods. Each makes its own certificates, of the same CA. Rejects
 * where the Secret cannot be read or written.
 */
export function openSharedInterception(options: SharedInterceptionOptions): Promise<Interception> {
  const { client, namespace, secretName = 'oci-connector-interception', ...rest } = options;
  return openInterception({ ...rest, store: authoritySecret(client, { namespace, name: secretName }) });
}
