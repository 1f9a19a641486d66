import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../../support/digest.ts';
import { descriptorOf, type OciContent } from '../../support/image.ts';

/** Writes an OCI image layout (image-spec, image-layout.md) that holds `content` under the name `tag`. */
export async function writeOciLayout(folder: string, content: OciContent, tag: string): Promise<void> {
  const blobs = join(folder, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  const manifests = [...content.manifests].map(([digest, manifest]) => [digest, manifest.bytes] as const);
  for (const [digest, bytes] of [...manifests, ...content.blobs]) {
    await writeFile(join(blobs, digest.replace('sha256:', '')), bytes);
  }
  const descriptor = { ...descriptorOf(content), annotations: { 'org.opencontainers.image.ref.name': tag } };
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }));
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
}

/** Digests of the manifests and blobs in a layout, taken from their bytes and not from their names. */
export async function readOciLayout(folder: string): Promise<Set<string>> {
  const blobs = join(folder, 'blobs/sha256');
  const names = await readdir(blobs);
  return new Set(await Promise.all(names.map(async (name) => digestOf(await readFile(join(blobs, name))))));
}
