import { expect, it } from 'vitest';
import { servingSecret } from '../../controller/certificate-secret.ts';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { describeCertificateStore } from '../certs/certificate-store-contract.ts';
import { requireParts } from '../real/support/parts.ts';
import { productNamespace, useControlPlane } from './control-plane.ts';
import { servingRules } from './rules.ts';

const key = { namespace: productNamespace, name: 'oci-connector-serving' };

requireParts(
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
)('a Secret for a certificate', () => {
  const cluster = useControlPlane({ ownRules: servingRules });
  const open = async () => {
    await cluster.admin.delete(resources.secrets, key);
    return { store: servingSecret(cluster.client, key), again: () => servingSecret(cluster.client, key) };
  };

  describeCertificateStore(open);

  it('loses nothing when all that is in it is written at once', async () => {
    const { store, again } = await open();
    const pair = { key: 'key\n', cert: 'certificate\n' };
    await Promise.all([
      store.authority.write('authority', undefined),
      again().writeBundle('bundle'),
      again().writePair(pair, undefined),
    ]);
    const secret = await cluster.admin.get<KubernetesObject & { data: object }>(resources.secrets, key);
    expect(secret?.data).toEqual({
      'ca.pem': btoa('authority'),
      'ca.crt': btoa('bundle'),
      'tls.crt': btoa(pair.cert),
      'tls.key': btoa(pair.key),
    });
  });

  it('keeps the pair that another replica was faster to write', async () => {
    const { store, again } = await open();
    const [first, second] = [1, 2].map((n) => ({ key: `key ${n}`, cert: `certificate ${n}` }));
    if (first === undefined || second === undefined) return;
    await again().writePair(first, undefined);
    await store.writePair(second, undefined);
    expect(await store.readPair()).toEqual(first);
  });

  it('is reached under its own name only', async () => {
    const other = servingSecret(cluster.client, { ...key, name: 'other' });
    await expect(other.authority.read()).rejects.toMatchObject({ status: 403 });
    await expect(cluster.client.list(resources.secrets, key)).rejects.toMatchObject({ status: 403 });
  });
});
