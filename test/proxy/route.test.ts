import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProxyError, type ProxyErrorCode } from '../../platform/errors.ts';
import { parseRoute, type Route } from '../../proxy/route.ts';

const digest = `sha256:${'a1'.repeat(32)}`;
const sha512 = `sha512:${'0'.repeat(128)}`;
const prefix = '/v2/namespaces/demo/connectors/harbor';
const connector = { namespace: 'demo', name: 'harbor' };
const host = 'c-hub.shared.svc.cluster.local';

function outcomeOf(target: string, hostHeader?: string): Route | ProxyErrorCode {
  try {
    return parseRoute(target, hostHeader);
  } catch (error) {
    if (error instanceof ProxyError) return error.code;
    throw error;
  }
}

describe('a target in path form', () => {
  test.each<[string, string, object]>([
    ['team/app/manifests/v1', 'team/app', { kind: 'manifests', reference: 'v1' }],
    [`team/app/manifests/${digest}`, 'team/app', { kind: 'manifests', reference: digest }],
    [`app/blobs/${digest}`, 'app', { kind: 'blobs', digest }],
    [`app/blobs/${sha512}`, 'app', { kind: 'blobs', digest: sha512 }],
    ['a/b/c/d/tags/list', 'a/b/c/d', { kind: 'tags' }],
    [`app/referrers/${digest}`, 'app', { kind: 'referrers', digest }],
    ['app/manifests/_x', 'app', { kind: 'manifests', reference: '_x' }],
    ['manifests/blobs/manifests/tags', 'manifests/blobs', { kind: 'manifests', reference: 'tags' }],
    ['tags/list/tags/list', 'tags/list', { kind: 'tags' }],
    ['namespaces/x/connectors/y/tags/list', 'namespaces/x/connectors/y', { kind: 'tags' }],
    ['a--b/c__d/e.f/tags/list', 'a--b/c__d/e.f', { kind: 'tags' }],
  ])('names connector, repository and endpoint: %s', (rest, repository, endpoint) => {
    const tail = rest.slice(repository.length + 1);
    const expected = { kind: 'repository', connector, repository, endpoint, base: `${prefix}/${repository}/`, tail };
    expect(outcomeOf(`${prefix}/${rest}`)).toEqual({ ...expected, query: '' });
    expect(outcomeOf(`${prefix}/${rest}?n=1&x=%2F..?`)).toEqual({ ...expected, query: '?n=1&x=%2F..?' });
    expect(outcomeOf(`${prefix}/${rest}`, host)).toEqual({ ...expected, query: '' });
  });

  test.each<[ProxyErrorCode, string]>([
    ['ROUTE_UNKNOWN', ''],
    ['ROUTE_UNKNOWN', '/manifests/v1'],
    ['ROUTE_UNKNOWN', '/app'],
    ['ROUTE_UNKNOWN', '/app/manifests'],
    ['ROUTE_UNKNOWN', '/app/manifests/'],
    ['ROUTE_UNKNOWN', '/app/manifests/v1/'],
    ['ROUTE_UNKNOWN', '/app/tags'],
    ['ROUTE_UNKNOWN', '/app/tags/list/'],
    ['ROUTE_UNKNOWN', '/app/manifests/../v1'],
    ['ROUTE_UNKNOWN', '/_catalog'],
    ['NAME_INVALID', '/App/manifests/v1'],
    ['NAME_INVALID', '//app/manifests/v1'],
    ['NAME_INVALID', '/team//app/manifests/v1'],
    ['NAME_INVALID', '/team/../app/manifests/v1'],
    ['NAME_INVALID', '/../../../v2/other/manifests/v1'],
    ['NAME_INVALID', '/./app/manifests/v1'],
    ['NAME_INVALID', '/team%2Fapp/manifests/v1'],
    ['NAME_INVALID', '/%2e%2e%2fapp/manifests/v1'],
    ['NAME_INVALID', '/..%2f..%2fapp/manifests/v1'],
    ['NAME_INVALID', '/team\\app/manifests/v1'],
    ['NAME_INVALID', '/app\0/manifests/v1'],
    ['NAME_INVALID', '/app%00/manifests/v1'],
    ['NAME_INVALID', '/app;x=1/manifests/v1'],
    ['NAME_INVALID', '/app#/manifests/v1'],
    ['NAME_INVALID', '/ap\u00fc/manifests/v1'],
    ['NAME_INVALID', `/${'a'.repeat(256)}/manifests/v1`],
    ['REFERENCE_INVALID', '/app/manifests/..'],
    ['REFERENCE_INVALID', '/app/manifests/%2e%2e'],
    ['REFERENCE_INVALID', '/app/manifests/v1%2f..%2fv2'],
    ['REFERENCE_INVALID', '/app/manifests/v1 '],
    ['REFERENCE_INVALID', '/app/manifests/v1\n'],
    ['REFERENCE_INVALID', '/app/manifests/v1#'],
    ['REFERENCE_INVALID', `/app/manifests/${'a'.repeat(1025)}`],
    ['REFERENCE_INVALID', '/app/blobs/..'],
    ['REFERENCE_INVALID', '/app/blobs/%73ha256:abc'],
    ['REFERENCE_INVALID', '/app/referrers/sha256;abc'],
  ])('is refused with %s: %j', (code, rest) => {
    expect(outcomeOf(`${prefix}${rest}`)).toBe(code);
  });

  test.each([
    '/v2/namespaces/demo/connectors/Harbor/app/tags/list',
    '/v2/namespaces/demo/connectors//app/tags/list',
    '/v2/namespaces//connectors/harbor/app/tags/list',
    '/v2/namespaces/de%6Do/connectors/harbor/app/tags/list',
    '/v2/namespaces/demo/Connectors/harbor/app/tags/list',
    '/v2//namespaces/demo/connectors/harbor/app/tags/list',
    `/v2/namespaces/demo/connectors/${'c'.repeat(62)}/app/tags/list`,
    `/v2/namespaces/${'n'.repeat(64)}/connectors/harbor/app/tags/list`,
    '/v2/app/tags/list',
    '/v1/namespaces/demo/connectors/harbor/app/tags/list',
    '/V2/namespaces/demo/connectors/harbor/app/tags/list',
    '//v2/namespaces/demo/connectors/harbor/app/tags/list',
    '/',
    '/metrics',
    '/v2/..',
  ])('that is not quite one names no connector: %s', (target) => {
    expect(outcomeOf(target)).toBe('ROUTE_UNKNOWN');
  });
});

describe('a target in host form', () => {
  test.each([
    'c-hub.shared.svc.cluster.local',
    'c-hub.shared.svc.cluster.local:80',
    'C-HUB.Shared.SVC.Cluster.Local:8080',
    'c-hub.shared.svc',
    'c-hub.shared',
    'c-hub.shared.svc.cluster.local.',
  ])('names the connector by the first two labels of Host: %s', (header) => {
    expect(outcomeOf('/v2/team/app/manifests/v1?x=1', header)).toEqual({
      kind: 'repository',
      connector: { namespace: 'shared', name: 'hub' },
      repository: 'team/app',
      endpoint: { kind: 'manifests', reference: 'v1' },
      base: '/v2/team/app/',
      tail: 'manifests/v1',
      query: '?x=1',
    });
  });

  test.each([
    'hub.shared.svc.cluster.local',
    'c-.shared.svc.cluster.local',
    'c-hub',
    'c-hub..svc',
    'c-hub@evil.shared',
    'c-hub.shared/path',
    'c-hub_x.shared',
    'localhost:7450',
    '127.0.0.1:7450',
    '[::1]:7450',
    '',
    undefined,
  ])('names no connector by another Host: %s', (header) => {
    expect(outcomeOf('/v2/team/app/manifests/v1', header)).toBe('ROUTE_UNKNOWN');
  });

  test('gives way to a path form', () => {
    expect(outcomeOf(`${prefix}/app/tags/list`, host)).toMatchObject({ connector, repository: 'app' });
    const almost = '/v2/namespaces/demo/connector/app/tags/list';
    expect(outcomeOf(almost, host)).toMatchObject({
      connector: { name: 'hub' },
      repository: 'namespaces/demo/connector/app',
    });
  });
});

describe('a target', () => {
  test.each(['/v2/', '/v2', '/v2/?x=1'])('asks for the base: %s', (target) => {
    expect(outcomeOf(target, host)).toEqual({ kind: 'base' });
  });

  test.each(['http://evil.example.com/v2/', 'evil.example.com:443', '*', '', 'v2/'])(
    'in another form than a path is refused: %s',
    (target) => {
      expect(outcomeOf(target, host)).toBe('REQUEST_INVALID');
    },
  );

  test.each(['..', '.', 'a%2F..', 'a;b'])('names no upload that we could have made: %s', (address) => {
    expect(outcomeOf(`${prefix}/team/app/blobs/uploads/${address}`)).toBe('UPLOAD_UNKNOWN');
  });

  test('is refused when it is very long, in no time', () => {
    const component = 'a'.repeat(8000);
    expect(outcomeOf(`${prefix}/${component}/${component}/manifests/v1`)).toBe('REQUEST_INVALID');
    expect(outcomeOf(`${prefix}/${'a/'.repeat(4000)}manifests/v1`)).toBe('NAME_INVALID');
    expect(outcomeOf(`${prefix}${'/manifests'.repeat(800)}/%`)).toBe('NAME_INVALID');
  });

  const pieces = fc.constantFrom(
    ...['..', '.', '', '%2e%2e%2f', '%2F', '%00', '\0', '\\', ';', '?', '#', ' ', '//', 'é', 'A'],
    ...['team', 'app', 'manifests', 'blobs', 'tags', 'list', 'referrers', 'v1', digest, 'uploads', 'namespaces', 'v2'],
    ...['connectors', 'demo', 'harbor'],
  );
  const tails = fc.constantFrom(['tags/list'], ['manifests/v1'], [`blobs/${digest}`], [`referrers/${digest}`], []);
  const paths = fc
    .tuple(fc.array(fc.oneof({ weight: 9, arbitrary: pieces }, fc.string()), { maxLength: 5 }), tails)
    .map((parts) => parts.flat().join('/'));
  const targets = fc.oneof(
    paths.map((path) => `${prefix}/${path}`),
    paths.map((path) => `/v2/${path}`),
    fc.string({ unit: 'binary' }),
  );

  test('never leads outside of its repository, whatever it is', () => {
    let routes = 0;
    const check = (target: string, header: string | undefined) => {
      const route = outcomeOf(target, header);
      if (typeof route === 'string' || route.kind === 'base') return;
      routes += 1;
      const { repository, tail, query, base } = route;
      // As forward.ts puts it together.
      const url = new URL(`https://registry.example.com/v2/${repository}/${tail}${query}`);
      expect(url.origin).toBe('https://registry.example.com');
      expect(url.pathname).toBe(`/v2/${repository}/${tail}`);
      expect(url.pathname).not.toMatch(/\/\/|\.\.|%|\\/);
      expect(base + tail + query).toBe(target);
    };
    fc.assert(fc.property(targets, fc.option(fc.oneof(fc.constant(host), fc.string()), { nil: undefined }), check), {
      numRuns: 5000,
    });
    expect(routes).toBeGreaterThan(20);
  });

  test('is read alike in both forms, for every repository and reference there can be', () => {
    const component = fc.stringMatching(/^[a-z0-9]{1,8}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}$/);
    const repositories = fc.array(component, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));
    const references = fc.oneof(fc.stringMatching(/^[\w][\w.-]{0,127}$/), fc.constant(digest));
    fc.assert(
      fc.property(repositories, references, (repository, reference) => {
        const endpoint = { kind: 'manifests', reference };
        const rest = `${repository}/manifests/${reference}`;
        expect(outcomeOf(`${prefix}/${rest}`)).toMatchObject({ connector, repository, endpoint });
        expect(outcomeOf(`/v2/${rest}`, host)).toMatchObject({ connector: { name: 'hub' }, repository, endpoint });
      }),
    );
  });
});
