import { digestOf } from '../digest.ts';
import type { ManifestBytes } from '../image.ts';
import { type HttpAnswer, jsonAnswer, ociError } from './answer.ts';
import type { Exchange } from './exchange.ts';
import { parseManifest } from './manifests.ts';
import type { Store } from './store.ts';

/** GET of `/v2/<name>/tags/list`. */
export function answerTags(exchange: Exchange, store: Store, name: string): HttpAnswer {
  const repository = store.find(name);
  if (repository === undefined) return ociError(404, 'NAME_UNKNOWN', `no repository ${name}`);
  const { page, headers } = paginate([...repository.tags.keys()].sort(), exchange.url);
  return jsonAnswer(200, { name, tags: page }, headers);
}

/** GET of `/v2/_catalog`. */
export function answerCatalog(exchange: Exchange, store: Store): HttpAnswer {
  const { page, headers } = paginate(store.names(), exchange.url);
  return jsonAnswer(200, { repositories: page }, headers);
}

/** GET of `/v2/<name>/referrers/<digest>`. */
export function answerReferrers(exchange: Exchange, store: Store, name: string, subject: string): HttpAnswer {
  const wanted = exchange.url.searchParams.get('artifactType');
  const referrers = [...(store.find(name)?.manifests.values() ?? [])]
    .flatMap((manifest) => referrerDescriptor(manifest, subject) ?? [])
    .filter(({ artifactType }) => wanted === null || artifactType === wanted);
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const filters: Record<string, string> = wanted === null ? {} : { 'oci-filters-applied': 'artifactType' };
  return jsonAnswer(
    200,
    { schemaVersion: 2, mediaType, manifests: referrers },
    { 'content-type': mediaType, ...filters },
  );
}

function referrerDescriptor({ mediaType, bytes }: ManifestBytes, subject: string) {
  const fields = parseManifest(bytes);
  if (fields?.subject?.digest !== subject) return undefined;
  const artifactType = fields.artifactType ?? fields.config?.mediaType;
  return { mediaType, digest: digestOf(bytes), size: bytes.length, artifactType, annotations: fields.annotations };
}

/** One page of sorted entries, and the Link to the next (distribution-spec, «Listing tags»). */
function paginate(entries: readonly string[], url: URL): { page: string[]; headers: Record<string, string> } {
  const last = url.searchParams.get('last') ?? '';
  const rest = entries.filter((entry) => entry > last);
  const size = url.searchParams.has('n') ? Number(url.searchParams.get('n')) : rest.length;
  const page = rest.slice(0, size);
  const end = page.at(-1);
  if (end === undefined || rest.length <= size) return { page, headers: {} };
  const next = new URLSearchParams({ last: end, n: String(size) });
  return { page, headers: { link: `<${url.pathname}?${next}>; rel="next"` } };
}
