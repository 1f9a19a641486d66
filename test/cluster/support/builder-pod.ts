import { existsSync } from 'node:fs';
import { namespace, podOf, publicImage, runs, type Scene } from './scene.ts';

/** Folders of this machine that buildah is in, and its libraries; all but the first may be links into it. */
const machineFolders = ['/usr', '/lib', '/lib64'].filter((path) => existsSync(path));

/**
 * A pod of account `builder` in which this machine's buildah can run. What it is to know of registries comes by the
 * annotations alone.
 */
export function builderPod(name: string, annotations: Readonly<Record<string, string>>): object {
  const nameOf = (path: string) => path.slice(1);
  const container = {
    name: 'app',
    image: publicImage,
    // Mounts, for the steps of the build.
    securityContext: { privileged: true },
    env: Object.entries({
      PATH: '/bin:/usr/bin:/usr/sbin',
      HOME: '/root',
      BUILDAH_ISOLATION: 'chroot',
    }).map(([variable, value]) => ({ name: variable, value })),
    volumeMounts: machineFolders.map((path) => ({ name: nameOf(path), mountPath: path, readOnly: true })),
  };
  return podOf(name, '', {
    metadata: { annotations },
    spec: {
      serviceAccountName: 'builder',
      automountServiceAccountToken: false,
      containers: [container],
      volumes: machineFolders.map((path) => ({ name: nameOf(path), hostPath: { path } })),
    },
  });
}

export interface Build {
  /** Image of the Containerfile's FROM. */
  readonly base: string;
  readonly target: string;
  /** Commands of the shell that come first. */
  readonly before?: string;
}

/** Builds an image with file /built, which holds its own name, and pushes it. Returns what buildah said. */
export async function buildAndPush(scene: Scene, pod: string, { base, target, before = '' }: Build): Promise<string> {
  await runs(scene, pod);
  const script = `set -eu
    mkdir -p /etc/containers /var/tmp /tmp/context
    echo root:x:0:0:root:/root:/bin/sh > /etc/passwd
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' > /etc/containers/policy.json
    printf '[storage]\\ndriver = "vfs"\\nrunroot = "/run/storage"\\ngraphroot = "/var/storage"\\n' > /etc/containers/storage.conf
    printf 'FROM %s\\nRUN echo %s > /built\\n' ${base} ${target} > /tmp/context/Containerfile
    ${before}
    buildah build --tag ${target} /tmp/context 2>&1
    buildah push ${target} 2>&1`;
  const exec = ['exec', '-n', namespace, pod, '--', 'sh', '-c', script];
  return scene.cluster.kubectl(exec, { timeoutMs: 80_000 });
}
