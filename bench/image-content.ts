import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, symlinkSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const layers = 8;
const layerBytes = 128 * 2 ** 20;
const zeros = Buffer.alloc(2 ** 20);

export const imageBytes = layers * layerBytes;
export const imageRepository = 'team/image';
/** The same image, given no faster than a link would. */
export const linkedRepository = 'linked/team/image';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Puts an image of 1 GiB into a registry's files: its digests are right, and its layers nearly all hole. */
export async function addImage(content: string): Promise<void> {
  const folder = join(content, 'v2', imageRepository);
  mkdirSync(join(folder, 'blobs'), { recursive: true });
  mkdirSync(join(folder, 'manifests'));
  const descriptors = Array.from({ length: layers }, (_, at) => addLayer(folder, at));
  const diffs = descriptors.map(({ digest }) => digest);
  const config = addBlob(folder, 'application/vnd.oci.image.config.v1+json', {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: diffs },
  });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = { schemaVersion: 2, mediaType, config, layers: descriptors };
  writeFileSync(join(folder, 'manifests/v1'), JSON.stringify(manifest));
  mkdirSync(join(content, 'v2/linked'), { recursive: true });
  symlinkSync(join(content, 'v2/team'), join(content, 'v2/linked/team'));
}

function addBlob(folder: string, mediaType: string, value: unknown): Descriptor {
  const text = JSON.stringify(value);
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  writeFileSync(join(folder, 'blobs', digest), text);
  return { mediaType, digest, size: text.length };
}

/** Layers differ in their first byte. */
function addLayer(folder: string, at: number): Descriptor {
  const first = Buffer.of(at);
  const hash = createHash('sha256').update(first).update(zeros.subarray(1));
  for (let bytes = zeros.length; bytes < layerBytes; bytes += zeros.length) hash.update(zeros);
  const digest = `sha256:${hash.digest('hex')}`;
  const path = join(folder, 'blobs', digest);
  const file = openSync(path, 'w');
  writeSync(file, first);
  closeSync(file);
  truncateSync(path, layerBytes);
  return { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: layerBytes };
}
