import { writeFile } from 'node:fs/promises';
import type { PemPair } from './cluster-authority.ts';

export interface KubeconfigOptions {
  /** `https://host:port` of the API server. */
  readonly url: string;
  /** PEM of the authority that its certificate is from. */
  readonly authorityPem: string;
  readonly client: PemPair;
}

/** Writes a kubeconfig that stands alone: its certificates and key are within. */
export async function writeKubeconfig(path: string, options: KubeconfigOptions): Promise<void> {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [
      {
        name: 'test',
        cluster: { server: options.url, 'certificate-authority-data': base64(options.authorityPem) },
      },
    ],
    users: [
      {
        name: 'test',
        user: {
          'client-certificate-data': base64(options.client.certificatePem),
          'client-key-data': base64(options.client.keyPem),
        },
      },
    ],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  };
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
}
