import { X509Certificate } from 'node:crypto';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { ServingCertificate } from '../../certs/serving-certificate.ts';
import {
  openSharedCertificate,
  type SharedCertificateOptions,
  servingNames,
} from '../../controller/serving-certificate.ts';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { requireParts } from '../real/support/parts.ts';
import { productNamespace, useControlPlane } from './control-plane.ts';
import { servingRules } from './rules.ts';

const DAY_MS = 24 * 60 * 60_000;
const start = Date.UTC(2026, 0, 1);
const key = { namespace: productNamespace, name: 'oci-connector-serving' };
const names = servingNames({
  namespace: productNamespace,
  clusterDomain: 'cluster.local',
  services: ['oci-connector-webhook', 'oci-connector-agents'],
  extra: ['127.0.0.1', 'webhook.example.com', '127.0.0.1'],
});

const serial = ({ current }: ServingCertificate) => new X509Certificate(current.cert).serialNumber;
const countCas = (bundle: string) => bundle.split('-----BEGIN CERTIFICATE-----').length - 1;

describe('the names of the serving certificate', () => {
  it('are those of each Service, with and without the domain, and the extra ones once', () => {
    expect(names).toEqual([
      'oci-connector-webhook.oci-connector.svc',
      'oci-connector-webhook.oci-connector.svc.cluster.local',
      'oci-connector-agents.oci-connector.svc',
      'oci-connector-agents.oci-connector.svc.cluster.local',
      '127.0.0.1',
      'webhook.example.com',
    ]);
  });
});

requireParts(
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
)('the serving certificate of all replicas', () => {
  const cluster = useControlPlane({ ownRules: servingRules });

  beforeEach(() => cluster.admin.delete(resources.secrets, key));

  const open = async (options: Partial<SharedCertificateOptions> = {}) => {
    const onError = (error: unknown) => expect.unreachable(String(error));
    const { client } = cluster;
    const shared = { client, namespace: productNamespace, names, now: () => start, onError, ...options };
    const certificate = await openSharedCertificate(shared);
    onTestFinished(() => certificate.close());
    return certificate;
  };
  const readSecret = async () => {
    const secret = await cluster.admin.get<KubernetesObject & { data: Record<string, string> }>(resources.secrets, key);
    const files = Object.entries(secret?.data ?? {}).map(([name, value]) => [name, atob(value)]);
    return { secret, files: Object.fromEntries(files) as Record<string, string> };
  };
  /** As an administrator would: whatever there was of these keys is replaced; null takes a key away. */
  const edit = (data: Record<string, string | null>) => cluster.admin.patch(resources.secrets, key, { data });

  it('is kept with its authority in one Secret of the product', async () => {
    const certificate = await open();
    const { secret, files } = await readSecret();
    expect(secret).toMatchObject({
      type: 'Opaque',
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'oci-connector' } },
    });
    expect(Object.keys(files).sort()).toEqual(['ca.crt', 'ca.pem', 'tls.crt', 'tls.key']);
    expect(certificate.current).toEqual({ cert: files['tls.crt'], key: files['tls.key'] });
    expect(certificate.caBundle).toBe(files['ca.crt']);
    const { subjectAltName = '' } = new X509Certificate(certificate.current.cert);
    expect(subjectAltName).toContain('DNS:oci-connector-agents.oci-connector.svc.cluster.local');
  });

  it('is one for replicas that start at once', async () => {
    const certificates = await Promise.all(Array.from({ length: 4 }, () => open()));
    await Promise.all(certificates.map((certificate) => certificate.check()));
    expect(new Set(certificates.map(({ caBundle }) => caBundle)).size).toBe(1);
    expect(new Set(certificates.map(serial)).size).toBe(1);
  });

  it('is one after replicas have noticed at once that it is due', async () => {
    const clock = { now: start };
    const certificates = await Promise.all(Array.from({ length: 4 }, () => open({ now: () => clock.now })));
    const before = serial(certificates[0] as ServingCertificate);
    clock.now += 60 * DAY_MS;
    await Promise.all(certificates.map((certificate) => certificate.check()));
    await Promise.all(certificates.map((certificate) => certificate.check()));
    const after = new Set(certificates.map(serial));
    expect(after.size).toBe(1);
    expect(after).not.toContain(before);
  });

  it('is put into a Secret that the chart has laid out empty, beside what else is in it', async () => {
    await cluster.admin.create(resources.secrets, { metadata: key, data: { 'ca.pem': '', other: btoa('x') } } as never);
    const certificate = await open();
    const { files } = await readSecret();
    expect(files).toMatchObject({ other: 'x', 'ca.crt': certificate.caBundle });
  });

  it('gives the Secret back to a cluster that has lost it, with the authority that everybody trusts', async () => {
    const certificate = await open();
    const { caBundle } = certificate;
    await cluster.admin.delete(resources.secrets, key);
    await certificate.check();
    expect(certificate.caBundle).toBe(caBundle);
    expect((await readSecret()).files['ca.crt']).toBe(caBundle);
    const leaf = new X509Certificate(certificate.current.cert);
    expect(leaf.verify(new X509Certificate(caBundle).publicKey)).toBe(true);
  });

  it('is issued again by the same authority when its pair was taken away', async () => {
    const certificate = await open();
    const [before, { caBundle }] = [serial(certificate), certificate];
    await edit({ 'tls.crt': null, 'tls.key': null, 'ca.crt': null });
    await certificate.check();
    expect(serial(certificate)).not.toBe(before);
    expect((await readSecret()).files).toMatchObject({ 'ca.crt': caBundle, 'tls.crt': certificate.current.cert });
  });

  it('goes on being served while the authority is damaged, and the error says what to do', async () => {
    const certificate = await open();
    const before = certificate.current;
    await edit({ 'ca.pem': btoa('damaged') });
    const message =
      /ca\.pem in Secret oci-connector\/oci-connector-serving holds no certificate authority .* restore it/;
    await expect(certificate.check()).rejects.toThrow(message);
    expect(certificate.current).toBe(before);
    await expect(open()).rejects.toThrow(message);
  });

  it('is rotated with its CA in such a way that what is served was trusted before, by every replica', async () => {
    const clock = { now: start };
    const lifetimes = { caLifeMs: 30 * DAY_MS, leafLifeMs: 3 * DAY_MS, overlapMs: DAY_MS };
    const replicas = [await open({ now: () => clock.now, lifetimes }), await open({ now: () => clock.now, lifetimes })];
    const timeline: string[] = [];
    let previousBundle = replicas[0]?.caBundle ?? '';
    for (let hour = 0; hour <= 26 * 24; hour += 4) {
      clock.now = start + hour * (DAY_MS / 24);
      // One is always later than the other.
      for (const replica of hour % 8 === 0 ? replicas : replicas.toReversed()) {
        await replica.check();
        const issuers = previousBundle.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/g) ?? [];
        const leaf = new X509Certificate(replica.current.cert);
        expect(issuers.some((pem) => leaf.verify(new X509Certificate(pem).publicKey))).toBe(true);
      }
      previousBundle = replicas[1]?.caBundle ?? '';
      const cas = countCas(previousBundle);
      if (!timeline.at(-1)?.endsWith(`: ${cas}`)) timeline.push(`day ${hour / 24}: ${cas}`);
    }
    expect(timeline).toEqual(['day 0: 1', 'day 20: 2', 'day 24: 1']);
    expect(replicas[0]?.caBundle).toBe(replicas[1]?.caBundle);
  });
});
