import { type OpenSealingKeys, openSealingKeys } from '../certs/sealing-keys.ts';
import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import { sharedSecret, textInSecret } from './shared-secret.ts';

export interface SharedSealingKeysOptions {
  readonly client: KubernetesClient;
  /** The product's own namespace. */
  readonly namespace: string;
  /** `oci-connector-sealing` when absent. */
  readonly secretName?: string;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** A minute when absent. */
  readonly checkEveryMs?: number;
  readonly onError: (error: unknown) => void;
}

/**
 * The keys that all replicas seal addresses of uploads with, `keys.json` in one Secret. Rejects where that cannot be read
 * or written.
 */
export function openSharedSealingKeys(options: SharedSealingKeysOptions): Promise<OpenSealingKeys> {
  const { client, namespace, secretName = 'oci-connector-sealing', ...rest } = options;
  const secret = sharedSecret(client, { namespace, name: secretName });
  return openSealingKeys({ ...rest, store: textInSecret(secret, 'keys.json') });
}
