import { type ConnectorKey, parseConnectorHost, parseConnectorPath } from '../connectors/address.ts';
import { isRepository } from '../connectors/image-reference.ts';
import { ProxyError } from '../platform/errors.ts';
import { printable } from '../platform/printable.ts';

/** What a request asks of the registry API (distribution-spec 1.1, «Endpoints»). */
export type Endpoint =
  | { readonly kind: 'manifests'; readonly reference: string }
  | { readonly kind: 'blobs'; readonly digest: string }
  | { readonly kind: 'tags' }
  | { readonly kind: 'referrers'; readonly digest: string }
  /** Where uploads of blobs begin. */
  | { readonly kind: 'uploads' }
  /** An upload under way, at the address that we answered with: see upload-address.ts. */
  | { readonly kind: 'upload'; readonly sealed: string };

/** A request about a repository of a connector. */
export interface RepositoryRoute {
  readonly kind: 'repository';
  readonly connector: ConnectorKey;
  /** As the caller names it, without the connector. */
  readonly repository: string;
  readonly endpoint: Endpoint;
  /** What the caller wrote before the endpoint: `/v2/` and the name, in path or host form or as the registry has it. */
  readonly base: string;
  /** `manifests/v1`, `tags/list`, … */
  readonly tail: string;
  /** The query with its question mark, or empty; handed through as it is. */
  readonly query: string;
  /** The caller speaks to the registry by its own name, through the forward proxy: names in requests are the registry's. */
  readonly isIntercepted?: true;
}

export type Route =
  /** `/v2/`: is there a registry, and who am I to it. */
  { readonly kind: 'base' } | RepositoryRoute;

const tailForms: readonly { readonly pattern: RegExp; endpoint(argument: string): Endpoint }[] = [
  { pattern: /^(.+)\/(manifests\/([^/]+))$/, endpoint: (reference) => ({ kind: 'manifests', reference }) },
  // Before blobs, of which `uploads` would be one otherwise.
  { pattern: /^(.+)\/(blobs\/uploads\/?)$/, endpoint: () => ({ kind: 'uploads' }) },
  { pattern: /^(.+)\/(blobs\/uploads\/([^/]+))$/, endpoint: (sealed) => ({ kind: 'upload', sealed }) },
  { pattern: /^(.+)\/(blobs\/([^/]+))$/, endpoint: (digest) => ({ kind: 'blobs', digest }) },
  { pattern: /^(.+)\/(tags\/list)$/, endpoint: () => ({ kind: 'tags' }) },
  { pattern: /^(.+)\/(referrers\/([^/]+))$/, endpoint: (digest) => ({ kind: 'referrers', digest }) },
];

const targetLengthMax = 8192;
/** Addresses of uploads hold one of the registry's, and those are long where they are signed. */
const uploadTargetLengthMax = 16_384;

/**
 * Reads a request target. Names are taken as they stand: they need no percent signs and no dots as components, so
 * nothing is decoded or resolved that could name another connector or another path upstream.
 * @throws ProxyError NAME_INVALID, REQUEST_INVALID or ROUTE_UNKNOWN
 */
export function parseRoute(target: string, host: string | undefined): Route {
  const lengthMax = target.includes('/blobs/uploads/') ? uploadTargetLengthMax : targetLengthMax;
  if (target.length > lengthMax) throw new ProxyError('REQUEST_INVALID', 'the request target is too long');
  if (!target.startsWith('/')) throw new ProxyError('REQUEST_INVALID', 'this is a registry, not a forward proxy');
  const question = target.indexOf('?');
  const path = question === -1 ? target : target.slice(0, question);
  const query = question === -1 ? '' : target.slice(question);
  if (path === '/v2/' || path === '/v2') return { kind: 'base' };
  if (!path.startsWith('/v2/'))
    throw new ProxyError('ROUTE_UNKNOWN', `there is nothing here: the registry API is below /v2/`);
  const name = path.slice('/v2/'.length);
  const named = parseConnectorPath(name) ?? connectorOfHost(host, name);
  if (named === undefined) {
    const hint = 'write /v2/namespaces/<namespace>/connectors/<connector>/<repository>/…';
    throw new ProxyError('ROUTE_UNKNOWN', `the address names no connector: ${hint}`);
  }
  return { ...parseEndpoint(named.rest, path, query), connector: named.connector };
}

/** In what is no host, somebody on the way may have read another one than we do. */
const hostForm = /^[A-Za-z0-9.-]+(?::\d*)?$/;

function connectorOfHost(host: string | undefined, rest: string) {
  const connector = host === undefined || !hostForm.test(host) ? undefined : parseConnectorHost(host);
  return connector === undefined ? undefined : { connector, rest };
}

type EndpointPart = Omit<RepositoryRoute, 'connector'>;

/** Without a fragment, which no target has, and without what the URL parser would leave out of it. */
const queryForm = /^[\x21\x22\x24-\x7e]*$/;

/**
 * Reads what follows `/v2/` and the connector: a repository and an endpoint of the registry API.
 * @param rest without the query
 * @param path the whole path as the caller wrote it, of which `rest` is the end
 * @throws ProxyError NAME_INVALID, REFERENCE_INVALID, REQUEST_INVALID, ROUTE_UNKNOWN or UPLOAD_UNKNOWN
 */
export function parseEndpoint(rest: string, path: string, query: string): EndpointPart {
  if (!queryForm.test(query)) throw new ProxyError('REQUEST_INVALID', 'the query holds what no query does');
  for (const { pattern, endpoint } of tailForms) {
    const match = pattern.exec(rest);
    if (match === null) continue;
    const [, repository = '', tail = '', argument = ''] = match;
    if (!isRepository(repository))
      throw new ProxyError('NAME_INVALID', `"${printable(repository, 80)}" is not a repository name`);
    const found = endpoint(argument);
    checkArgument(found, argument);
    return { kind: 'repository', repository, endpoint: found, tail, base: path.slice(0, -tail.length), query };
  }
  throw new ProxyError(
    'ROUTE_UNKNOWN',
    'there is no such endpoint; there are manifests, blobs, blobs/uploads, tags/list and referrers',
  );
}

/** Enough for every tag, digest and upload, good or bad; nothing that a URL or a registry's router would read as more. */
const safeArgument = /^(?!\.{1,2}$)[A-Za-z0-9_.:+=@~-]+$/;
const argumentLengthMax = 1024;

/** What else stands there, we have not made; ".." would lead out of the repository. */
const sealedForm = /^(?!\.{1,2}$)[A-Za-z0-9_.-]+$/;

/** What is neither tag nor digest is the registry's to refuse, in its own words, as long as it can be nothing else. */
function checkArgument({ kind }: Endpoint, argument: string): void {
  if (kind === 'tags' || kind === 'uploads') return;
  if (kind === 'upload') {
    if (sealedForm.test(argument)) return;
    throw new ProxyError('UPLOAD_UNKNOWN', 'no such upload is known: begin it anew');
  }
  if (safeArgument.test(argument) && argument.length <= argumentLengthMax) return;
  const wanted = kind === 'manifests' ? 'a tag or digest' : 'a digest';
  throw new ProxyError('REFERENCE_INVALID', `"${printable(argument, 80)}" is not ${wanted}`);
}
