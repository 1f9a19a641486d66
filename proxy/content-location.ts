import type { RepositoryRoute } from './route.ts';

/** With what our own routes take for a tag or digest, and nothing that is encoded: `%2e%2e%2f` is somewhere else to some. */
const contentPath = /^\/v2\/(.+)\/((?:manifests|blobs)\/[\w.:+=@~-]+)$/;

/**
 * Where the caller finds what it has pushed: the registry's `Location` in the caller's own words. One that is not of the
 * registry's API (a content network's, say) is replaced by the digest's; undefined where there is none either.
 * @param asked the URL whose answer has the Location, which may be relative to it
 * @param repository as the registry names it
 */
export function contentLocation(
  location: string,
  asked: URL,
  repository: string,
  { endpoint, base }: Pick<RepositoryRoute, 'endpoint' | 'base'>,
  digest: string | undefined,
): string | undefined {
  const url = URL.canParse(location, asked) ? new URL(location, asked) : undefined;
  const [, named, tail] = contentPath.exec(url?.pathname.replace(/%3a/gi, ':') ?? '') ?? [];
  if (url?.origin === asked.origin && named === repository) return `${base}${tail}`;
  if (digest === undefined) return undefined;
  return `${base}${endpoint.kind === 'manifests' ? 'manifests' : 'blobs'}/${digest}`;
}
