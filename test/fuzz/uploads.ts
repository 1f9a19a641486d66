import { isIP } from 'node:net';
import { parse as parseQuery } from 'node:querystring';
import fc from 'fast-check';
import { isWithinPath } from '../../connectors/registry-address.ts';
import type { Grant } from '../../credentials/grant.ts';
import { ProxyError } from '../../platform/errors.ts';
import { zoneOf } from '../../platform/network-zone.ts';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import { RegistryTransport, TargetForbiddenError } from '../../platform/transport.ts';
import { contentLocation } from '../../proxy/content-location.ts';
import { rewriteLink } from '../../proxy/link.ts';
import { mountOf, mountQuery } from '../../proxy/mount.ts';
import { redirectTarget } from '../../proxy/redirect.ts';
import { parseRoute } from '../../proxy/route.ts';
import { openUpload, sealUpload, withCallersQuery } from '../../proxy/upload-address.ts';
import { repositories } from '../connectors/arbitraries.ts';
import { resolvedConnector } from '../proxy/support/resolved-connector.ts';
import { type Fuzzed, fuzzed, mutated, promise, unlessRefused } from './fuzzed.ts';
import { percentDecoded, readGenericUrl, readingsOfPath, readingsOfQuery } from './generic-url.ts';

const digest = `sha256:${'a1'.repeat(32)}`;
const base = '/v2/namespaces/demo/connectors/registry/team/app/';
const registry = resolvedConnector('https://registry.example.com/team', {
  username: 'robot',
  password: 'Secret/of=robot',
});
const grant: Grant = { kind: 'authorization', value: 'Bearer Token+Of/The~Grant=', expiresAt: 0 };
const secrets = ['Token+Of/The~Grant=', 'Secret/of=robot'];
const asked = new URL('https://registry.example.com/v2/team/app/blobs/uploads/1?digest=x');
const isUrlRefusal = (error: unknown): boolean =>
  error instanceof TargetForbiddenError ||
  (error instanceof ProxyError && ['REPOSITORY_OUTSIDE', 'UPSTREAM_PROTOCOL'].includes(error.code));

const froms = fc.constantFrom(
  ...['team/base', 'other/base', 'namespaces/demo/connectors/registry/team/base', 'team%2Fbase', 'team/../other'],
  ...['namespaces/other/connectors/secret/team/base', 'namespaces%2Fdemo%2Fconnectors%2Fregistry%2Fteam%2Fbase', ''],
);
const names = fc.constantFrom(
  ...[
    'from',
    'mount',
    'digest',
    'From',
    'MOUNT',
    'fr%6fm',
    '%66rom',
    'm%6Funt',
    '?from',
    'from[]',
    'from%00',
    '_state',
  ],
  ...['%5fstate', '_STATE', 'x;from', 'x;mount', ' from', '+from', 'sig', 's%69g', 'from\u0130', '__proto__', ''],
);
const pairs = fc
  .tuple(names, fc.constantFrom('=', '', '=='), fc.oneof(froms, fc.constant(digest)))
  .map((p) => p.join(''));
const queries = fc
  .array(fc.oneof({ weight: 4, arbitrary: pairs }, mutated(pairs)), { maxLength: 5 })
  .map((parts) => (parts.length === 0 ? '' : `?${parts.join('&')}`));

const mount = fuzzed(
  'mount → query of the upload',
  fc.property(queries, (query) => {
    const found = unlessRefused(
      () => parseRoute(`${base}blobs/uploads/${query}`, undefined),
      (error) => error instanceof ProxyError,
    );
    if (found?.kind !== 'repository' || found.query !== query) return;
    const wanted = mountOf(found, registry);
    if (wanted !== undefined) promise(isWithinPath(wanted.upstream, 'team'), 'from outside of the prefix', wanted);
    for (const [name, made] of [
      ['with', wanted],
      ['without', undefined],
    ] as const) {
      const sent = new URL(`https://registry.example.com/v2/team/app/blobs/uploads/${mountQuery(query, made)}`).search;
      for (const reading of readingsOfQuery(sent)) {
        const values = (wantedName: string) => reading.filter(([one]) => one === wantedName).map(([, value]) => value);
        const isOurs = made !== undefined && values('from').every((value) => value === made.upstream);
        promise(values('from').length === 0 || isOurs, `another from, ${name} a mount`, { query, sent });
        promise(made !== undefined || values('mount').length === 0, 'a mount that is none', { query, sent });
      }
    }
  }),
);

const registryQueries = fc.constantFrom(
  ...['', '?_state=a%2Fb%20c+d%7e&sig=%7E', '?sig=a;b', '?x', '?_state=1&_state=2', '?Sig=1', '?%73ig=1&empty=&&'],
);
const callersQuery = fuzzed(
  'address of an upload, with the caller’s query',
  fc.property(registryQueries, queries, (own, query) => {
    // The rest is refused where targets are read.
    fc.pre(/^[\x21\x22\x24-\x7e]*$/.test(query));
    const url = new URL(`https://uploads.example.com:5000/v2/team/app/blobs/uploads/1${own}`);
    const before = url.href;
    const merged = withCallersQuery(url, query);
    promise(url.href === before, 'the address itself has changed', before);
    promise(merged.href.startsWith(before), 'the registry’s own part is not as it was', merged.href);
    promise(readGenericUrl(merged.href).fragment === undefined, 'a fragment', merged.href);
    const [after, first] = [readingsOfQuery(merged.search), readingsOfQuery(url.search)];
    for (const [at, reading] of first.entries()) {
      for (const [name] of reading) {
        const of = (some: readonly (readonly [string, string])[]) =>
          some.filter(([one]) => one === name).map(([, value]) => value);
        promise(`${of(after[at] ?? [])}` === `${of(reading)}`, 'a parameter is overridden', { own, query, name });
      }
    }
    const [read, readBefore] = [parseQuery(merged.search.slice(1)), parseQuery(url.search.slice(1))];
    for (const name of Object.keys(readBefore)) {
      promise(`${read[name]}` === `${readBefore[name]}`, 'a parameter is overridden', { own, query, name });
    }
  }),
);

const keys = ephemeralSealingKeys();
const now = 1_800_000_000_000;
const sealed = fuzzed(
  'sealed address of an upload',
  fc.asyncProperty(
    fc.webUrl({ withQueryParameters: true, withFragments: true }).filter((text) => URL.canParse(text)),
    mutated(fc.constant('')),
    fc.nat(),
    fc.nat(255),
    async (text, other, place, change) => {
      const url = new URL(text);
      const address = sealUpload({ connector: registry, repository: 'team/app', url }, keys, now);
      promise(/^[\w.-]+$/.test(address), 'not one component of a path', address);
      const open = (one: string, repository = 'team/app') =>
        openUpload(one, registry, repository, keys, now).then(String, (error: unknown) => error);
      promise((await open(address)) === url.href, 'another address', text);
      const [id = '', body = ''] = address.split('.');
      const bytes = Buffer.from(body, 'base64url');
      bytes[place % bytes.length] = (bytes[place % bytes.length] ?? 0) ^ (change || 1);
      const forgeries = [`${id}.${bytes.toString('base64url')}`, other, `${id}.${other}`, `${other}.${body}`.slice(1)];
      for (const forged of forgeries) {
        const opened = await open(forged);
        const isRefused = opened instanceof ProxyError && opened.code === 'UPLOAD_UNKNOWN';
        promise(isRefused || forged === address, 'opened what it had not sealed', forged);
      }
      promise((await open(address, 'team/other')) instanceof ProxyError, 'opened for another repository', text);
    },
  ),
);

const locations = mutated(
  fc.oneof(
    fc.constantFrom(
      ...[`/v2/team/app/blobs/${digest}`, `/v2/team/app/manifests/v1`, `/v2/other/blobs/${digest}`, '?_state=1', ''],
      ...[`https://registry.example.com/v2/team/app/blobs/${digest}`, 'http://registry.example.com/v2/team/app/'],
      ...['https://user:pw@storage.example.com/x?sig=a%2Fb', '//storage.example.com/x', 'javascript:alert(1)'],
      ...['/v2/team/app/blobs/uploads/2?_state=a', 'https://registry.example.com/v2/team/..%2fother/blobs/uploads/1'],
      ...[
        'https://169.254.169.254/latest',
        'https://[::ffff:127.0.0.1]/',
        'https://2130706433/',
        'data:,x',
        '\\\\evil\\',
      ],
      ...[`/v2/team/app/blobs/${encodeURIComponent('Token+Of/The~Grant=')}`, 'https://x/?t=Token%2bOf/The~Grant%3D'],
    ),
    fc.webUrl({ withQueryParameters: true }),
  ),
);

const content = fuzzed(
  'Location of what was pushed',
  fc.property(locations, fc.option(fc.constant(digest), { nil: undefined }), (location, known) => {
    const route = { endpoint: { kind: 'upload', sealed: 'x' }, base } as const;
    const found = contentLocation(location, asked, 'team/app', route, known);
    if (found === undefined) return promise(known === undefined, 'a digest that is not used', location);
    promise(/^[\x21-\x7e]+$/.test(found), 'what no header has', found);
    const { authority, path, query } = readGenericUrl(found);
    promise(authority === '' && query === undefined, 'more than a path', found);
    for (const reading of readingsOfPath(path))
      promise(reading.startsWith(base), 'another repository', { found, reading });
    const back = unlessRefused(
      () => parseRoute(found, undefined),
      (error) => error instanceof ProxyError,
    );
    promise(back === undefined || (back.kind === 'repository' && back.repository === 'team/app'), 'not ours', found);
  }),
);

const link = fuzzed(
  'Link of a listing',
  fc.property(
    mutated(
      fc
        .array(
          fc.tuple(fc.oneof(locations, fc.constant('/v2/team/app/tags/list?n=1&last=b')), fc.constantFrom('next', 'x')),
          { maxLength: 3 },
        )
        .map((links) => links.map(([target, rel]) => `<${target}>; rel="${rel}"`).join(', ')),
    ),
    (text) => {
      const found = rewriteLink(text, asked, 'tags/list', `${base}tags/list`);
      if (found === undefined) return;
      promise([...found].filter((one) => one === '<').length === found.split(', <').length, 'more targets', found);
      for (const [, target = ''] of found.matchAll(/<([^>]*)>/g)) {
        const { scheme, authority, path, fragment } = readGenericUrl(target);
        promise(`${scheme}${authority}` === '' && fragment === undefined, 'another host', found);
        promise(path === `${base}tags/list` && /^[\x21-\x7e]+$/.test(target), 'another path', found);
      }
    },
  ),
);

const transport = new RegistryTransport({
  origin: registry.address.origin,
  resolve: async () => [{ address: '203.0.113.1', family: 4 }],
});
const redirect = fuzzed(
  'Location of a redirect or an upload',
  fc.asyncProperty(locations, fc.constantFrom(...repositoriesOf()), async (location, repository) => {
    const start = new URL(`https://registry.example.com/v2/${repository}/blobs/uploads/`);
    const want = { connector: registry, repository, actions: ['pull'], caller: { name: 'x' } } as unknown as Parameters<
      typeof redirectTarget
    >[1]['want'];
    const found = await redirectTarget(location, { transport, start, url: start, want, grant }).catch(
      (error: unknown) => {
        if (isUrlRefusal(error)) return undefined;
        throw error;
      },
    );
    if (found === undefined) return;
    const { scheme, authority, path } = readGenericUrl(found.href);
    promise(scheme === 'https', 'from https to something else', found.href);
    promise(!authority.includes('@'), 'somebody’s credential', found.href);
    const literal = found.hostname.replace(/^\[|\]$/g, '');
    promise(isIP(literal) === 0 || zoneOf(literal) === 'public', 'an address inside', authority);
    const texts = [found.href, percentDecoded(found.href)];
    const echo = secrets.find((secret) => texts.some((text) => text.includes(secret)));
    promise(echo === undefined, 'our credential', found.href);
    if (authority !== 'registry.example.com' || !path.startsWith('/v2/')) return;
    for (const reading of readingsOfPath(path)) {
      promise(`${reading}/`.startsWith('/v2/team/'), 'outside of the prefix', { location, reading });
    }
  }),
);

function repositoriesOf(): string[] {
  return fc.sample(repositories, { numRuns: 3, seed: 1 }).map((name) => `team/${name}`);
}

export const uploads: readonly Fuzzed[] = [mount, callersQuery, sealed, content, link, redirect];
