import type { TextStore } from '../certs/text-store.ts';
import { type KubernetesClient, KubernetesError } from '../platform/kubernetes/client.ts';
import { type KubernetesObject, type ObjectKey, resources } from '../platform/kubernetes/object.ts';
import { fieldManager, managedLabels } from './ownership.ts';

interface Secret extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** The texts of a Secret by their keys; an empty one is none, so that a chart may bring the Secret with its keys laid out. */
export type SecretTexts = Readonly<Record<string, string | undefined>>;

/** A Secret of the product that its replicas share. Nothing of it touches a disk. */
export interface SharedSecret {
  /** What error messages call it: `Secret namespace/name`. */
  readonly location: string;
  /** Read from the API server each time; empty where there is none. */
  read(): Promise<SecretTexts>;
  /**
   * Changes these texts if `isDue` for what is there now. It is written with its resourceVersion, so that of two who
   * write at once one is told to read again.
   */
  write(texts: Readonly<Record<string, string>>, isDue: (present: SecretTexts) => boolean): Promise<void>;
}

export function sharedSecret(client: KubernetesClient, key: Required<ObjectKey>): SharedSecret {
  const location = `Secret ${key.namespace}/${key.name}`;
  const readSecret = () => client.get<Secret>(resources.secrets, key);

  /** Applied and not created, because RBAC can limit that to this name; it has no data, so two who do it do no harm. */
  function createEmpty(): Promise<Secret> {
    const metadata = { ...key, labels: managedLabels };
    const empty: Secret = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque' };
    return client.patch(resources.secrets, key, empty, { type: 'apply', fieldManager });
  }

  return {
    location,
    read: async () => textsOf(await readSecret()),
    async write(texts, isDue) {
      for (let attempt = 0; attempt < 10; attempt += 1) {
        const secret = (await readSecret()) ?? (await createEmpty());
        if (!isDue(textsOf(secret))) return;
        const data = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, encode(text)]));
        try {
          await client.replace(resources.secrets, { ...secret, data: { ...secret.data, ...data } }, { fieldManager });
          return;
        } catch (error) {
          // Changed or deleted since it was read: perhaps another replica did what was due.
          if (!(error instanceof KubernetesError && [404, 409].includes(error.status))) throw error;
        }
      }
      throw new Error(`${location} changes faster than it can be written`);
    },
  };
}

/** One text of a Secret. */
export function textInSecret(secret: SharedSecret, name: string): TextStore {
  return {
    location: `${name} in ${secret.location}`,
    read: async () => (await secret.read())[name],
    write: (text, previous) => secret.write({ [name]: text }, (present) => present[name] === previous),
  };
}

function textsOf(secret: Secret | undefined): SecretTexts {
  const filled = Object.entries(secret?.data ?? {}).filter(([, value]) => value !== '');
  return Object.fromEntries(filled.map(([name, value]) => [name, Buffer.from(value, 'base64').toString()]));
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}
