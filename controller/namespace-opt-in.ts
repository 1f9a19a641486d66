import { pullSecretName } from '../connectors/pull-identity.ts';
import type { DeleteOptions, KubernetesClient } from '../platform/kubernetes/client.ts';
import type { KubernetesObject, ObjectKey, Resource } from '../platform/kubernetes/object.ts';
import { resources } from '../platform/kubernetes/object.ts';
import { requestToken } from '../platform/kubernetes/token-request.ts';
import { type FixedObject, pullerAccount, pullerName, pullerRoleBinding } from './namespace-objects.ts';
import { fieldManager, isOurs } from './ownership.ts';
import {
  emptyPullSecret,
  type PullSecret,
  pullSecretType,
  type RawSecret,
  renewalReason,
  toPullSecret,
  withToken,
} from './pull-secret.ts';

export interface OptInSettings {
  /** What images are rewritten to, as `localhost:7450`. */
  readonly imageHost: string;
  /** `kubelet`: it hands over the pod's own token, and a namespace needs neither Secret nor account. */
  readonly pullIdentity: 'secret' | 'kubelet';
  /** Of the tokens in pull secrets: what the proxy asks for. */
  readonly audience: string;
  /** Of the tokens in pull secrets. The API server may give another. */
  readonly tokenSeconds: number;
  /** What an account of the namespace may do with its connectors, as `connector-puller`. */
  readonly clusterRole: string;
}

/** What was seen last of our objects: from memory, so it may be old. */
export interface Seen {
  account(key: ObjectKey): KubernetesObject | undefined;
  roleBinding(key: ObjectKey): KubernetesObject | undefined;
  pullSecret(key: ObjectKey): PullSecret | undefined;
}

export interface OptInDependencies {
  readonly client: KubernetesClient;
  readonly settings: OptInSettings;
  readonly seen: Seen;
  readonly now: () => number;
  /** Ends requests under way. */
  readonly signal: AbortSignal;
  /** Told of an object that has our name and is not ours: it stands in the way and is left alone. */
  readonly onForeign: (resource: Resource, object: KubernetesObject) => Promise<void>;
  /** Told of each token that was written, and why. */
  readonly onRenewal: (namespace: string, reason: string) => void;
}

/**
 * Makes and repairs what a namespace needs that has opted in. Where memory says that all is well nothing is asked of
 * the API server; where it does not, the object is read again before it is written.
 */
export async function optIn(deps: OptInDependencies, namespace: string): Promise<void> {
  const { settings, seen } = deps;
  const key = { namespace, name: pullerName };
  await keepFixed(deps, pullerRoleBinding(settings.clusterRole), key, seen.roleBinding(key));
  if (settings.pullIdentity === 'kubelet') return removeIdentity(deps, namespace);
  const account = await keepFixed(deps, pullerAccount, key, seen.account(key));
  if (account !== undefined) await keepPullSecret(deps, namespace, account);
}

/** Removes what is ours, the Secret first: it is worth nothing without the others. */
export async function optOut(deps: OptInDependencies, namespace: string): Promise<void> {
  const key = { namespace, name: pullerName };
  await removeIdentity(deps, namespace);
  await remove(deps, resources.roleBindings, deps.seen.roleBinding(key));
}

async function removeIdentity(deps: OptInDependencies, namespace: string): Promise<void> {
  await remove(deps, resources.secrets, deps.seen.pullSecret({ namespace, name: pullSecretName }));
  await remove(deps, resources.serviceAccounts, deps.seen.account({ namespace, name: pullerName }));
}

/** Nothing is removed that has changed since it was seen: it may be somebody else's by now. */
async function remove(
  deps: OptInDependencies,
  resource: Resource,
  object: KubernetesObject | undefined,
): Promise<void> {
  if (object === undefined || !isOurs(object)) return;
  const { uid, resourceVersion, namespace, name } = object.metadata;
  const seen = { uid, resourceVersion, signal: deps.signal } as DeleteOptions;
  await deps.client.delete(resource, { namespace, name } as ObjectKey, seen);
}

/** The object as it is now, or undefined where a foreign one stands in its place. */
async function keepFixed(
  deps: OptInDependencies,
  fixed: FixedObject,
  key: Required<ObjectKey>,
  seen: KubernetesObject | undefined,
): Promise<KubernetesObject | undefined> {
  const isGood = (object: KubernetesObject) => isOurs(object) && !fixed.isBeyondRepair(object) && fixed.isTrue(object);
  if (seen !== undefined && isGood(seen)) return seen;
  const { client, signal } = deps;
  const current = await client.get(fixed.resource, key, { signal });
  if (current !== undefined) {
    if (!isOurs(current)) return foreign(deps, fixed.resource, current);
    if (isGood(current)) return current;
    if (fixed.isBeyondRepair(current)) await remove(deps, fixed.resource, current);
  }
  return client.patch(fixed.resource, key, fixed.desired(key.namespace), {
    type: 'apply',
    fieldManager,
    signal,
    // Only of what we have seen to be ours; a foreign one that came meanwhile and says otherwise is a Conflict.
    force: current !== undefined,
  });
}

async function keepPullSecret(deps: OptInDependencies, namespace: string, account: KubernetesObject): Promise<void> {
  const { client, settings, seen, now, signal } = deps;
  const key = { namespace, name: pullSecretName };
  const { imageHost, audience } = settings;
  const dueFor = (secret: PullSecret) =>
    renewalReason(secret, { imageHost, audience, accountUid: account.metadata.uid ?? '', now: now() });

  const known = seen.pullSecret(key);
  if (known !== undefined && isPullSecret(known) && dueFor(known) === undefined) return;
  const secret = (await client.get<RawSecret>(resources.secrets, key, { signal })) ?? (await createEmpty(deps, key));
  const current = toPullSecret(secret);
  if (!isPullSecret(current)) return foreign(deps, resources.secrets, current).then(() => {});
  const reason = dueFor(current);
  if (reason === undefined) return;

  const token = await requestToken(
    client,
    { namespace, name: pullerName },
    {
      signal,
      audiences: [audience],
      expirationSeconds: settings.tokenSeconds,
      boundObject: { apiVersion: 'v1', kind: 'Secret', name: pullSecretName, uid: secret.metadata.uid ?? '' },
    },
  );
  await client.replace(resources.secrets, withToken(secret, imageHost, token), { fieldManager, signal });
  deps.onRenewal(namespace, reason);
}

/**
 * Applied and not created, because RBAC can limit that to this name. A Secret that somebody else was faster to make
 * has other content in its one obligatory key: that is a Conflict, and nothing of it is changed.
 */
function createEmpty({ client, signal }: OptInDependencies, key: Required<ObjectKey>): Promise<RawSecret> {
  return client.patch(resources.secrets, key, emptyPullSecret(key.namespace), { type: 'apply', fieldManager, signal });
}

function isPullSecret(secret: PullSecret): boolean {
  return isOurs(secret) && secret.type === pullSecretType;
}

async function foreign(deps: OptInDependencies, resource: Resource, object: KubernetesObject): Promise<undefined> {
  await deps.onForeign(resource, object);
  return undefined;
}
