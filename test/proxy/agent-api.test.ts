import { describe, expect, onTestFinished, test } from 'vitest';
import { agentAudience, callerTokenHeader } from '../../proxy/agent-protocol.ts';
import { type CallOptions, call } from '../support/call.ts';
import { connectorTo } from '../support/proxy.ts';
import { startRegistry } from '../support/registry.ts';
import {
  basicOnly,
  login,
  narrow,
  opaque,
  openCentre,
  openScene,
  type SceneOptions,
  serving,
} from './support/agent-scene.ts';
import { agentName, host } from './support/centre.ts';
import { makeToken, nodeExtra } from './support/reviews.ts';

async function arrange(options: SceneOptions = {}) {
  const scene = await openScene(options);
  const centre = await openCentre(scene);
  const { ca } = await serving;
  const own = scene.cluster.agentToken('n1');
  const ask = (path: string, more: CallOptions & { as?: string | undefined } = {}) => {
    const { as = own, headers, ...rest } = more;
    const authorization = as === '' ? {} : { authorization: `Bearer ${as}` };
    return call(`https://${host}:${centre.port}${path}`, { ca, headers: { ...authorization, ...headers }, ...rest });
  };
  const post = async (path: string, question: object, as?: string) => {
    const body = JSON.stringify(question);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const answer = await ask(path, { method: 'POST', body, headers, as });
    return { status: answer.status, headers: answer.headers, ...JSON.parse(answer.body.toString()) };
  };
  const question = { token: scene.token, connector: { namespace: 'demo', name: 'registry' }, repository: 'team/app' };
  return { ...scene, centre, own, ask, post, question };
}

const paths: [string, 'GET' | 'POST'][] = [
  ['/v1/grants', 'POST'],
  ['/v1/callers', 'POST'],
  ['/v1/agents/self', 'GET'],
  ['/v1/relay/v2/namespaces/demo/connectors/registry/team/app/manifests/v1', 'GET'],
  ['/anything', 'GET'],
];

describe('who is no agent', () => {
  test.each(paths)('is told so at %s, whoever it is', async (path, method) => {
    const { cluster, token, ask, centre, registry } = await arrange();
    const { api } = cluster;
    const strangers: [string, string][] = [
      ['nobody', ''],
      ['garbage', 'garbage'],
      ['a token that nobody knows', makeToken({ audiences: [agentAudience] })],
      ['a caller', token],
      [
        'an account of another name',
        api.login({ username: 'x', extra: nodeExtra('n1') }, { audiences: [agentAudience] }),
      ],
      ['the agent, for callers', api.login({ username: agentName, extra: nodeExtra('n1') })],
      ['the agent, for the API server', api.login({ username: agentName }, { audiences: ['https://kubernetes'] })],
      ['the agent, of no node', api.login({ username: agentName }, { audiences: [agentAudience] })],
    ];
    for (const [who, as] of strangers) {
      const answer = await ask(path, { method, as, headers: { [callerTokenHeader]: token } });
      expect({ who, status: answer.status }).toEqual({ who, status: 401 });
      expect(answer.body.toString()).toContain('AGENT_UNKNOWN');
    }
    expect(centre.errors).toEqual([]);
    expect(registry.requests).toEqual([]);
  });

  test('costs the API server no more than others do', async () => {
    const { cluster, ask } = await arrange();
    for (let at = 0; at < 5; at += 1) await ask('/v1/agents/self', { as: makeToken() });
    expect(cluster.api.reviews).toEqual([]);
    await Promise.all(
      Array.from({ length: 300 }, () => ask('/v1/agents/self', { as: makeToken({ audiences: [agentAudience] }) })),
    );
    expect(cluster.api.reviews.length).toBeLessThanOrEqual(200);
  });
});

describe('an agent that fell', () => {
  test('hears its node and where images point to', async () => {
    const { ask } = await arrange();
    const answer = await ask('/v1/agents/self');
    expect(JSON.parse(answer.body.toString())).toEqual({ node: 'n1', imageHost: 'localhost:1' });
  });

  test('gets nothing without a caller’s token, nor with a token that is for something else', async () => {
    const { cluster, own, post, question, registry } = await arrange();
    const { api } = cluster;
    const tokens: [string, string | undefined][] = [
      ['none', undefined],
      ['its own', own],
      ['one for the API server', api.login({ username: 'pod' }, { audiences: ['https://kubernetes.default.svc'] })],
      ['one that has expired', api.login({ username: 'pod' }, { expiresAt: Date.now() - 5_000 })],
      ['one of a pod on another node', api.login({ username: 'pod', extra: nodeExtra('n2') })],
      ['one that nobody knows', makeToken()],
    ];
    for (const [what, token] of tokens) {
      const code = token === undefined ? 'TOKEN_REQUIRED' : 'CALLER_UNKNOWN';
      const grant = await post('/v1/grants', { ...question, token });
      expect({ what, ...grant }).toMatchObject({ what, status: 401, code });
      expect(await post('/v1/callers', { token })).toMatchObject({ status: 401, code });
    }
    expect(registry.requests).toEqual([]);
  });

  test('gets nothing by the relay either', async () => {
    const { cluster, own, ask, registry } = await arrange({ auth: basicOnly });
    const { api } = cluster;
    const path = '/v1/relay/v2/namespaces/demo/connectors/registry/team/app/manifests/v1';
    for (const token of [undefined, own, api.login({ username: 'pod', extra: nodeExtra('n2') }), makeToken(), '']) {
      const answer = await ask(path, { headers: token === undefined ? {} : { [callerTokenHeader]: token } });
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toBe('Basic realm="oci-connector"');
    }
    expect(registry.requests).toEqual([]);
  });

  test('does not get from one caller what only another may', async () => {
    const { cluster, post, question } = await arrange();
    cluster.api.rights = new Set(['system:serviceaccount:demo:default get demo/registry']);
    expect(await post('/v1/grants', question)).toMatchObject({ status: 200, grant: { kind: 'authorization' } });
    const stranger = cluster.api.login({ username: 'stranger' });
    expect(await post('/v1/grants', { ...question, token: stranger })).toMatchObject({
      status: 403,
      code: 'ACCESS_DENIED',
      caller: 'stranger',
    });
    const absent = { ...question, connector: { namespace: 'demo', name: 'absent' }, token: stranger };
    expect(await post('/v1/grants', absent)).toMatchObject({ status: 403, code: 'ACCESS_DENIED' });
  });

  test('cannot push: not by a grant, and not by the relay', async () => {
    const { post, question, registry, ask, token } = await arrange();
    await post('/v1/grants', { ...question, actions: ['push'], action: 'push', scope: 'repository:team/app:push' });
    const scopes = registry.tokenRequests.flatMap(({ query }) => query.getAll('scope'));
    expect(scopes).toEqual(['repository:team/app:pull']);
    const path = '/v1/relay/v2/namespaces/demo/connectors/registry/team/app/blobs/uploads/';
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const override = { 'x-http-method-override': 'GET', [callerTokenHeader]: token };
      expect(await ask(path, { method, headers: override })).toMatchObject({
        status: 405,
        headers: { allow: 'GET, HEAD' },
      });
    }
    expect(registry.requests.filter(({ url }) => url.includes('uploads'))).toEqual([]);
  });

  test.each(['refused', 'challenge'])('cannot make the centre learn a challenge, as %s', async (field) => {
    const { post, question, registry } = await arrange();
    const evil = await startRegistry({ auth: narrow });
    onTestFinished(() => evil.close());
    const first = await post('/v1/grants', question);
    const challenge = `Bearer realm="${evil.origin}/token",service="x"`;
    const lies = field === 'refused' ? { refused: { ...first.grant, challenge } } : { refused: first.grant, challenge };
    for (const refused of [
      lies,
      { refused: { kind: 'anonymous', challenge } },
      { refused: { kind: 'relay', challenge } },
    ]) {
      expect(await post('/v1/grants', { ...question, ...refused })).toMatchObject({ status: 200 });
    }
    expect(await post('/v1/grants', question)).toMatchObject({ status: 200, grant: { kind: 'authorization' } });
    expect(evil.requests).toEqual([]);
    expect(evil.tokenRequests).toEqual([]);
    expect(registry.tokenRequests.length).toBeGreaterThan(0);
  });

  test('that says again and again that a grant is refused, costs no exchange for one that is not the last', async () => {
    const { post, question, registry } = await arrange();
    await post('/v1/grants', question);
    const refused = { kind: 'authorization', value: 'Bearer made.up.one', expiresAt: Date.now() };
    for (let at = 0; at < 20; at += 1) await post('/v1/grants', { ...question, refused });
    expect(registry.tokenRequests).toHaveLength(1);
  });

  test.each([
    ['Basic alone', basicOnly],
    ['opaque tokens', opaque],
  ])('of a registry with %s hears that the request goes through the centre', async (_what, auth) => {
    const { post, question } = await arrange({ auth });
    const answer = await post('/v1/grants', question);
    expect(answer).toMatchObject({ status: 200, grant: { kind: 'relay' } });
    expect(JSON.stringify(answer)).not.toContain(login.username);
  });
});

describe('a question that is none', () => {
  test.each<[string, string]>([
    ['nothing', ''],
    ['no JSON', '{'],
    ['null', 'null'],
    ['one without a repository', '{"connector":{"namespace":"demo","name":"registry"}}'],
    ['one that is too long', JSON.stringify({ token: 'x'.repeat(400_000) })],
  ])('is refused: %s', async (_what, body) => {
    const { ask, centre } = await arrange();
    const answer = await ask('/v1/grants', {
      method: 'POST',
      body,
      headers: { 'content-length': Buffer.byteLength(body) },
    });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'REQUEST_INVALID' });
    expect(centre.errors).toEqual([]);
  });

  test('is one of no length', async () => {
    const { ask } = await arrange();
    const headers = { 'transfer-encoding': 'chunked' };
    expect(await ask('/v1/grants', { method: 'POST', body: '{}', headers })).toMatchObject({ status: 400 });
  });

  test('is one at another path', async () => {
    const { ask } = await arrange();
    for (const path of ['/v1/grants/', '/v2/grants', '/', '/v1/relay', '/v1/grants?x']) {
      const answer = await ask(path, { method: 'POST' });
      expect(answer.status).toBe(404);
    }
  });
});

test('a repository outside of the connector’s path is refused', async () => {
  const scene = await arrange();
  scene.cluster.apply(connectorTo(`${scene.registry.origin}/team`, login));
  expect(await scene.post('/v1/grants', { ...scene.question, repository: 'other/app' })).toMatchObject({
    status: 403,
    code: 'REPOSITORY_OUTSIDE',
  });
});

test('an error of the centre’s own is told to its log, and not to the agent', async () => {
  const scene = await arrange();
  Object.defineProperty(scene.cluster.store, 'catalogue', {
    get: () => {
      throw new Error('a secret of the house');
    },
  });
  const answer = await scene.post('/v1/grants', scene.question);
  expect(answer).toMatchObject({ status: 500, code: 'INTERNAL' });
  expect(JSON.stringify(answer)).not.toContain('house');
  expect(scene.centre.errors).toHaveLength(1);
});
