import { parseConnectorPath } from '../connectors/address.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { isRepository } from '../connectors/image-reference.ts';
import { queryNames } from './query-names.ts';
import type { RepositoryRoute } from './route.ts';
import { upstreamRepository } from './upstream-repository.ts';

/** A blob that is to be mounted from another repository instead of being uploaded (distribution-spec, end-11). */
export interface Mount {
  /** Of the same connector, as the caller names it. */
  readonly from: string;
  /** As the registry's API names it. */
  readonly upstream: string;
}

/** The parameters that make a mount of an upload's beginning. */
const parameters: ReadonlySet<string> = new Set(['mount', 'from']);

/**
 * The mount that an upload begins with, where it is one within the connector. A repository of another connector is
 * another registry's for all we know, and there the blob has to be uploaded, as the specification allows.
 */
export function mountOf(route: RepositoryRoute, connector: ResolvedConnector): Mount | undefined {
  const query = new URLSearchParams(route.query);
  const from = query.get('from');
  if (from === null || query.get('mount') === null) return undefined;
  const named = route.isIntercepted ? undefined : parseConnectorPath(from);
  const { namespace, name } = route.connector;
  if (named !== undefined && (named.connector.namespace !== namespace || named.connector.name !== name))
    return undefined;
  const repository = named?.rest ?? from;
  if (!isRepository(repository)) return undefined;
  try {
    return { from: repository, upstream: upstreamRepository(connector, repository) };
  } catch {
    return undefined;
  }
}

/** The query that begins an upload: with the mount in the registry's words, or without any. */
export function mountQuery(query: string, mount: Mount | undefined): string {
  const pairs = query
    .slice(1)
    .split('&')
    .filter((pair) => pair !== '');
  const kept = pairs.flatMap((pair) => {
    const [name = '', ...others] = queryNames(pair);
    if (![name, ...others].some((one) => parameters.has(one))) return [pair];
    if (mount === undefined || others.length > 0) return [];
    return [name === 'from' ? `from=${encodeURIComponent(mount.upstream)}` : pair];
  });
  return kept.length === 0 ? '' : `?${kept.join('&')}`;
}
