import { absent, image, index, layerDigest, pushImage, typeOf } from './content.ts';
import type { Send, Side } from './side.ts';

/** A request, or a few that belong together, made on both sides alike. */
export type Row = readonly [name: string, run: (side: Side) => Promise<unknown>];

/** What the rows of `reading` find in the repository. */
export async function fill(side: Side): Promise<void> {
  await pushImage(side, image, 'v1', 'v2', 'v3', 'latest');
}

const one =
  (method: string, tail: string, options?: Send) =>
  (side: Side): Promise<unknown> =>
    side.send(method, tail, options);

const manifest = `manifests/${image.digest}`;
const blob = `blobs/${layerDigest}`;
const range = (value: string): Send => ({ headers: { range: value } });
const unlessIts = (etag: string): Send => ({ headers: { 'if-none-match': etag } });
const accepting = (type: string): Send => ({ headers: { accept: type } });
const zeros = '0'.repeat(64);

const base: readonly Row[] = [
  ['the base (end-1)', (side) => side.sendBase('GET', '/v2/')],
  ['HEAD of the base', (side) => side.sendBase('HEAD', '/v2/')],
  ['the base without its slash', (side) => side.sendBase('GET', '/v2')],
  ['POST to the base', (side) => side.sendBase('POST', '/v2/')],
  ['the catalogue', (side) => side.sendBase('GET', `/v2/${side.prefix}_catalog`)],
  ['no endpoint at all', one('GET', 'nothing/here')],
];

const manifests: readonly Row[] = [
  ['a manifest by tag (end-3)', one('GET', 'manifests/v1')],
  ['HEAD of a manifest by tag', one('HEAD', 'manifests/v1')],
  ['a manifest by digest', one('GET', manifest)],
  ['HEAD of a manifest by digest', one('HEAD', manifest)],
  ['a manifest by digest, anything accepted', one('GET', manifest, accepting('*/*'))],
  ['a manifest by tag, its type accepted', one('GET', 'manifests/v1', accepting(typeOf(image)['content-type']))],
  ['a manifest by tag, another type accepted', one('GET', 'manifests/v1', accepting(typeOf(index)['content-type']))],
  ['a manifest whose ETag is known', one('GET', 'manifests/v1', unlessIts(`"${image.digest}"`))],
  ['HEAD of a manifest whose ETag is known', one('HEAD', 'manifests/v1', unlessIts(`"${image.digest}"`))],
  ['a manifest with another ETag', one('GET', 'manifests/v1', unlessIts(`"${absent}"`))],
  ['a range of a manifest', one('GET', manifest, range('bytes=0-9'))],
  ['an unknown tag', one('GET', 'manifests/none')],
  ['HEAD of an unknown tag', one('HEAD', 'manifests/none')],
  ['a manifest by unknown digest', one('GET', `manifests/${absent}`)],
  ['a manifest by a digest of too few digits', one('GET', 'manifests/sha256:abc')],
  ['a manifest by a digest of an unknown algorithm', one('GET', `manifests/md5:${zeros}`)],
  ['a manifest by an unknown SHA-512 digest', one('GET', `manifests/sha512:${zeros}${zeros}`)],
  ['a tag that is no tag', one('GET', 'manifests/-v1')],
  ['a tag of 128 characters', one('GET', `manifests/${'v'.repeat(128)}`)],
  ['a tag of 129 characters', one('GET', `manifests/${'v'.repeat(129)}`)],
  ['a manifest of an unknown repository', (side) => side.sendOther('GET', 'manifests/v1')],
  ['a repository that is no name', one('GET', 'Upper/manifests/v1')],
  ['a repository with two separators', one('GET', 'a..b/manifests/v1')],
  ['a manifest with a query', one('GET', 'manifests/v1?ns=docker.io')],
  ['POST to a manifest', one('POST', 'manifests/v1')],
  ['PATCH of a manifest', one('PATCH', 'manifests/v1')],
  ['OPTIONS of a manifest', one('OPTIONS', 'manifests/v1')],
];

const blobs: readonly Row[] = [
  ['a blob (end-2)', one('GET', blob)],
  ['HEAD of a blob', one('HEAD', blob)],
  ['the first bytes of a blob', one('GET', blob, range('bytes=0-9'))],
  ['a blob from a byte on', one('GET', blob, range('bytes=100-'))],
  ['the last bytes of a blob', one('GET', blob, range('bytes=-7'))],
  ['a range beyond the end of a blob', one('GET', blob, range('bytes=99999999-'))],
  ['a range that is none', one('GET', blob, range('bytes=b-a'))],
  ['two ranges of which one is empty', one('GET', blob, range('bytes=0-1,99999999-'))],
  ['HEAD of a range of a blob', one('HEAD', blob, range('bytes=0-9'))],
  ['a blob whose ETag is known', one('GET', blob, unlessIts(`"${layerDigest}"`))],
  ['a blob with another ETag', one('GET', blob, unlessIts(`"${absent}"`))],
  [
    'a range of a blob if it is still that',
    one('GET', blob, { headers: { range: 'bytes=0-9', 'if-range': `"${layerDigest}"` } }),
  ],
  ['an unknown blob', one('GET', `blobs/${absent}`)],
  ['HEAD of an unknown blob', one('HEAD', `blobs/${absent}`)],
  ['a blob by a digest of too few digits', one('GET', 'blobs/sha256:abc')],
  ['HEAD of a blob by a digest of too few digits', one('HEAD', 'blobs/sha256:abc')],
  ['a blob by something that is no digest', one('GET', 'blobs/latest')],
  ['a blob by an unknown SHA-512 digest', one('GET', `blobs/sha512:${zeros}${zeros}`)],
  ['a blob of an unknown repository', (side) => side.sendOther('GET', blob)],
  ['PUT of a blob', one('PUT', blob, { body: 'bytes' })],
  ['POST to a blob', one('POST', blob)],
];

const lists: readonly Row[] = [
  ['the tags (end-8a)', one('GET', 'tags/list')],
  ['HEAD of the tags', one('HEAD', 'tags/list')],
  ['a page of tags (end-8b)', one('GET', 'tags/list?n=2')],
  ['the next page of tags', one('GET', 'tags/list?n=2&last=v1')],
  ['tags after one that is not there', one('GET', 'tags/list?last=none')],
  ['tags after the last', one('GET', 'tags/list?n=2&last=zzz')],
  ['a page of no tags', one('GET', 'tags/list?n=0')],
  ['a page of fewer than no tags', one('GET', 'tags/list?n=-1')],
  ['a page of words', one('GET', 'tags/list?n=two')],
  ['a page of very many tags', one('GET', 'tags/list?n=100000')],
  ['tags of an unknown repository', (side) => side.sendOther('GET', 'tags/list')],
  ['POST to the tags', one('POST', 'tags/list')],
  ['DELETE of the tags', one('DELETE', 'tags/list')],
  ['referrers (end-12a)', one('GET', `referrers/${image.digest}`)],
  ['referrers of one type (end-12b)', one('GET', `referrers/${image.digest}?artifactType=application/vnd.example`)],
  ['referrers of nothing', one('GET', `referrers/${absent}`)],
  ['referrers of something that is no digest', one('GET', 'referrers/v1')],
];

/** Rows that change nothing: all share a repository. */
export const reading: readonly Row[] = [...base, ...manifests, ...blobs, ...lists];
