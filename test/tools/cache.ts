import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** A Go module whose commands the tests run as real parts. */
export interface ToolModule {
  /** First part of the names of its cache folders: letters only. */
  readonly name: string;
  /** Absolute path of the folder that holds its go.mod. */
  readonly folder: string;
  /** The Go package of each program, by the name that its binary gets. */
  readonly packages: Readonly<Record<string, string>>;
  /** Passed to `go build -ldflags`. */
  readonly linkerFlags: string;
}

const kubernetes = '1.35.4';

/** What `kubectl version` and the node's status show; a build outside Kubernetes' own scripts has no version otherwise. */
const kubernetesVersion = [
  `gitVersion=v${kubernetes}`,
  `gitMajor=${kubernetes.split('.')[0]}`,
  `gitMinor=${kubernetes.split('.')[1]}`,
  'gitTreeState=clean',
].map((setting) => `-X k8s.io/component-base/version.${setting}`);

/** One module for each family whose requirements do not agree with another's; each is a folder with a go.mod. */
export const toolModules: readonly ToolModule[] = [
  {
    name: 'registry',
    folder: import.meta.dirname,
    packages: {
      registry: 'github.com/distribution/distribution/v3/cmd/registry',
      crane: 'github.com/google/go-containerregistry/cmd/crane',
      reference: './reference',
      htpasswd: './htpasswd',
    },
    linkerFlags: '-s -w',
  },
  {
    name: 'kubernetes',
    folder: join(import.meta.dirname, 'kubernetes'),
    packages: {
      etcd: 'go.etcd.io/etcd/server/v3',
      'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
      'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
      'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
      kubelet: 'k8s.io/kubernetes/cmd/kubelet',
      'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
      kubectl: 'k8s.io/kubernetes/cmd/kubectl',
    },
    linkerFlags: `-s -w ${kubernetesVersion.join(' ')}`,
  },
  {
    name: 'containerd',
    folder: join(import.meta.dirname, 'containerd'),
    packages: {
      // Debian's containerd 1.6 is another part, and has the plain name.
      'containerd-2': 'github.com/containerd/containerd/v2/cmd/containerd',
      'containerd-shim-runc-v2': 'github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2',
      'ctr-2': 'github.com/containerd/containerd/v2/cmd/ctr',
    },
    linkerFlags: '-s -w -X github.com/containerd/containerd/v2/version.Version=2.4.2',
  },
  {
    name: 'helm',
    folder: join(import.meta.dirname, 'helm'),
    packages: { helm: 'helm.sh/helm/v3/cmd/helm' },
    // Without them it renders charts for a Kubernetes of long ago.
    linkerFlags: `-s -w -X helm.sh/helm/v3/internal/version.version=v3.22.0 ${kubernetes
      .split('.')
      .slice(0, 2)
      .map((number, at) => `-X helm.sh/helm/v3/pkg/chartutil.k8sVersion${at === 0 ? 'Major' : 'Minor'}=${number}`)
      .join(' ')}`,
  },
  {
    name: 'coredns',
    folder: join(import.meta.dirname, 'coredns'),
    packages: { coredns: 'github.com/coredns/coredns' },
    linkerFlags: '-s -w',
  },
  {
    name: 'buildkit',
    folder: join(import.meta.dirname, 'buildkit'),
    packages: {
      buildkitd: 'github.com/moby/buildkit/cmd/buildkitd',
      buildctl: 'github.com/moby/buildkit/cmd/buildctl',
    },
    linkerFlags: '-s -w -X github.com/moby/buildkit/version.Version=v0.32.2',
  },
  {
    name: 'template',
    folder: join(import.meta.dirname, 'template'),
    packages: { template: '.' },
    linkerFlags: '-s -w',
  },
  {
    name: 'csi',
    folder: join(import.meta.dirname, 'csi'),
    packages: { 'csi-sanity': 'github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity' },
    linkerFlags: '-s -w',
  },
  {
    name: 'ko',
    folder: join(import.meta.dirname, 'ko'),
    packages: { ko: 'github.com/google/ko' },
    linkerFlags: '-s -w -X github.com/google/ko/pkg/commands.Version=v0.19.1',
  },
];

/** Where the binaries are kept unless a command says otherwise. */
export const defaultCache = join(import.meta.dirname, '../../.cache/tools');

/** Names of all programs, in the order of the modules. */
export function toolNames(): string[] {
  return toolModules.flatMap((module) => Object.keys(module.packages));
}

/** Path of a built program, or undefined where it is not built for the sources as they are now. Builds nothing. */
export function toolPath(name: string, cache: string = defaultCache): string | undefined {
  const module = toolModules.find((candidate) => name in candidate.packages);
  if (module === undefined || !existsSync(cache)) return undefined;
  // Asking Go for its version would cost each test file a process, so whatever Go built these sources will do.
  const prefix = sourcePrefix(module);
  return readdirSync(cache)
    .filter((folder) => folder.startsWith(prefix))
    .map((folder) => join(cache, folder, name))
    .find((path) => existsSync(path));
}

/** The part of a cache folder's name that stands for the module's sources and this platform. */
export function sourcePrefix(module: ToolModule): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([module.packages, module.linkerFlags, process.platform, process.arch]));
  for (const path of sourceFiles(module.folder)) {
    const content = readFileSync(path);
    hash.update(`${relative(module.folder, path)}\0${content.length}\0`).update(content);
  }
  return `${module.name}-${hash.digest('hex').slice(0, 16)}-`;
}

/** go.mod, go.sum and the Go files of the module, sorted; a folder with a go.mod of its own is another module. */
function sourceFiles(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return existsSync(join(path, 'go.mod')) ? [] : sourceFiles(path);
    return entry.name.endsWith('.go') || entry.name === 'go.mod' || entry.name === 'go.sum' ? [path] : [];
  });
}
