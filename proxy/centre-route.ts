import type { Dispatcher } from 'undici';
import { connectorPath } from '../connectors/address.ts';
import { relayPath } from './agent-protocol.ts';
import type { Route } from './route.ts';

/** How an agent sends a request through the centre. */
export interface CentreRoute {
  readonly origin: string;
  readonly dispatcher: Dispatcher;
  /** What identifies agent and caller; asked for with each request, because an agent's token changes. */
  headers(): Readonly<Record<string, string>>;
}

/** The centre's address of a request: always in path form, whatever form the caller wrote. */
export function centreUrl(
  { origin }: CentreRoute,
  { connector, repository, tail, query }: Extract<Route, { kind: 'repository' }>,
): URL {
  return new URL(`${origin}${relayPath}/v2/${connectorPath(connector)}/${repository}/${tail}${query}`);
}
