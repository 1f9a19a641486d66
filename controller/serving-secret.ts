import type { CertificateStore } from '../certs/certificate-store.ts';
import { type KubernetesClient, KubernetesError } from '../platform/kubernetes/client.ts';
import { type KubernetesObject, type ObjectKey, resources } from '../platform/kubernetes/object.ts';
import { fieldManager, managedLabels } from './ownership.ts';

interface Secret extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

/**
 * The serving certificate in one Secret for all replicas: `ca.pem` (the authority with its keys), `ca.crt` (for
 * clients), `tls.crt` and `tls.key`. It is read from the API server each time and written with its resourceVersion, so
 * that of two who write at once one is told to read again. Nothing of it touches a disk.
 */
export function servingSecret(client: KubernetesClient, key: Required<ObjectKey>): CertificateStore {
  const place = `Secret ${key.namespace}/${key.name}`;
  const read = () => client.get<Secret>(resources.secrets, key);

  return {
    location: `tls.crt in ${place}`,
    authority: {
      location: `ca.pem in ${place}`,
      read: async () => textOf(await read(), 'ca.pem'),
      write: (text, previous) => write({ 'ca.pem': text }, (secret) => textOf(secret, 'ca.pem') === previous),
    },
    async open() {},
    writeBundle: (bundle) => write({ 'ca.crt': bundle }, (secret) => textOf(secret, 'ca.crt') !== bundle),
    async readPair() {
      return pairOf(await read());
    },
    writePair: ({ cert, key: privateKey }, previous) =>
      write({ 'tls.crt': cert, 'tls.key': privateKey }, (secret) => {
        const pair = pairOf(secret);
        return pair?.cert === previous?.cert && pair?.key === previous?.key;
      }),
  };

  /** Changes these fields if `isDue` for what is there now. */
  async function write(fields: Record<string, string>, isDue: (secret: Secret) => boolean): Promise<void> {
    for (let attempt = 0; attempt < 10; attempt += 1) {
      const secret = (await read()) ?? (await createEmpty());
      if (!isDue(secret)) return;
      const data = Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, encode(text)]));
      try {
        await client.replace(resources.secrets, { ...secret, data: { ...secret.data, ...data } }, { fieldManager });
        return;
      } catch (error) {
        // Changed or deleted since it was read: perhaps another replica did what was due.
        if (!(error instanceof KubernetesError && [404, 409].includes(error.status))) throw error;
      }
    }
    throw new Error(`${place} changes faster than it can be written`);
  }

  /** Applied and not created, because RBAC can limit that to this name; it has no data, so two who do it do no harm. */
  function createEmpty(): Promise<Secret> {
    const metadata = { ...key, labels: managedLabels };
    const empty: Secret = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque' };
    return client.patch(resources.secrets, key, empty, { type: 'apply', fieldManager });
  }
}

function pairOf(secret: Secret | undefined) {
  const [key, cert] = [textOf(secret, 'tls.key'), textOf(secret, 'tls.crt')];
  return key === undefined || cert === undefined ? undefined : { key, cert };
}

/** An empty key is none: so a chart may bring the Secret with its keys laid out. */
function textOf(secret: Secret | undefined, name: string): string | undefined {
  const value = secret?.data?.[name];
  return value === undefined || value === '' ? undefined : Buffer.from(value, 'base64').toString();
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}
