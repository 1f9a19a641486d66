import { readFile, writeFile } from 'node:fs/promises';
import { partPath } from '../../real/support/find-part.ts';
import { descriptorOf, type Image, makeImage } from '../../support/image.ts';
import { makeTar, type TarFile } from '../../support/tar.ts';

export interface ProgramImageOptions {
  /** Further files; programs need a mode. */
  readonly files?: readonly TarFile[];
  /** By default a shell that sleeps until it is told to end. */
  readonly entrypoint?: readonly string[];
  /** Equal options give equal digests; another seed gives another image. */
  readonly seed?: string;
}

/** What `kubectl exec` finds by name; a tar archive of the tests has no links. Debian's wget crashes with -T. */
const applets =
  'cat echo env false grep httpd id kill ls mkdir nc nslookup ps sleep test timeout touch true wget'.split(' ');

const platform = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' } as const;
const sleeping = ['/bin/sh', '-c', 'trap "exit 0" TERM INT; while :; do sleep 3600 & wait $!; done'];

/** An image with a shell, for pods: Debian's busybox-static and nothing else. */
export async function makeBusyboxImage(options: ProgramImageOptions = {}): Promise<Image> {
  const busybox = await readBusybox();
  const programs = ['busybox', 'sh'].map((name) => ({ path: `bin/${name}`, bytes: busybox, mode: 0o755 }));
  const scripts = applets.map((name) => ({
    path: `bin/${name}`,
    bytes: Buffer.from(`#!/bin/sh\nexec /bin/busybox ${name} "$@"\n`),
    mode: 0o755,
  }));
  return makeProgramImage(
    [...programs, ...scripts, ...(options.files ?? [])],
    options.entrypoint ?? sleeping,
    options.seed,
  );
}

/** The image of the sandbox of each pod: a process that does nothing, for containerd ends it by SIGKILL. */
export async function makePauseImage(): Promise<Image> {
  const program = { path: 'busybox', bytes: await readBusybox(), mode: 0o755 };
  return makeProgramImage([program], ['/busybox', 'sleep', '2147483647']);
}

/** Writes an image as an archive in OCI layout under its full name, as `localhost/test:1`. */
export async function writeImageArchive(path: string, name: string, image: Image): Promise<void> {
  const contents = [...image.manifests].map(([digest, { bytes }]) => [digest, bytes] as const);
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name };
  const index = { schemaVersion: 2, manifests: [{ ...descriptorOf(image), platform: image.platform, annotations }] };
  const tar = makeTar([
    { path: 'oci-layout', bytes: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { path: 'index.json', bytes: Buffer.from(JSON.stringify(index)) },
    ...[...contents, ...image.blobs].map(([digest, bytes]) => ({ path: `blobs/${digest.replace(':', '/')}`, bytes })),
  ]);
  await writeFile(path, tar);
}

function makeProgramImage(files: readonly TarFile[], entrypoint: readonly string[], seed?: string): Image {
  return makeImage({
    platform,
    layers: seed === undefined ? 0 : 1,
    ...(seed === undefined ? {} : { seed }),
    compression: 'none',
    files,
    runtimeConfig: { Entrypoint: entrypoint, Env: ['PATH=/bin'] },
  });
}

async function readBusybox(): Promise<Buffer> {
  const path = partPath('busybox');
  const bytes = await readFile(path);
  if (bytes.includes('/ld-linux') || bytes.includes('/ld-musl')) {
    throw new Error(`${path} needs shared libraries, which no image has: apt-get install busybox-static`);
  }
  return bytes;
}
