import { createHash } from 'node:crypto';
import { digestOf } from '../../support/digest.ts';
import { absent, image, layer, layerDigest, octets, pushBlobs } from './content.ts';
import type { Row } from './reading.ts';
import type { Send, Side } from './side.ts';

const open = (side: Side) => side.send('POST', 'blobs/uploads/');
const body = (bytes: Uint8Array = layer): Send => ({ headers: octets, body: bytes });
const chunk = (start: number, end: number, contentRange = `${start}-${end - 1}`): Send => ({
  headers: { ...octets, 'content-range': contentRange },
  body: layer.subarray(start, end),
});
const its = `digest=${layerDigest}`;
const half = Math.floor(layer.length / 2);
const sha512 = `sha512:${createHash('sha512').update(layer).digest('hex')}`;
const readBack = (side: Side, digest = layerDigest) => side.send('GET', `blobs/${digest}`);

const whole: readonly Row[] = [
  [
    'a blob in one PUT (end-4a, end-6)',
    async (side) => {
      const done = await side.follow(await open(side), 'PUT', its, body());
      await side.follow(done, 'GET');
    },
  ],
  [
    'a blob in one chunked PUT',
    async (side) => {
      await side.follow(await open(side), 'PUT', its, { ...body(), isChunked: true });
      await readBack(side);
    },
  ],
  [
    'a blob in one POST (end-4b)',
    async (side) => {
      await side.send('POST', `blobs/uploads/?${its}`, body());
      await side.send('HEAD', `blobs/${layerDigest}`);
    },
  ],
  ['a blob in one POST, with another digest', (side) => side.send('POST', `blobs/uploads/?digest=${absent}`, body())],
  ['an opening POST with a body', (side) => side.send('POST', 'blobs/uploads/', body())],
  ['an opening POST without its slash', (side) => side.send('POST', 'blobs/uploads')],
  [
    'an empty blob',
    async (side) => {
      const empty = digestOf('');
      await side.follow(await open(side), 'PUT', `digest=${empty}`, body(Buffer.alloc(0)));
      await readBack(side, empty);
    },
  ],
  [
    'a blob by its SHA-512 digest',
    async (side) => {
      await side.follow(await open(side), 'PUT', `digest=${sha512}`, body());
      await readBack(side, sha512);
      await readBack(side);
    },
  ],
  ['GET of the uploads', (side) => side.send('GET', 'blobs/uploads/')],
];

const chunks: readonly Row[] = [
  [
    'a blob streamed in one chunked PATCH (end-5)',
    async (side) => {
      const patched = await side.follow(await open(side), 'PATCH', '', { ...body(), isChunked: true });
      await side.follow(patched, 'PUT', its);
      await readBack(side);
    },
  ],
  [
    'a blob in two chunks with Content-Range',
    async (side) => {
      const first = await side.follow(await open(side), 'PATCH', '', chunk(0, half));
      const second = await side.follow(first, 'PATCH', '', chunk(half, layer.length));
      await side.follow(second, 'PUT', its);
      await readBack(side);
    },
  ],
  [
    'the last chunk in the PUT',
    async (side) => {
      const first = await side.follow(await open(side), 'PATCH', '', chunk(0, half));
      await side.follow(first, 'PUT', its, chunk(half, layer.length));
      await readBack(side);
    },
  ],
  [
    'how far an upload got (end-13)',
    async (side) => {
      const opened = await open(side);
      await side.follow(opened, 'GET');
      const first = await side.follow(opened, 'PATCH', '', chunk(0, half));
      const status = await side.follow(first, 'GET');
      await side.follow(status, 'PATCH', '', chunk(half, layer.length));
    },
  ],
  ['HEAD of an upload', async (side) => side.follow(await open(side), 'HEAD')],
  [
    'a chunk out of order',
    async (side) => {
      const first = await side.follow(await open(side), 'PATCH', '', chunk(0, half));
      await side.follow(first, 'PATCH', '', chunk(half + 1, layer.length));
      await side.follow(first, 'GET');
      const second = await side.follow(first, 'PATCH', '', chunk(half, layer.length));
      // Release 2.8 has given the upload up by now.
      if (second.headers.location !== undefined) await side.follow(second, 'PUT', its);
    },
  ],
  [
    'a chunk that is not as long as it says',
    async (side) => side.follow(await open(side), 'PATCH', '', chunk(0, half, '0-9')),
  ],
  ['a chunk whose range is none', async (side) => side.follow(await open(side), 'PATCH', '', chunk(0, half, 'some'))],
  ['an empty chunk', async (side) => side.follow(await open(side), 'PATCH', '', body(Buffer.alloc(0)))],
  [
    'a chunk of another type',
    async (side) =>
      side.follow(await open(side), 'PATCH', '', { headers: { 'content-type': 'text/plain' }, body: 'x' }),
  ],
  ['a chunk without a type', async (side) => side.follow(await open(side), 'PATCH', '', { body: 'x' })],
];

const ends: readonly Row[] = [
  [
    'an upload that ends with another digest',
    async (side) => side.follow(await open(side), 'PUT', `digest=${absent}`, body()),
  ],
  ['an upload that ends without a digest', async (side) => side.follow(await open(side), 'PUT', '', body())],
  ['an upload that ends with no digest', async (side) => side.follow(await open(side), 'PUT', 'digest=latest', body())],
  [
    'an upload that ends with an unknown algorithm',
    async (side) => side.follow(await open(side), 'PUT', `digest=md5:${'0'.repeat(32)}`, body()),
  ],
  [
    'an upload that was ended already',
    async (side) => {
      const opened = await open(side);
      await side.follow(opened, 'PUT', its, body());
      await side.follow(opened, 'PUT', its, body());
      await side.follow(opened, 'GET');
    },
  ],
  [
    'an upload that is cancelled',
    async (side) => {
      const opened = await open(side);
      await side.follow(opened, 'DELETE');
      await side.follow(opened, 'GET');
      await side.follow(opened, 'PATCH', '', body());
      await side.follow(opened, 'DELETE');
    },
  ],
  ['the state of an unknown upload', (side) => side.send('GET', 'blobs/uploads/unknown')],
  ['a chunk of an unknown upload', (side) => side.send('PATCH', 'blobs/uploads/unknown', body())],
  ['the end of an unknown upload', (side) => side.send('PUT', `blobs/uploads/unknown?${its}`, body())],
  ['the cancelling of an unknown upload', (side) => side.send('DELETE', 'blobs/uploads/unknown')],
  ['POST to an upload', async (side) => side.follow(await open(side), 'POST')],
];

const mount = (side: Side, digest: string, from: string) =>
  side.sendOther('POST', `blobs/uploads/?mount=${digest}&from=${encodeURIComponent(from)}`);

const mounts: readonly Row[] = [
  [
    'a mount (end-11)',
    async (side) => {
      await pushBlobs(side, image);
      await mount(side, layerDigest, side.repository);
      await side.sendOther('HEAD', `blobs/${layerDigest}`);
    },
  ],
  [
    'a mount of a blob that is not there',
    async (side) => {
      await pushBlobs(side, image);
      const opened = await mount(side, absent, side.repository);
      await side.follow(opened, 'PUT', its, body());
    },
  ],
  ['a mount from an unknown repository', (side) => mount(side, layerDigest, side.unknown)],
  ['a mount from a name that is none', (side) => mount(side, layerDigest, `${side.prefix}Upper`)],
  ['a mount of no digest', (side) => mount(side, 'latest', side.repository)],
  ['a mount from nowhere', (side) => side.sendOther('POST', `blobs/uploads/?mount=${layerDigest}`)],
  ['a mount of nothing', (side) => side.sendOther('POST', `blobs/uploads/?from=${side.repository}`)],
];

/** Rows that upload blobs: each has a repository of its own. */
export const uploading: readonly Row[] = [...whole, ...chunks, ...ends, ...mounts];
