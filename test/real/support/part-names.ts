/** How each real part is had: built from test/tools, or a Debian package, or installed by hand. */
export const partSources = {
  registry: 'node test/tools/build.ts registry',
  crane: 'node test/tools/build.ts crane',
  reference: 'node test/tools/build.ts reference',
  htpasswd: 'node test/tools/build.ts htpasswd',
  etcd: 'node test/tools/build.ts etcd',
  'kube-apiserver': 'node test/tools/build.ts kube-apiserver',
  'kube-controller-manager': 'node test/tools/build.ts kube-controller-manager',
  'kube-scheduler': 'node test/tools/build.ts kube-scheduler',
  'kube-proxy': 'node test/tools/build.ts kube-proxy',
  kubelet: 'node test/tools/build.ts kubelet',
  kubectl: 'node test/tools/build.ts kubectl',
  'containerd-2': 'node test/tools/build.ts containerd-2',
  'ctr-2': 'node test/tools/build.ts ctr-2',
  'containerd-shim-runc-v2': 'node test/tools/build.ts containerd-shim-runc-v2',
  helm: 'node test/tools/build.ts helm',
  coredns: 'node test/tools/build.ts coredns',
  buildkitd: 'node test/tools/build.ts buildkitd',
  buildctl: 'node test/tools/build.ts buildctl',
  template: 'node test/tools/build.ts template',
  'csi-sanity': 'node test/tools/build.ts csi-sanity',
  ko: 'node test/tools/build.ts ko',
  skopeo: 'apt-get install skopeo',
  containerd: 'apt-get install containerd',
  ctr: 'apt-get install containerd',
  runc: 'apt-get install runc',
  'docker-registry': 'apt-get install docker-registry',
  nginx: 'apt-get install nginx-light',
  openssl: 'apt-get install openssl',
  curl: 'apt-get install curl',
  setpriv: 'apt-get install util-linux',
  unshare: 'apt-get install util-linux',
  nsenter: 'apt-get install util-linux',
  mount: 'apt-get install mount',
  ip: 'apt-get install iproute2',
  iptables: 'apt-get install iptables',
  'host-local': 'apt-get install containernetworking-plugins',
  busybox: 'apt-get install busybox-static',
  buildah: 'apt-get install buildah',
  podman: 'apt-get install podman',
  dockerd: 'apt-get install docker.io',
  docker: 'apt-get install docker.io',
  debootstrap: 'apt-get install debootstrap',
  // No program, but a suite may lack it as well.
  root: 'run the tests as root',
  go: 'install Go 1.26 and put it on PATH',
} as const;

export type PartName = keyof typeof partSources;

export function isPartName(name: string): name is PartName {
  return name in partSources;
}
