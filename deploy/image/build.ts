/**
 * Builds the image without any registry, as root on a Debian machine with buildah and debootstrap:
 *
 *   node deploy/image/build.ts [--name localhost/oci-connector:dev] [--output .cache/image/oci-connector.tar]
 *
 * The output is an archive in OCI layout: `ctr -n k8s.io images import FILE` takes it, and `skopeo copy oci-archive:FILE`.
 */
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from '../bundle.ts';
import { buildBase } from './base.ts';
import { run } from './run.ts';

const root = join(import.meta.dirname, '../..');
const cache = join(root, '.cache/image');
const containerfile = join(import.meta.dirname, 'Containerfile');

export interface ImageOptions {
  /** What the archive calls the image, with its registry and tag. */
  readonly name: string;
  /** Absolute path of the archive. */
  readonly output: string;
}

export const imageDefaults: ImageOptions = {
  name: 'localhost/oci-connector:dev',
  output: join(cache, 'oci-connector.tar'),
};

/** Builds the image and writes it to `output`, whole or not at all. Needs root, buildah and debootstrap. */
export async function buildImage({ name, output }: ImageOptions = imageDefaults): Promise<void> {
  await mkdir(cache, { recursive: true });
  await mkdir(dirname(output), { recursive: true });
  const work = await mkdtemp(join(cache, 'work-'));
  try {
    const { folder } = await bundle(join(work, 'bundle'));
    const base = await buildBase(process.execPath, cache);
    const archive = join(work, 'image.tar');
    await assemble(base, folder, name, archive);
    await rename(archive, output);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

type Buildah = (...args: readonly string[]) => Promise<string>;

async function assemble(base: string, bundled: string, name: string, archive: string): Promise<void> {
  const buildah = await openBuildah();
  const baseName = `localhost/oci-connector-base:${basename(base)}`;
  await importBase(buildah, base, baseName);
  // The isolation matters for RUN only, of which there is none; chroot asks the machine for the least.
  const how = ['--isolation', 'chroot', '--pull-never', '--format', 'oci', '--timestamp', '0'];
  await buildah('build', ...how, '--build-arg', `BASE=${baseName}`, '-f', containerfile, '-t', name, bundled);
  await buildah('push', name, `oci-archive:${archive}:${name}`);
  await buildah('rmi', '--prune', '--force');
}

/** buildah with a storage of our own in the cache; on a file system without overlays with plain copies. */
async function openBuildah(): Promise<Buildah> {
  const withDriver =
    (driver: string): Buildah =>
    (...args) =>
      run('buildah', [...storageOf(driver), ...args], { STORAGE_DRIVER: driver });
  const overlay = withDriver('overlay');
  const works = await overlay('info').then(
    () => true,
    () => false,
  );
  return works ? overlay : withDriver('vfs');
}

function storageOf(driver: string): readonly string[] {
  const folder = join(cache, `storage-${driver}`);
  return ['--storage-driver', driver, '--root', folder, '--runroot', join(folder, 'run')];
}

/** Makes the base an image, once. */
async function importBase(buildah: Buildah, folder: string, name: string): Promise<void> {
  const isKnown = await buildah('inspect', '--type', 'image', name).then(
    () => true,
    () => false,
  );
  if (isKnown) return;
  const container = (await buildah('from', 'scratch')).trim();
  await buildah('copy', '-q', container, folder, '/');
  await buildah('commit', '-q', '--rm', '--timestamp', '0', '--disable-compression', container, name);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { name: { type: 'string' }, output: { type: 'string' } } });
  const { name = imageDefaults.name, output = imageDefaults.output } = values;
  const startedAt = performance.now();
  await buildImage({ name, output: resolve(output) });
  const { size } = await stat(output);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`${output}: ${name}, ${Math.round(size / 2 ** 20)} MiB, built in ${seconds} s\n`);
}
