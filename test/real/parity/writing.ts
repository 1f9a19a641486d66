import { digestOf } from '../../support/digest.ts';
import type { OciContent } from '../../support/image.ts';
import { absent, bytesOf, image, index, layerDigest, pushBlobs, pushImage, referrer, typeOf } from './content.ts';
import type { Row } from './reading.ts';
import type { Send, Side } from './side.ts';

const body = (content: OciContent): Send => ({ headers: typeOf(content), body: bytesOf(content) });
const put = (side: Side, reference: string, options: Send) => side.send('PUT', `manifests/${reference}`, options);
const afterBlobs =
  (...requests: readonly ((side: Side) => Promise<unknown>)[]) =>
  async (side: Side) => {
    await pushBlobs(side, image);
    for (const request of requests) await request(side);
  };
const json = (value: unknown): Send => ({ headers: typeOf(image), body: JSON.stringify(value) });
// Distribution's limit is 4 MiB.
const tooLarge: Send = { headers: typeOf(image), body: Buffer.alloc(4 * 1024 * 1024 + 1, ' ') };

const pushes: readonly Row[] = [
  [
    'a manifest by tag (end-7)',
    afterBlobs(async (side) => {
      const done = await put(side, 'v1', body(image));
      await side.follow(done, 'GET');
    }),
  ],
  ['a manifest pushed by digest', afterBlobs((side) => put(side, image.digest, body(image)))],
  ['a manifest in chunks', afterBlobs((side) => put(side, 'v1', { ...body(image), isChunked: true }))],
  [
    'a manifest twice',
    afterBlobs(
      (side) => put(side, 'v1', body(image)),
      (side) => put(side, 'v1', body(image)),
    ),
  ],
  ['a manifest by another digest', afterBlobs((side) => put(side, absent, body(image)))],
  ['a manifest by a tag that is none', afterBlobs((side) => put(side, '-v1', body(image)))],
  ['a manifest pushed by a digest of too few digits', afterBlobs((side) => put(side, 'sha256:abc', body(image)))],
  ['a manifest without its blobs', (side) => put(side, 'v1', body(image))],
  [
    'an index',
    afterBlobs(
      (side) => put(side, image.digest, body(image)),
      (side) => put(side, 'all', body(index)),
    ),
  ],
  ['an index without its images', (side) => put(side, 'all', body(index))],
  ['a manifest that is no JSON', (side) => put(side, 'v1', { headers: typeOf(image), body: '{' })],
  ['a manifest that is empty', (side) => put(side, 'v1', { headers: typeOf(image), body: '' })],
  ['a manifest that says nothing', (side) => put(side, 'v1', json({}))],
  [
    'a manifest of another type than it says',
    afterBlobs((side) => put(side, 'v1', { ...body(image), headers: typeOf(index) })),
  ],
  [
    'a manifest of an unknown type',
    afterBlobs((side) => put(side, 'v1', { ...body(image), headers: { 'content-type': 'text/plain' } })),
  ],
  ['a manifest without a type', afterBlobs((side) => put(side, 'v1', { body: bytesOf(image) }))],
  ['a manifest that is too large', (side) => put(side, 'v1', tooLarge)],
  ['a manifest that is too large, in chunks', (side) => put(side, 'v1', { ...tooLarge, isChunked: true })],
  ['a manifest of a repository that is no name', (side) => side.send('PUT', 'Upper/manifests/v1', body(image))],
  [
    'an artifact with a subject',
    async (side) => {
      await pushImage(side, image, 'v1');
      await pushImage(side, referrer, referrer.digest);
      await side.send('GET', `referrers/${image.digest}`);
    },
  ],
];

const deletions: readonly Row[] = [
  [
    'a manifest deleted by digest, twice (end-9)',
    async (side) => {
      await pushImage(side, image, 'v1');
      await side.send('DELETE', `manifests/${image.digest}`);
      await side.send('DELETE', `manifests/${image.digest}`);
      await side.send('GET', 'manifests/v1');
      await side.send('GET', 'tags/list');
    },
  ],
  [
    'a tag deleted, twice',
    async (side) => {
      await pushImage(side, image, 'v1', 'v2');
      await side.send('DELETE', 'manifests/v1');
      await side.send('DELETE', 'manifests/v1');
      await side.send('GET', 'tags/list');
    },
  ],
  [
    'a blob deleted, twice (end-10)',
    async (side) => {
      await pushBlobs(side, image);
      await side.send('DELETE', `blobs/${layerDigest}`);
      await side.send('DELETE', `blobs/${layerDigest}`);
      await side.send('HEAD', `blobs/${layerDigest}`);
    },
  ],
  ['a manifest deleted that is not there', (side) => side.send('DELETE', `manifests/${absent}`)],
  ['a tag deleted that is not there', (side) => side.send('DELETE', 'manifests/none')],
  ['a blob deleted that is not there', (side) => side.send('DELETE', `blobs/${digestOf('nobody')}`)],
  ['a blob deleted by something that is no digest', (side) => side.send('DELETE', 'blobs/latest')],
  ['a manifest deleted by a tag that is none', (side) => side.send('DELETE', 'manifests/-v1')],
];

/** Rows that push and delete manifests: each has a repository of its own. */
export const writing: readonly Row[] = [...pushes, ...deletions];
