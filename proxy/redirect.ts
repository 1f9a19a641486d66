import type { IncomingHttpHeaders } from 'node:http';
import { isWithinPath } from '../connectors/registry-address.ts';
import type { Grant, GrantWant } from '../credentials/grant.ts';
import { ProxyError } from '../platform/errors.ts';
import type { RegistryTransport } from '../platform/transport.ts';
import { isEcho } from './refusal.ts';

const statuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export const isRedirect = (status: number, headers: IncomingHttpHeaders): boolean =>
  statuses.has(status) && headers.location !== undefined;

export interface RedirectFrom {
  readonly transport: RegistryTransport;
  /** Where the request was for, at the registry. */
  readonly start: URL;
  /** What was asked last, and answered with the redirect. */
  readonly url: URL;
  readonly want: GrantWant;
  readonly grant: Grant;
}

/**
 * Whether a path is of the registry API to a server that decodes, folds case, drops parameters of path components or joins
 * slashes before it looks. What such a server would take for the API has to be spelled as the API is.
 */
export function mayBeApi(pathname: string): boolean {
  const spelled = percentDecoded(percentDecoded(pathname))
    .replace(/;[^/\\]*/g, '')
    .replace(/[/\\]+/g, '/')
    .toLowerCase();
  return spelled === '/v2' || spelled.startsWith('/v2/');
}

const percentDecoded = (text: string): string =>
  text.replace(/%[0-9a-f]{2}/gi, (digits) => String.fromCharCode(Number.parseInt(digits.slice(1), 16)));

/**
 * Where a redirect leads. It must not be a way around the connector's path, nor a way out for our grant.
 * @throws TargetForbiddenError; ProxyError REPOSITORY_OUTSIDE or UPSTREAM_PROTOCOL
 */
export async function redirectTarget(
  location: string,
  { transport, start, url, want, grant }: RedirectFrom,
): Promise<URL> {
  const target = await transport.target(location, url.href);
  const { pathPrefix } = want.connector.address;
  const isApi = target.origin === start.origin && mayBeApi(target.pathname);
  const repository = target.pathname.slice('/v2/'.length);
  const isWithin = target.pathname.startsWith('/v2/') && isWithinPath(repository, pathPrefix);
  // Names need no percent signs, and who decodes `..%2f` is somewhere else.
  if (isApi && (!isWithin || (pathPrefix !== '' && repository.includes('%')))) {
    throw new ProxyError('REPOSITORY_OUTSIDE', `the registry sends us out of ${pathPrefix}, which is all it serves`);
  }
  if (isEcho(target.href, grant)) {
    throw new ProxyError('UPSTREAM_PROTOCOL', 'the registry repeats our credential in a redirect');
  }
  return target;
}
