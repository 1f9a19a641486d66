import type { ResolvedConnector } from '../connectors/connector.ts';
import { apiRepository } from '../connectors/image-reference.ts';
import { isWithinPath } from '../connectors/registry-address.ts';
import { ProxyError } from '../platform/errors.ts';

/**
 * A caller's repository as the registry's API names it.
 * @throws ProxyError REPOSITORY_OUTSIDE
 */
export function upstreamRepository({ address }: ResolvedConnector, repository: string): string {
  const upstream = apiRepository(address.registries[0] ?? '', repository);
  if (isWithinPath(upstream, address.pathPrefix)) return upstream;
  const message = `it serves ${address.pathPrefix} and what is below, and not ${upstream}`;
  throw new ProxyError('REPOSITORY_OUTSIDE', message);
}
