import { isIP } from 'node:net';
import fc from 'fast-check';
import {
  connectorHost,
  connectorPath,
  formatKey,
  isConnectorName,
  isNamespaceName,
  parseConnectorHost,
  parseConnectorPath,
  parseKey,
} from '../../connectors/address.ts';
import {
  canonicalRegistry,
  formatImageReference,
  isRepository,
  parseImageReference,
  repositoryOf,
} from '../../connectors/image-reference.ts';
import { isWithinPath, parseRegistryAddress } from '../../connectors/registry-address.ts';
import { ProxyError } from '../../platform/errors.ts';
import { interceptedRoute } from '../../proxy/forward-proxy-route.ts';
import { parseRoute, type RepositoryRoute, type Route } from '../../proxy/route.ts';
import { upstreamRepository } from '../../proxy/upstream-repository.ts';
import { labels, references, repositories } from '../connectors/arbitraries.ts';
import { resolvedConnector } from '../proxy/support/resolved-connector.ts';
import { type Fuzzed, fuzzed, mutated, promise, unlessRefused } from './fuzzed.ts';
import { readGenericUrl, readingsOfPath } from './generic-url.ts';

const digest = `sha256:${'a1'.repeat(32)}`;
const tails = fc.constantFrom(
  ...['manifests/v1', `manifests/${digest}`, `blobs/${digest}`, 'blobs/uploads/', 'blobs/uploads', 'tags/list'],
  ...['blobs/uploads/key.c2VhbGVk', `referrers/${digest}`, 'tags/list?n=1&last=b', `blobs/uploads/?mount=${digest}`],
);
const keys = fc.record({ namespace: labels, name: labels });
const caller = { name: 'ci' };
const whole = resolvedConnector('https://registry.example.com');
const limited = resolvedConnector('https://registry.example.com:5000/team/inner');
const hub = resolvedConnector('docker.io');
const refusals: ReadonlySet<string> = new Set([
  ...['NAME_INVALID', 'REFERENCE_INVALID', 'REQUEST_INVALID', 'ROUTE_UNKNOWN', 'UPLOAD_UNKNOWN', 'REPOSITORY_OUTSIDE'],
]);
const isRefusal = (error: unknown): boolean => error instanceof ProxyError && refusals.has(error.code);

/** The URL that goes to the registry, put together as the data path does it, is this repository's and no other's. */
function checkUpstream(route: RepositoryRoute, connectors = [whole, limited, hub]): void {
  const { tail, query } = route;
  promise(/^[a-z0-9._/-]+$/.test(route.repository), 'a repository has letters, digits and . _ - /', route);
  // What it is sealed from is all that goes to the registry.
  if (route.endpoint.kind === 'upload') return;
  promise(
    !/[%\\\0-\x20\x7f]|(^|\/)\.{0,2}(\/|$)/.test(`${route.repository}/${tail.replace(/\/$/, '')}`),
    'dots',
    route,
  );
  for (const connector of connectors) {
    const repository = unlessRefused(() => upstreamRepository(connector, route.repository), isRefusal);
    if (repository === undefined) continue;
    promise(isWithinPath(repository, connector.address.pathPrefix), 'outside of the prefix', repository);
    const url = new URL(`${connector.address.origin}/v2/${repository}/${tail}${query}`);
    const sent = readGenericUrl(connector.address.origin + url.pathname + url.search);
    promise(`${sent.scheme}://${sent.authority}` === connector.address.origin, 'another origin', sent);
    promise(sent.fragment === undefined && /^\/[\x21-\x7e]*$/.test(url.pathname + url.search), 'not a target', sent);
    for (const reading of readingsOfPath(sent.path)) {
      promise(`${reading}/`.startsWith(`/v2/${repository}/`), 'another repository', { reading, repository });
    }
  }
}

const pathForms = fc.tuple(keys, repositories, tails).map(([key, repository, tail]) => ({
  host: 'localhost:7450',
  target: `/v2/${connectorPath(key)}/${repository}/${tail}`,
}));
const hostForms = fc.tuple(keys, repositories, tails).map(([key, repository, tail]) => ({
  host: connectorHost(key),
  target: `/v2/${repository}/${tail}`,
}));
const requests = fc.oneof(pathForms, hostForms).chain(({ host, target }) =>
  fc.record({
    host: fc.oneof({ weight: 3, arbitrary: fc.constant(host) }, mutated(fc.constant(host)), fc.constant(undefined)),
    target: mutated(fc.constant(target)),
  }),
);

/** The connector that a target or else a host names, read without an expression of the product. */
function namedBy(target: string, host: string | undefined): string | undefined {
  const [, , word, namespace = '', second, name = ''] = (target.split('?')[0] ?? '').split('/');
  const isPathForm = word === 'namespaces' && second === 'connectors';
  if (isPathForm && isNamespaceName(namespace) && isConnectorName(name)) return `${namespace}/${name}`;
  const [first = '', other = ''] = (host ?? '').split(':')[0]?.split('.') ?? [];
  return first.toLowerCase().startsWith('c-') ? `${other}/${first.slice(2)}`.toLowerCase() : undefined;
}

function checkRoute(route: Route | undefined, target: string): asserts route is RepositoryRoute {
  if (route === undefined || route.kind === 'base') return;
  const { base, tail, query } = route;
  promise(base + tail + query === target, 'a route is all of its target', route);
}

const route = fuzzed(
  'request target and Host → route',
  fc.property(requests, ({ target, host }) => {
    const found = unlessRefused(() => parseRoute(target, host), isRefusal);
    if (found === undefined || found.kind === 'base') return;
    checkRoute(found, target);
    promise(formatKey(found.connector) === namedBy(target, host), 'another connector', { target, host, found });
    checkUpstream(found);
  }),
);

const intercepted = fuzzed(
  'target within a tunnel → route',
  fc.property(
    mutated(
      fc
        .tuple(fc.constantFrom('', 'team/', 'team/inner/', 'library/'), repositories, tails)
        .map(([prefix, repository, tail]) => `/v2/${prefix}${repository}/${tail}`),
    ),
    fc.subarray([whole, limited], { minLength: 1 }),
    (target, connectors) => {
      const found = unlessRefused(() => interceptedRoute(target, connectors, caller), isRefusal);
      if (found === undefined || found.kind === 'base') return;
      checkRoute(found, target);
      promise(found.isIntercepted === true, 'an intercepted route says so');
      const own = connectors.filter(({ address }) => isWithinPath(found.repository, address.pathPrefix));
      promise(own.length > 0, 'outside of all connectors', found.repository);
      checkUpstream(found, own);
    },
  ),
);

const host = fuzzed(
  'Host → connector',
  fc.property(
    mutated(
      fc
        .tuple(keys, fc.constantFrom('', ':80', ':65535', '.', '.svc', ':'), fc.boolean())
        .map(([key, end, isUpper]) => (isUpper ? connectorHost(key).toUpperCase() : connectorHost(key)) + end),
    ),
    (text) => {
      const key = parseConnectorHost(text);
      if (key === undefined) return;
      promise(isNamespaceName(key.namespace) && isConnectorName(key.name), 'names that are none', key);
      const start = `c-${key.name}.${key.namespace}`;
      promise(text.toLowerCase().startsWith(start), 'a name that is not there', { text, key });
      promise(/^(?:[.:]|$)/.test(text.slice(start.length)), 'a part of a label', { text, key });
    },
  ),
);

const address = fuzzed(
  'image address → connector',
  fc.property(
    mutated(fc.tuple(keys, repositories).map(([key, repository]) => `${connectorPath(key)}/${repository}`)),
    (text) => {
      const found = parseConnectorPath(text);
      const key = parseKey(text, 'demo');
      if (key !== undefined) promise(isNamespaceName(key.namespace) && isConnectorName(key.name), 'no key', key);
      if (found === undefined) return;
      const written = connectorPath(found.connector);
      const isSame = text === written || text === `${written}/${found.rest}`;
      promise(isSame, 'not what was written', { text, found });
      const { namespace, name } = found.connector;
      promise(isNamespaceName(namespace) && isConnectorName(name), 'names that are none', found);
    },
  ),
);

const reference = fuzzed(
  'image reference',
  fc.property(mutated(references), (text) => {
    const parsed = parseImageReference(text);
    if (!parsed.ok) return;
    const { reference: found } = parsed;
    promise(formatImageReference(found) === text, 'not what was written', { text, found });
    promise(isRepository(repositoryOf(found)), 'no repository', found);
    promise(canonicalRegistry(found.registry) === found.registry, 'not canonical', found);
    promise(!/[\0-\x20\x7f-\uffff\\%?#]/.test(text), 'characters that no reference has', text);
    // Where a URL parser finds a host in it, it is this one, or an address that is written in another way.
    if (!URL.canParse(`http://${found.registry}`)) return;
    const { hostname } = new URL(`http://${found.registry}`);
    const isHost = `${found.registry}:`.startsWith(`${hostname}:`) || isIP(hostname) === 4;
    promise(isHost, 'another host', { registry: found.registry, hostname });
  }),
);

const registry = fuzzed(
  'registry address',
  fc.property(
    mutated(
      fc
        .tuple(fc.constantFrom('https://', 'http://', ''), fc.domain(), fc.constantFrom('', ':5000'), repositories)
        .map((parts) => parts.slice(0, 3).join('') + (parts[3] === '' ? '' : `/${parts[3]}`)),
    ),
    (text) => {
      const parsed = parseRegistryAddress(text);
      if (!parsed.ok) return;
      const { origin, registries, pathPrefix } = parsed.address;
      const read = readGenericUrl(origin);
      promise(read.scheme === 'https' || read.scheme === 'http', 'another scheme', origin);
      promise(!/[@\s\\%]/.test(read.authority) && read.authority !== '', 'more than a host', origin);
      promise(new URL(origin).origin === origin, 'not an origin', origin);
      promise(pathPrefix === '' || isRepository(pathPrefix), 'no prefix', pathPrefix);
      promise(registries.length > 0, 'no name', registries);
      promise(
        registries.every((name) => canonicalRegistry(name) === name),
        'not canonical',
        registries,
      );
    },
  ),
);

export const addresses: readonly Fuzzed[] = [route, intercepted, host, address, reference, registry];
