import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { type KubernetesClient, openKubernetesClient } from '../../platform/kubernetes/client.ts';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { type ControlPlane, startControlPlane } from '../cluster/support/control-plane.ts';

/** A rule of RBAC, as in a Role. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export const productNamespace = 'oci-connector';
const account = 'oci-connector-controller';
const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', group: 'rbac.authorization.k8s.io', name: account };

/**
 * A control plane for all tests of a suite: a client that may do everything, and one that may do what the rules say
 * and nothing else, as the controller in a cluster: `rules` everywhere, `ownRules` in the product's own namespace.
 */
export function useControlPlane(access: { rules?: readonly Rule[]; ownRules?: readonly Rule[] }) {
  let plane: ControlPlane;
  let admin: KubernetesClient;
  let client: KubernetesClient;

  beforeAll(async () => {
    plane = await startControlPlane({ controllers: true });
    admin = await openKubernetesClient({ kubeconfig: plane.kubeconfig });
    await admin.create(resources.namespaces, { metadata: { name: productNamespace } });
    await grant(admin, access.rules ?? [], access.ownRules ?? []);
    client = await openKubernetesClient({ kubeconfig: await writeAccountKubeconfig(plane, admin) });
  });

  afterAll(async () => {
    await client?.close();
    await admin?.close();
    await plane?.stop();
  });

  return {
    get plane() {
      return plane;
    },
    get admin() {
      return admin;
    },
    get client() {
      return client;
    },
  };
}

async function grant(admin: KubernetesClient, rules: readonly Rule[], ownRules: readonly Rule[]): Promise<void> {
  const subjects = [{ kind: 'ServiceAccount', name: account, namespace: productNamespace }];
  for (const { kind, plural, namespace, own } of [
    { kind: 'ClusterRole', plural: 'clusterroles', own: rules },
    { kind: 'Role', plural: 'roles', namespace: productNamespace, own: ownRules },
  ]) {
    const metadata = { name: account, ...(namespace === undefined ? {} : { namespace }) };
    await admin.create({ ...rbac, kind, plural }, { metadata, rules: own });
    const roleRef = { apiGroup: rbac.group, kind, name: account };
    const binding = { ...rbac, kind: `${kind}Binding`, plural: plural.replace(/s$/, 'bindings') };
    await admin.create(binding, { metadata, roleRef, subjects });
  }
}

async function writeAccountKubeconfig(plane: ControlPlane, admin: KubernetesClient): Promise<string> {
  await admin.create(resources.serviceAccounts, { metadata: { name: account, namespace: productNamespace } });
  const { status } = await admin.post<{ status: { token: string } }>(
    `/api/v1/namespaces/${productNamespace}/serviceaccounts/${account}/token`,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 7200 } },
  );
  const config = JSON.parse(await readFile(plane.kubeconfig, 'utf8'));
  config.users[0].user = { token: status.token };
  const path = join(dirname(plane.kubeconfig), 'account.kubeconfig');
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

/** The object as it is once `isSo`: watched for, with the time limit of the test. */
export async function eventually<T extends KubernetesObject>(
  read: () => Promise<T | undefined>,
  isSo: (object: T | undefined) => boolean,
): Promise<T | undefined> {
  for (;;) {
    const object = await read();
    if (isSo(object)) return object;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
