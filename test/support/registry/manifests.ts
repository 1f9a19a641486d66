import { digestOf } from '../digest.ts';
import { bytesAnswer, emptyAnswer, type HttpAnswer, ociError } from './answer.ts';
import { matchesEtag } from './blobs.ts';
import { type Exchange, readBody } from './exchange.ts';
import type { Repository, Store } from './store.ts';

interface Target {
  readonly repository: string;
  readonly reference: string;
}

/** What the registry reads of a manifest. */
export interface ManifestFields {
  readonly config?: { readonly digest: string; readonly mediaType: string };
  readonly layers?: readonly { readonly digest: string; readonly urls?: readonly string[] }[];
  readonly manifests?: readonly { readonly digest: string }[];
  readonly subject?: { readonly digest: string };
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** GET, HEAD, PUT and DELETE of `/v2/<name>/manifests/<reference>`. */
export async function answerManifest(exchange: Exchange, store: Store, target: Target): Promise<HttpAnswer> {
  if (exchange.method === 'PUT') return putManifest(exchange, store.open(target.repository), target);
  const repository = store.find(target.repository);
  const digest = isDigest(target.reference) ? target.reference : repository?.tags.get(target.reference);
  const manifest = repository?.manifests.get(digest ?? '');
  if (repository === undefined || digest === undefined || manifest === undefined) {
    return ociError(404, 'MANIFEST_UNKNOWN', `${target.repository} has no manifest ${target.reference}`);
  }
  if (exchange.method === 'DELETE') return deleteManifest(repository, target.reference);
  const etag = `"${digest}"`;
  if (matchesEtag(exchange.headers['if-none-match'], etag)) return emptyAnswer(304, { etag });
  const headers = { etag, 'content-type': manifest.mediaType, 'docker-content-digest': digest };
  return bytesAnswer(200, headers, manifest.bytes);
}

function deleteManifest(repository: Repository, reference: string): HttpAnswer {
  if (!isDigest(reference)) repository.tags.delete(reference);
  else {
    repository.manifests.delete(reference);
    for (const [tag, digest] of repository.tags) if (digest === reference) repository.tags.delete(tag);
  }
  return emptyAnswer(202);
}

async function putManifest(exchange: Exchange, repository: Repository, target: Target): Promise<HttpAnswer> {
  const bytes = await readBody(exchange);
  const digest = digestOf(bytes);
  const mediaType = exchange.headers['content-type'] ?? '';
  if (isDigest(target.reference) && target.reference !== digest) {
    return ociError(400, 'DIGEST_INVALID', `the manifest is ${digest}`);
  }
  const fields = parseManifest(bytes);
  if (fields === undefined) return ociError(400, 'MANIFEST_INVALID', 'the manifest is no JSON object');
  const missing = missingContent(fields, repository);
  if (missing !== undefined) return ociError(400, 'MANIFEST_BLOB_UNKNOWN', `${target.repository} lacks ${missing}`);
  repository.manifests.set(digest, { mediaType, bytes });
  if (!isDigest(target.reference)) repository.tags.set(target.reference, digest);
  const location = `/v2/${target.repository}/manifests/${digest}`;
  const subject: Record<string, string> = fields.subject === undefined ? {} : { 'oci-subject': fields.subject.digest };
  return emptyAnswer(201, { location, 'docker-content-digest': digest, ...subject });
}

/** Reads a manifest or index; undefined when it is none. */
export function parseManifest(bytes: Uint8Array): ManifestFields | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A subject may be missing: the distribution-spec wants its referrers to be accepted before it. */
function missingContent(fields: ManifestFields, repository: Repository): string | undefined {
  const ownLayers = fields.layers?.filter((layer) => layer.urls === undefined) ?? [];
  const blobs = [...(fields.config === undefined ? [] : [fields.config]), ...ownLayers];
  return (
    blobs.find(({ digest }) => !repository.blobs.has(digest))?.digest ??
    fields.manifests?.find(({ digest }) => !repository.manifests.has(digest))?.digest
  );
}

function isDigest(reference: string): boolean {
  return reference.includes(':');
}
