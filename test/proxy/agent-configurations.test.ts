import { describe, expect, test } from 'vitest';
import type { ConfigurationQuestion } from '../../connectors/configurations/protocol.ts';
import type { Document } from '../../connectors/schema.ts';
import { agentAudience } from '../../proxy/agent-protocol.ts';
import { connectorOf } from '../connectors/documents.ts';
import { call } from '../support/call.ts';
import { openCentre, openScene, serving } from './support/agent-scene.ts';
import { host } from './support/centre.ts';
import { nodeExtra } from './support/reviews.ts';

const key = { namespace: 'demo', name: 'harbor' };
const account = 'system:serviceaccount:demo:builder';
const wanted = { connectors: [key], names: ['docker-config'], excluded: [], params: {} };

async function arrange(documents: readonly Document[] = [connectorOf()]) {
  const scene = await openScene({});
  scene.cluster.apply(documents);
  const centre = await openCentre(scene);
  const { ca } = await serving;
  const { api } = scene.cluster;
  const driver = scene.cluster.driverToken('n1');
  const token = api.login({ username: account, extra: nodeExtra('n1') });
  const post = async (path: string, question: object, as = driver) => {
    const body = JSON.stringify(question);
    const headers = {
      authorization: `Bearer ${as}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const answer = await call(`https://${host}:${centre.port}${path}`, { ca, method: 'POST', headers, body });
    return { status: answer.status, body: JSON.parse(answer.body.toString()) };
  };
  const ask = (question: Partial<ConfigurationQuestion> = {}, as?: string) =>
    post('/v1/configurations', { token, want: wanted, isRefresh: false, ...question }, as);
  const revisions = async (...wants: object[]) =>
    (await post('/v1/configurations/revisions', { wants })).body.revisions;
  return { ...scene, centre, api, driver, token, post, ask, revisions };
}

const statusOf = (status: 'True' | 'False' | 'Unknown', message = '') => ({
  conditions: [{ type: 'Ready', status, reason: 'AuthFailed', message }],
});

describe('a volume', () => {
  test('is rendered for whoever its token is of, and says until when it is good', async () => {
    const { ask, token, centre } = await arrange();
    const before = Date.now();
    const { status, body } = await ask();
    expect(status).toBe(200);
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(body.expiresAt).toBe(exp * 1000);
    expect(body.refreshAfter).toBeGreaterThan(before + 0.79 * 3_600_000);
    expect(body.refreshAfter).toBeLessThan(body.expiresAt);
    const files = new Map<string, string>(
      body.files.map((file: { name: string; content: string }) => [file.name, file.content]),
    );
    expect(files.get('context.token')).toBe(token);
    expect(Object.keys(JSON.parse(files.get('config.json') ?? '').auths)).toEqual(['c-harbor.demo.svc.cluster.local']);
    expect(centre.rendered).toEqual([
      { caller: account, node: 'n1', connectors: ['demo/harbor'], configurations: ['docker-config'], isRefresh: false },
    ]);
  });

  test('holds nothing of the Secret', async () => {
    const { ask, cluster } = await arrange();
    expect(cluster.store.catalogue.connectors).toHaveLength(1);
    expect(JSON.stringify((await ask()).body)).not.toMatch(/secret|password/i);
  });

  test('of several connectors is for whoever may use them all', async () => {
    const { ask, api } = await arrange([connectorOf(), connectorOf({}, { name: 'other' })]);
    const want = { ...wanted, connectors: [key, { namespace: 'demo', name: 'other' }] };
    expect((await ask({ want })).status).toBe(200);
    api.rights = new Set([`${account} get demo/harbor`]);
    const fresh = api.login({ username: account, uid: 'u2', extra: nodeExtra('n1') });
    expect((await ask({ want, token: fresh })).body).toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining('connector demo/other: '),
    });
  });
});

describe('is refused', () => {
  test('who may not use the connector, whether or not it is there', async () => {
    const { ask, api, centre } = await arrange();
    api.rights = new Set();
    const strange = { ...wanted, connectors: [{ namespace: 'demo', name: 'absent' }] };
    for (const want of [wanted, strange]) {
      expect(await ask({ want })).toMatchObject({
        status: 403,
        body: { code: 'ACCESS_DENIED', message: expect.stringContaining(`${account} may not pull`) },
      });
    }
    expect(centre.rendered).toEqual([]);
  });

  const tokens: [string, (api: Awaited<ReturnType<typeof arrange>>['api']) => string][] = [
    ['nobody’s', () => 'garbage'],
    ['for another audience', (api) => api.login({ username: account }, { audiences: ['https://kubernetes'] })],
    ['of a pod on another node', (api) => api.login({ username: account, extra: nodeExtra('n2') })],
    ['expired', (api) => api.login({ username: account }, { expiresAt: Date.now() - 1000 })],
  ];
  test.each(tokens)('a token that is %s', async (_what, make) => {
    const { ask, api } = await arrange();
    expect(await ask({ token: make(api) })).toMatchObject({ status: 401, body: { code: 'CALLER_UNKNOWN' } });
  });

  test('a connector that is not there', async () => {
    const { ask } = await arrange([]);
    expect((await ask()).body).toMatchObject({
      code: 'CONNECTOR_UNKNOWN',
      message: expect.stringContaining('demo/harbor'),
    });
  });

  test('a connector that is not Ready, with the reason, but not for fresh files of a pod that runs', async () => {
    const { ask } = await arrange([{ ...connectorOf(), status: statusOf('False', 'the password is wrong') }]);
    expect((await ask()).body).toMatchObject({
      code: 'CONNECTOR_NOT_READY',
      message: 'connector demo/harbor: is not Ready (AuthFailed: the password is wrong)',
    });
    expect((await ask({ isRefresh: true })).status).toBe(200);
  });

  test('nobody because nobody has looked yet', async () => {
    const { ask } = await arrange([{ ...connectorOf(), status: statusOf('Unknown') }]);
    expect((await ask()).status).toBe(200);
  });

  test('a question that is none', async () => {
    const { post } = await arrange();
    for (const question of [{}, { token: 'x', want: { ...wanted, connectors: [] }, isRefresh: false }, []]) {
      expect(await post('/v1/configurations', question)).toMatchObject({
        status: 400,
        body: { code: 'REQUEST_INVALID' },
      });
    }
  });
});

describe('the CSI driver and the agent of a node', () => {
  const others = [
    '/v1/grants',
    '/v1/callers',
    '/v1/agents/self',
    '/v1/relay/v2/namespaces/demo/connectors/harbor/a/manifests/b',
  ];

  test.each(others)('are not the same: the driver gets nothing at %s', async (path) => {
    const { post, token } = await arrange();
    const question = { token, connector: key, repository: 'team/app' };
    expect(await post(path, question)).toMatchObject({ status: 404 });
  });

  test('are not the same: the agent gets no files', async () => {
    const { ask, cluster, post } = await arrange();
    expect((await ask({}, cluster.agentToken('n1'))).status).toBe(404);
    expect((await post('/v1/configurations/revisions', { wants: [] }, cluster.agentToken('n1'))).status).toBe(404);
  });

  test('have to be known', async () => {
    const { ask, api } = await arrange();
    const stranger = api.login(
      { username: 'system:serviceaccount:demo:oci-connector-csi', extra: nodeExtra('n1') },
      { audiences: [agentAudience] },
    );
    expect(await ask({}, stranger)).toMatchObject({ status: 401, body: { code: 'AGENT_UNKNOWN' } });
  });
});

describe('revisions', () => {
  test('are those of the files, in the order of the question, and cost no review of pods', async () => {
    const { ask, revisions, api } = await arrange([connectorOf(), connectorOf({}, { name: 'other' })]);
    const { body } = await ask();
    const before = api.reviews.length;
    const other = { ...wanted, connectors: [{ namespace: 'demo', name: 'other' }] };
    const absent = { ...wanted, connectors: [{ namespace: 'demo', name: 'absent' }] };
    const answered = await revisions(other, wanted, absent);
    expect(answered).toEqual([expect.any(String), body.revision, '']);
    expect(answered[0]).not.toBe(body.revision);
    expect(api.reviews.length).toBe(before);
  });

  test('change when the connector does', async () => {
    const { ask, revisions, cluster } = await arrange();
    const { body } = await ask();
    cluster.apply([connectorOf({ address: 'https://moved.example.com' })]);
    expect(await revisions(wanted)).not.toEqual([body.revision]);
  });
});
