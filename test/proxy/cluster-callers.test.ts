import { expect, test } from 'vitest';
import { callerAudience } from '../../connectors/pull-identity.ts';
import { AccessReviews } from '../../proxy/access-reviews.ts';
import { clusterCallers } from '../../proxy/cluster-callers.ts';
import { TokenReviews } from '../../proxy/token-reviews.ts';
import { FakeApiServer, makeToken, nodeExtra } from './support/reviews.ts';

const { signal } = new AbortController();
const connector = { namespace: 'demo', name: 'harbor' };

function arrange() {
  const api = new FakeApiServer();
  const tokens = new TokenReviews({ client: api, audience: callerAudience });
  const callers = clusterCallers({ tokens, access: new AccessReviews({ client: api }) });
  const identify = async (token: string | undefined, node?: string) =>
    callers.identify(token, { address: '10.0.0.1', node }, signal);
  return { api, identify };
}

test('a caller is who the API server says, and may do what it says', async () => {
  const { api, identify } = arrange();
  api.rights = new Set(['builder create demo/harbor', 'builder update demo/harbor', 'half create demo/harbor']);
  const caller = await identify(api.login({ username: 'builder' }));
  expect(caller?.name).toBe('builder');
  expect(await caller?.may('push', connector)).toBe(true);
  expect(await caller?.may('pull', connector)).toBe(false);
  // A push makes what is new and changes what is there.
  expect(await (await identify(api.login({ username: 'half' })))?.may('push', connector)).toBe(false);
  expect(await identify(undefined)).toBeUndefined();
  expect(await identify(makeToken())).toBeUndefined();
});

test('the token of a pod is good through the agent of its own node only, and at the centre', async () => {
  const { api, identify } = arrange();
  const bound = api.login({ username: 'pod', extra: nodeExtra('n1') });
  expect(await identify(bound)).toBeDefined();
  expect(await identify(bound, 'n1')).toBeDefined();
  await expect(identify(bound, 'n2')).rejects.toMatchObject({
    code: 'CALLER_UNKNOWN',
    message: 'the token is of a pod on node n1, and came through node n2',
  });
  // That of a pull secret is bound to no pod.
  expect(await identify(api.login({ username: 'puller' }), 'n2')).toBeDefined();
});
