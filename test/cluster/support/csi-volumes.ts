import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { podOf, publicImage } from './scene.ts';

export interface VolumePodOptions {
  readonly namespace?: string;
  readonly command?: readonly string[];
  /** Over the fields of the pod, and of the volume. */
  readonly spec?: object;
  readonly csi?: object;
}

/** A pod with an inline volume of the driver at /files. */
export function volumePod(
  name: string,
  volumeAttributes: Readonly<Record<string, string>>,
  { namespace, command, spec, csi }: VolumePodOptions = {},
): object {
  const container = { name: 'app', image: publicImage, volumeMounts: [{ name: 'files', mountPath: '/files' }] };
  return podOf(name, '', {
    ...(namespace === undefined ? {} : { namespace }),
    spec: {
      automountServiceAccountToken: false,
      containers: [{ ...container, ...(command === undefined ? {} : { command }) }],
      volumes: [{ name: 'files', csi: { driver: 'connectors-csi', readOnly: true, volumeAttributes, ...csi } }],
      ...spec,
    },
  });
}

interface VolumeMount {
  readonly path: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** The mounts of the driver's volumes, as a process sees them; by default this machine's. */
export async function listVolumeMounts({ paths }: Cluster, pid: number | 'self' = 'self'): Promise<VolumeMount[]> {
  const lines = (await readFile(`/proc/${pid}/mounts`, 'utf8')).split('\n');
  const mounts = lines.map((line) => line.split(' '));
  return mounts
    .filter(([, path = '']) => path.startsWith(`${paths.kubeletRoot}/pods/`) && path.includes('/kubernetes.io~csi/'))
    .map(([, path = '', type = '', options = '']) => ({ path, type, options: options.split(',') }));
}

/** Folders of volumes of CSI drivers that the kubelet has for pods, mounted or not. */
export async function listVolumeFolders({ paths }: Cluster): Promise<string[]> {
  const pods = join(paths.kubeletRoot, 'pods');
  const folders = await Promise.all(
    (await readdir(pods)).map(async (uid) => {
      const folder = join(pods, uid, 'volumes/kubernetes.io~csi');
      return (await readdir(folder).catch(() => [])).map((volume) => join(folder, volume));
    }),
  );
  return folders.flat();
}

/** The process of the driver on this node; undefined where there is none. */
export async function findDriver(): Promise<number | undefined> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  const at = lines.findIndex((line) => line.includes('main.js\0csi\0'));
  return at === -1 ? undefined : Number(pids[at]);
}
