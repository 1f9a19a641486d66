import type { ResolvedConnector } from '../connectors/connector.ts';
import { apiRepository } from '../connectors/image-reference.ts';
import { isWithinPath } from '../connectors/registry-address.ts';
import type { Caller } from '../credentials/grant.ts';
import { ProxyError } from '../platform/errors.ts';
import { parseEndpoint, type Route } from './route.ts';

const root = '/v2/';
const targetLengthMax = 16_384;

/**
 * Reads the path of a request to a registry by its own name.
 * @param connectors those at that registry, at least one: the one with the longest path that holds the repository
 * serves it, of several the first
 * @throws ProxyError NAME_INVALID, REFERENCE_INVALID, REPOSITORY_OUTSIDE, REQUEST_INVALID or ROUTE_UNKNOWN
 */
export function interceptedRoute(target: string, connectors: readonly ResolvedConnector[], caller: Caller): Route {
  if (target.length > targetLengthMax) throw new ProxyError('REQUEST_INVALID', 'the request target is too long');
  if (!target.startsWith('/')) throw new ProxyError('REQUEST_INVALID', 'within the tunnel, a target begins with a /');
  const question = target.indexOf('?');
  const path = question === -1 ? target : target.slice(0, question);
  const query = question === -1 ? '' : target.slice(question);
  if (path === root || path === '/v2') return { kind: 'base' };
  if (!path.startsWith(root)) throw new ProxyError('ROUTE_UNKNOWN', explain(path));
  const route = parseEndpoint(path.slice(root.length), path, query);
  const { key } = connectorFor(route.repository, connectors, caller);
  return { ...route, connector: key, isIntercepted: true };
}

/** Some clients remember where a registry had its tokens made. */
function explain(path: string): string {
  const isForToken = /(?:^|\/)(?:token|auth)(?:\/|$)/.test(path);
  const hint = isForToken ? '; no token of the registry is needed here, the token of the proxy is enough' : '';
  return `the proxy serves the registry API of this host, below ${root}, and nothing else${hint}`;
}

function connectorFor(
  repository: string,
  connectors: readonly ResolvedConnector[],
  { name }: Caller,
): ResolvedConnector {
  const holds = ({ address }: ResolvedConnector): boolean =>
    isWithinPath(apiRepository(address.registries[0] ?? '', repository), address.pathPrefix);
  const [first, ...others] = connectors.filter(holds);
  if (first === undefined) {
    const paths = connectors.map(({ address }) => address.pathPrefix).join(', ');
    throw new ProxyError('REPOSITORY_OUTSIDE', `the connectors for this host serve ${paths} and what is below`, {
      caller: name,
    });
  }
  const lengthOf = ({ address }: ResolvedConnector): number => address.pathPrefix.length;
  return others.reduce((best, next) => (lengthOf(next) > lengthOf(best) ? next : best), first);
}
