import { createHash } from 'node:crypto';
import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf, seededBytes } from '../../support/digest.ts';
import { makeTar } from '../../support/tar.ts';

export interface LargeImage {
  readonly digest: string;
  readonly layer: { readonly digest: string; readonly size: number };
}

const fileBytes = 2 ** 20;

/** Writes an OCI layout whose one layer holds `mebibytes` files of 1 MiB; no more than one of them is in memory. */
export async function writeLargeLayout(folder: string, mebibytes: number): Promise<LargeImage> {
  const blobs = join(folder, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  const writeBlob = async (value: unknown) => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    await writeFile(join(blobs, digest.slice('sha256:'.length)), bytes);
    return { digest, size: bytes.length };
  };
  const layer = await writeLayer(blobs, mebibytes);
  const platform = { os: 'linux', architecture: 'amd64' };
  const config = await writeBlob({ ...platform, rootfs: { type: 'layers', diff_ids: [layer.digest] } });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = await writeBlob({
    schemaVersion: 2,
    mediaType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer }],
  });
  const index = { schemaVersion: 2, manifests: [{ mediaType, ...manifest }] };
  await writeFile(join(folder, 'index.json'), JSON.stringify(index));
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  return { digest: manifest.digest, layer };
}

async function writeLayer(blobs: string, files: number): Promise<LargeImage['layer']> {
  const archive = makeTar([{ path: 'layer.bin', bytes: seededBytes('large', fileBytes) }]);
  const entry = archive.subarray(0, -1024);
  const hash = createHash('sha256');
  const path = join(blobs, 'layer');
  const file = await open(path, 'w');
  try {
    // The same name over and over is still an archive: the last one counts.
    for (const part of [...Array<Buffer>(files).fill(entry), archive.subarray(-1024)]) {
      hash.update(part);
      await file.write(part);
    }
  } finally {
    await file.close();
  }
  const hex = hash.digest('hex');
  await rename(path, join(blobs, hex));
  return { digest: `sha256:${hex}`, size: files * entry.length + 1024 };
}
