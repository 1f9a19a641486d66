import type { Dispatcher } from 'undici';
import { connectorPath } from '../connectors/address.ts';
import { ProxyError } from '../platform/errors.ts';
import { relayPath } from './agent-protocol.ts';
import type { Held } from './relay.ts';
import type { RepositoryRoute } from './route.ts';

/** How an agent sends a request through the centre. */
export interface CentreRoute {
  readonly origin: string;
  readonly dispatcher: Dispatcher;
  /** What identifies agent and caller; asked for with each request, because an agent's token changes. */
  headers(): Readonly<Record<string, string>>;
}

/** The centre's address of a request: always in path form, whatever form the caller wrote. */
export function centreUrl({ origin }: CentreRoute, { connector, repository, tail, query }: RepositoryRoute): URL {
  return new URL(`${origin}${relayPath}/v2/${connectorPath(connector)}/${repository}/${tail}${query}`);
}

/** Registries' refusals come as 403: a 401 of the centre's is about the caller, with our challenge, or else about us. */
export function refusalOfCentre({ status, headers }: Held): Error {
  if (status === 401 && headers['www-authenticate'] !== undefined) {
    return new ProxyError('CALLER_UNKNOWN', 'the token is not known here any more');
  }
  const message = `the centre refused to relay with ${status}`;
  return new ProxyError('CENTRE_UNREACHABLE', message, { headers: { 'retry-after': '2' } });
}
