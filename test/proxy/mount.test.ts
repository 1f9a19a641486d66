import { describe, expect, test } from 'vitest';
import { mountOf, mountQuery } from '../../proxy/mount.ts';
import { parseRoute, type RepositoryRoute } from '../../proxy/route.ts';
import { resolvedConnector } from './support/resolved-connector.ts';

const route = (query: string): RepositoryRoute => {
  const found = parseRoute(`/v2/namespaces/demo/connectors/registry/team/app/blobs/uploads/${query}`, undefined);
  if (found.kind !== 'repository') throw new Error('not a repository');
  return found;
};
const hub = resolvedConnector('https://docker.io');
const limited = resolvedConnector('https://registry.example.com/team');

describe('a mount', () => {
  test.each([
    ['in path form', 'namespaces/demo/connectors/registry/team/base', limited, 'team/base'],
    ['as the registry names it', 'team/base', limited, 'team/base'],
    ['of Docker Hub without its default path', 'namespaces/demo/connectors/registry/alpine', hub, 'library/alpine'],
  ])('%s is one within the connector', (_form, from, connector, upstream) => {
    expect(mountOf(route(`?mount=sha256:a&from=${encodeURIComponent(from)}`), connector)).toMatchObject({ upstream });
  });

  test.each([
    ['of another connector', '?mount=d&from=namespaces/demo/connectors/other/team/base'],
    ['of another namespace', '?mount=d&from=namespaces/other/connectors/registry/team/base'],
    ['outside of the connector’s path', '?mount=d&from=other/base'],
    ['out of the path by dots', '?mount=d&from=team/../other'],
    ['of no name', '?mount=d&from='],
    ['from nowhere', '?mount=d'],
    ['of nothing', '?from=team/base'],
  ])('%s is none', (_what, query) => {
    expect(mountOf(route(query), limited)).toBeUndefined();
  });

  test('has the registry’s name in the query, and none is left where there is none', () => {
    const query = '?mount=sha256%3Aa&from=namespaces%2Fdemo%2Fconnectors%2Fregistry%2Fteam%2Fbase&x=1';
    expect(mountQuery(query, { from: 'team/base', upstream: 'team/base' })).toBe(
      '?mount=sha256%3Aa&from=team%2Fbase&x=1',
    );
    expect(mountQuery(query, undefined)).toBe('?x=1');
    expect(mountQuery('?mount=a&from=b&%66rom=c', undefined)).toBe('');
  });
});
