import { gzipSync } from 'node:zlib';
import { digestOf, seededBytes } from './digest.ts';
import { makeTar, type TarFile } from './tar.ts';

export interface ManifestBytes {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** A manifest with everything that it refers to, keyed by digest: what a push would bring to a registry. */
export interface OciContent {
  /** Of the topmost manifest. */
  readonly digest: string;
  readonly mediaType: string;
  readonly manifests: ReadonlyMap<string, ManifestBytes>;
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

export interface Image extends OciContent {
  /** Digest of the config blob. */
  readonly config: string;
  /** Digests of the layer blobs, lowest layer first. */
  readonly layers: readonly string[];
  readonly platform: Platform;
}

export interface ImageIndex extends OciContent {
  readonly images: readonly Image[];
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export interface ImageOptions {
  /** How many layers, by default 2. Each holds the file `layer-<n>.bin`. */
  readonly layers?: number;
  /** Size of the file in each layer, by default 1 KiB. It does not compress. */
  readonly layerBytes?: number;
  /** By default linux/amd64. */
  readonly platform?: Platform;
  /** Equal options and seeds give equal digests; another seed gives other content. */
  readonly seed?: string;
  /** By default gzip. */
  readonly compression?: 'gzip' | 'none';
  /** Media types of the OCI image format (the default) or of Docker's schema 2. */
  readonly format?: 'oci' | 'docker';
  /** Further files, in a layer of their own on top: an executable makes the image runnable. */
  readonly files?: readonly TarFile[];
  /** The `config` object of the image configuration: `Cmd`, `Entrypoint`, `User`, … */
  readonly runtimeConfig?: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

const mediaTypes = {
  oci: {
    index: 'application/vnd.oci.image.index.v1+json',
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
    none: 'application/vnd.oci.image.layer.v1.tar',
  },
  docker: {
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    gzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
    none: 'application/vnd.docker.image.rootfs.diff.tar',
  },
} as const;

const emptyJson = Buffer.from('{}');
const created = '1970-01-01T00:00:00Z';

/** A single-platform image that real clients pull and unpack. */
export function makeImage(options: ImageOptions = {}): Image {
  const types = mediaTypes[options.format ?? 'oci'];
  const compression = options.compression ?? 'gzip';
  const platform = options.platform ?? { os: 'linux', architecture: 'amd64' };
  const tars = makeLayers(options, platform);
  const layers = tars.map((tar) => (compression === 'gzip' ? gzipSync(tar) : tar));
  const config = json({
    created,
    ...platform,
    config: options.runtimeConfig ?? {},
    rootfs: { type: 'layers', diff_ids: tars.map(digestOf) },
    history: tars.map((_, index) => ({ created, created_by: `layer ${index}` })),
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: blobDescriptor(types.config, config),
    layers: layers.map((layer) => blobDescriptor(types[compression], layer)),
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
  });
  return {
    ...contentOf({ mediaType: types.manifest, bytes: manifest }, [config, ...layers]),
    config: digestOf(config),
    layers: layers.map(digestOf),
    platform,
  };
}

/** A multi-platform index over `images`, by default one for linux/amd64 and one for linux/arm64. */
export function makeIndex(
  images: readonly Image[] = ['amd64', 'arm64'].map((architecture) =>
    makeImage({ platform: { os: 'linux', architecture } }),
  ),
  options: Pick<ImageOptions, 'format' | 'annotations'> = {},
): ImageIndex {
  const { index } = mediaTypes[options.format ?? 'oci'];
  const bytes = json({
    schemaVersion: 2,
    mediaType: index,
    manifests: images.map((image) => ({ ...descriptorOf(image), platform: image.platform })),
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
  });
  const top = contentOf({ mediaType: index, bytes }, []);
  return {
    ...top,
    manifests: new Map([...images.flatMap((image) => [...image.manifests]), ...top.manifests]),
    blobs: new Map(images.flatMap((image) => [...image.blobs])),
    images,
  };
}

export interface ReferrerOptions {
  readonly artifactType: string;
  /** What the artifact's one layer holds, by default a sentence with the artifact type. */
  readonly payload?: Uint8Array;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An artifact manifest (signature, SBOM, …) whose `subject` is the top manifest of `subject`. */
export function makeReferrer(subject: OciContent, options: ReferrerOptions): OciContent {
  const payload = options.payload ?? Buffer.from(`artifact of type ${options.artifactType}\n`);
  const mediaType = mediaTypes.oci.manifest;
  const bytes = json({
    schemaVersion: 2,
    mediaType,
    artifactType: options.artifactType,
    config: blobDescriptor('application/vnd.oci.empty.v1+json', emptyJson),
    layers: [blobDescriptor('application/octet-stream', payload)],
    subject: descriptorOf(subject),
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
  });
  return contentOf({ mediaType, bytes }, [emptyJson, payload]);
}

/** The OCI descriptor of the topmost manifest. */
export function descriptorOf(content: OciContent): { mediaType: string; digest: string; size: number } {
  const manifest = content.manifests.get(content.digest);
  return { mediaType: content.mediaType, digest: content.digest, size: manifest?.bytes.length ?? 0 };
}

function makeLayers(options: ImageOptions, platform: Platform): Buffer[] {
  const seed = `${options.seed ?? 'image'}/${Object.values(platform).join('/')}`;
  const layers = Array.from({ length: options.layers ?? 2 }, (_, index) =>
    makeTar([{ path: `layer-${index}.bin`, bytes: seededBytes(`${seed}/${index}`, options.layerBytes ?? 1024) }]),
  );
  return options.files === undefined ? layers : [...layers, makeTar(options.files)];
}

function contentOf(manifest: ManifestBytes, blobs: readonly Uint8Array[]): OciContent {
  const digest = digestOf(manifest.bytes);
  return {
    digest,
    mediaType: manifest.mediaType,
    manifests: new Map([[digest, manifest]]),
    blobs: new Map(blobs.map((blob) => [digestOf(blob), blob])),
  };
}

function blobDescriptor(mediaType: string, bytes: Uint8Array) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
