import { injectLabel } from '../../connectors/labels.ts';
import { connectorApiVersion, secretTypes } from '../../connectors/schema.ts';
import type { KubernetesClient } from '../../platform/kubernetes/client.ts';
import { type ObjectKey, resources } from '../../platform/kubernetes/object.ts';
import { type Credential, connectorKey, namespaceName, type Size } from './content.ts';
import type { Progress } from './progress.ts';

export interface ChangeOptions {
  readonly client: KubernetesClient;
  readonly progress: Progress;
  readonly size: Size;
  readonly origins: readonly string[];
  readonly credential: Credential;
}

/** Milliseconds from the API server's answer to a change until what follows from it was seen, for each change. */
export interface ChangeLatencies {
  /** A Secret's password is made wrong, and right again: until Ready says so. */
  readonly secretEdited: readonly number[];
  /** A Secret and a Connector are created: until Ready is True. */
  readonly connectorCreated: readonly number[];
  /** A namespace is labelled: until its pull secret holds a token. */
  readonly namespaceLabelled: readonly number[];
}

const rounds = 10;
const timeoutMs = 60_000;

/** Makes one change after another in a cluster that is otherwise at rest. */
export async function measureChanges(options: ChangeOptions): Promise<ChangeLatencies> {
  const latencies = {
    secretEdited: [] as number[],
    connectorCreated: [] as number[],
    namespaceLabelled: [] as number[],
  };
  for (let at = 0; at < rounds; at += 1) {
    latencies.secretEdited.push(...(await editSecret(options, at)));
    latencies.connectorCreated.push(await createConnector(options, at));
    const label = await labelNamespace(options, at);
    if (label !== undefined) latencies.namespaceLabelled.push(label);
  }
  return latencies;
}

async function editSecret({ client, progress, size, credential }: ChangeOptions, at: number): Promise<number[]> {
  const key = connectorKey(at * Math.floor(size.connectors / rounds), size);
  const latencies: number[] = [];
  for (const [password, ready] of [
    ['wrong', 'False CredentialRefused'],
    [credential.password, 'True Ready'],
  ] as const) {
    const patch = { data: { password: Buffer.from(password).toString('base64') } };
    await client.patch(resources.secrets, key, patch);
    latencies.push(await latencyOf(progress, `${key.name} is ${ready}`, () => progress.readyOf(key) === ready));
  }
  return latencies;
}

async function createConnector(options: ChangeOptions, at: number): Promise<number> {
  const { client, progress, origins, credential } = options;
  const key = { namespace: namespaceName(at), name: `new-${at}` } satisfies ObjectKey;
  await client.create(resources.secrets, {
    metadata: key,
    type: secretTypes.registryToken,
    stringData: { ...credential },
  });
  await client.create(resources.connectors, {
    apiVersion: connectorApiVersion,
    kind: 'Connector',
    metadata: key,
    spec: {
      connectorClassName: 'oci',
      address: `${origins[0]}/new-${at}`,
      auth: { name: 'tokenAuth', secretRef: { name: key.name } },
    },
  });
  return latencyOf(progress, `${key.name} is ready`, () => progress.readyOf(key) === 'True Ready');
}

/** Of the namespaces that did not opt in; undefined where there are no more of them. */
async function labelNamespace({ client, progress, size }: ChangeOptions, at: number): Promise<number | undefined> {
  if (size.optedIn + at >= size.namespaces) return undefined;
  const name = namespaceName(size.optedIn + at);
  await client.patch(resources.namespaces, { name }, { metadata: { labels: { [injectLabel]: 'true' } } });
  return latencyOf(progress, `${name} has a pull secret`, () => progress.hasPullSecret(name));
}

async function latencyOf(progress: Progress, what: string, isSo: () => boolean): Promise<number> {
  const startedAt = performance.now();
  return (await progress.until(what, isSo, timeoutMs)) - startedAt;
}
