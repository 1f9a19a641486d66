import { pullSecretName } from '../connectors/pull-identity.ts';
import type { KubernetesClient } from '../platform/kubernetes/client.ts';
import { type Informer, startInformer } from '../platform/kubernetes/informer.ts';
import { type KubernetesObject, type Resource, resources } from '../platform/kubernetes/object.ts';
import type { Logger } from '../platform/logger.ts';
import { pullerName } from './namespace-objects.ts';
import type { Seen } from './namespace-opt-in.ts';
import { type PullSecret, toPullSecret } from './pull-secret.ts';

export interface OurObjects {
  readonly accounts: Informer<KubernetesObject>;
  readonly roleBindings: Informer<KubernetesObject>;
  readonly pullSecrets: Informer<PullSecret>;
  readonly seen: Seen;
}

/** Watches what has one of our names, ours or not, in all namespaces, until `parts` end. */
export function watchOurObjects(
  { client, log }: { readonly client: KubernetesClient; readonly log: Logger },
  parts: AsyncDisposableStack,
): OurObjects {
  const watch = <T extends KubernetesObject>(
    resource: Resource,
    name: string,
    transform: (object: T) => T = (object) => object,
  ) => {
    const onError = (err: unknown) => log.warn({ err, kind: resource.kind }, 'a watch broke and is started again');
    // With this selector RBAC can limit the watch to the one name.
    const selector = { fieldSelector: `metadata.name=${name}` };
    return parts.use(startInformer<T>({ client, resource, ...selector, transform, onError }));
  };
  const accounts = watch(resources.serviceAccounts, pullerName);
  const roleBindings = watch(resources.roleBindings, pullerName);
  // Nothing of a Secret's data stays in memory.
  const pullSecrets = watch<PullSecret>(resources.secrets, pullSecretName, toPullSecret);
  const seen: Seen = {
    account: (key) => accounts.get(key),
    roleBinding: (key) => roleBindings.get(key),
    pullSecret: (key) => pullSecrets.get(key),
  };
  return { accounts, roleBindings, pullSecrets, seen };
}
