import { expect, test } from 'vitest';
import { centreUrl } from '../../proxy/centre-route.ts';
import { parseRoute } from '../../proxy/route.ts';

const route = { origin: 'https://centre:8444' } as Parameters<typeof centreUrl>[0];

test.each([
  ['/v2/namespaces/demo/connectors/harbor/team/app/tags/list?n=1&last=%2F', undefined],
  ['/v2/team/app/tags/list?n=1&last=%2F', 'c-harbor.demo.svc.cluster.local'],
])('the centre is asked in path form for %s', (target, host) => {
  const parsed = parseRoute(target, host);
  if (parsed.kind === 'base') throw new Error('not a repository');
  expect(centreUrl(route, parsed).href).toBe(
    'https://centre:8444/v1/relay/v2/namespaces/demo/connectors/harbor/team/app/tags/list?n=1&last=%2F',
  );
});
