import { generateKeyPair } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ComponentIdentity, makeClusterAuthority, type PemPair } from './cluster-authority.ts';
import { writeKubeconfig } from './kubeconfig.ts';

/** Who asks the API server what, and with which rights. */
const clients = {
  admin: { commonName: 'admin', organization: 'system:masters' },
  'kube-controller-manager': { commonName: 'system:kube-controller-manager' },
  'kube-scheduler': { commonName: 'system:kube-scheduler' },
  'kube-proxy': { commonName: 'system:kube-proxy' },
  coredns: { commonName: 'coredns', organization: 'system:masters' },
} as const satisfies Record<string, ComponentIdentity>;

export interface ControlPlaneFilesOptions {
  readonly folder: string;
  /** `https://host:port` by which components reach the API server. */
  readonly url: string;
  /** DNS names and addresses of the API server's certificate, beside those of the Service `kubernetes`. */
  readonly serverNames: readonly string[];
  /** First address of the Services' range: that of the Service `kubernetes`. */
  readonly serviceAddress: string;
  /** The node whose kubelet gets a kubeconfig and a serving certificate, where there is one. */
  readonly node?: { readonly name: string; readonly names: readonly string[] };
}

/** Paths of what a control plane is started with. */
export interface ControlPlaneFiles {
  readonly authority: string;
  readonly authorityKey: string;
  readonly serviceAccountKey: string;
  readonly serviceAccountPublicKey: string;
  /** Certificate and key by name: `<folder>/pki/<name>.crt` and `.key`. */
  pair(name: string): { readonly certificate: string; readonly key: string };
  kubeconfig(name: keyof typeof clients | 'kubelet'): string;
  /** What `admin` shows to the API server. */
  readonly admin: PemPair & { readonly authorityPem: string };
}

/** Makes the authority, all certificates, keys and kubeconfigs of a cluster below `folder`. */
export async function writeControlPlaneFiles(options: ControlPlaneFilesOptions): Promise<ControlPlaneFiles> {
  const { folder, url, node } = options;
  const pki = join(folder, 'pki');
  await mkdir(pki, { recursive: true });
  const authority = await makeClusterAuthority();
  const authorityPem = authority.certificatePem;
  const pair = (name: string) => ({ certificate: join(pki, `${name}.crt`), key: join(pki, `${name}.key`) });
  const kubeconfig = (name: string) => join(folder, `${name}.kubeconfig`);
  const writePair = async (name: string, { certificatePem, keyPem }: PemPair) => {
    await writeFile(pair(name).certificate, certificatePem);
    await writeFile(pair(name).key, keyPem, { mode: 0o600 });
  };
  const writeClient = async (name: string, identity: ComponentIdentity) => {
    const client = await authority.issueClient(identity);
    await writeKubeconfig(kubeconfig(name), { url, authorityPem, client });
    return client;
  };

  await writePair('ca', authority);
  const serviceNames = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const serverNames = [
    ...options.serverNames,
    ...serviceNames,
    `${serviceNames[2]}.cluster.local`,
    options.serviceAddress,
  ];
  await writePair('apiserver', await authority.issueServer({ commonName: 'kube-apiserver' }, serverNames));
  const kubeletClient = { commonName: 'kube-apiserver-kubelet-client', organization: 'system:masters' };
  await writePair('apiserver-kubelet-client', await authority.issueClient(kubeletClient));
  await writePair('service-account', await makeServiceAccountKeys());
  const admin = await writeClient('admin', clients.admin);
  for (const [name, identity] of Object.entries(clients)) if (name !== 'admin') await writeClient(name, identity);
  if (node !== undefined) {
    const identity = { commonName: `system:node:${node.name}`, organization: 'system:nodes' };
    await writeClient('kubelet', identity);
    await writePair('kubelet-serving', await authority.issueServer(identity, node.names));
  }
  return {
    authority: pair('ca').certificate,
    authorityKey: pair('ca').key,
    serviceAccountKey: pair('service-account').key,
    serviceAccountPublicKey: pair('service-account').certificate,
    pair,
    kubeconfig,
    admin: { ...admin, authorityPem },
  };
}

/** RSA, as kubeadm makes it; the public key stands where a pair has its certificate. */
async function makeServiceAccountKeys(): Promise<PemPair> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  return {
    certificatePem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
