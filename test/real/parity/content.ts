import { digestOf } from '../../support/digest.ts';
import { descriptorOf, makeImage, makeIndex, makeReferrer, type OciContent } from '../../support/image.ts';
import type { Side } from './side.ts';

export const image = makeImage({ layers: 1, layerBytes: 2048, seed: 'parity' });
export const index = makeIndex([image]);
export const referrer = makeReferrer(image, { artifactType: 'application/vnd.example.signature' });

export const layer: Buffer = Buffer.from(image.blobs.get(image.layers[0] ?? '') ?? []);
export const layerDigest = digestOf(layer);
export const absent = digestOf('nobody has pushed this');

/** The bytes of a top manifest. */
export const bytesOf = (content: OciContent): Uint8Array =>
  content.manifests.get(content.digest)?.bytes ?? Buffer.alloc(0);

/** Without it a registry has no OCI manifest to give. */
export const acceptsManifests = { accept: [image, index].map((content) => content.mediaType).join(', ') } as const;

export const octets = { 'content-type': 'application/octet-stream' } as const;
export const typeOf = (content: OciContent) => ({ 'content-type': descriptorOf(content).mediaType });

/** Puts the blobs of `content` into the side's repository, in one request each. */
export async function pushBlobs(side: Side, content: OciContent): Promise<void> {
  for (const [digest, body] of content.blobs) {
    const opened = await side.send('POST', 'blobs/uploads/');
    await side.follow(opened, 'PUT', `digest=${digest}`, { headers: octets, body });
  }
}

/** Puts `content`, of one manifest, into the side's repository under `tags`. */
export async function pushImage(side: Side, content: OciContent, ...tags: readonly string[]): Promise<void> {
  await pushBlobs(side, content);
  for (const tag of tags) {
    await side.send('PUT', `manifests/${tag}`, { headers: typeOf(content), body: bytesOf(content) });
  }
}
